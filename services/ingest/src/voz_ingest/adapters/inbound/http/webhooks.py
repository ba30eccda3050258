"""`POST|GET /v1/webhooks/{connection}`: a source's own webhook, in its own shape and with its own signature."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from fastapi import Request, Response

from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.inbound.http.answers import answer
from voz_ingest.adapters.inbound.http.bodies import read_whole, submit_whole
from voz_ingest.adapters.inbound.http.document import WEBHOOKS_PATH
from voz_ingest.adapters.inbound.http.intake import Intake
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, Source
from voz_ingest.domain.budget import Held
from voz_ingest.domain.connection import Connection
from voz_ingest.metrics import IngestMetrics
from voz_ingest.use_cases import Outcome, Submission
from voz_streamkit.http.problems import FieldError, Problem

PREFIX = WEBHOOKS_PATH.removesuffix("{connection}")


class WebhooksEndpoint:
    """Takes what sources send by themselves.

    Nothing of a body is read before its signature is found right; then events are taken as from `/v1/events`, and what
    can't be read is kept as evidence, because a source can't mend what it sent.
    """

    def __init__(self, intake: Intake, metrics: IngestMetrics) -> None:
        self._intake, self._settings, self._metrics = intake, intake.settings, metrics

    async def receive(self, request: Request) -> Response:
        """Answer 202 (or what the source wants to hear) when what was valid is replicated. Raises Problem."""
        connection = self._connection(request.scope["path"].removeprefix(PREFIX))
        source = sources.load(connection.source)
        if request.method == "POST":
            return await self._post(request, connection, source)
        if request.method == "GET" and source.challenge:
            return self._challenge(request, connection, source)
        if request.method == "HEAD":  # some sources look whether anybody is there before they send
            return Response(status_code=200)
        allowed = "POST, GET, HEAD" if source.challenge else "POST, HEAD"
        raise Problem(405, f"{connection.source} sends with POST.", headers={"Allow": allowed})

    def _connection(self, name: str) -> Connection:
        found = self._intake.connections.value.by_id.get(name)
        if found is None:
            raise Problem(404, "There is no such connection: VOZ_CONNECTIONS_FILE declares them.")
        return found

    def _challenge(self, request: Request, connection: Connection, source: Source) -> Response:
        assert source.challenge is not None
        try:
            reply = source.challenge(self._payload(request, connection, b""), connection.secrets)
        except PayloadError as error:
            raise self._unauthorised(source, error.detail) from None
        return Response(reply.body, media_type=reply.media_type, headers={"X-Content-Type-Options": "nosniff"})

    async def _post(self, request: Request, connection: Connection, source: Source) -> Response:
        self._intake.admit(connection.tenant)
        headers = _headers(request)
        payload: Payload | None = None

        async def work(submission: Submission, held: Held) -> None:
            nonlocal payload
            declared = headers.get("content-length", "")
            body = await read_whole(request, held, declared=declared, max_bytes=self._settings.max_body_bytes)
            payload = self._payload(request, connection, body, headers)
            if not source.verify(payload, connection.secrets):
                raise self._unauthorised(source, "The signature is not valid.")
            try:
                drafts = source.drafts(payload)
            except PayloadError as error:
                self._metrics.webhooks.labels(source.name, "unreadable").inc()
                detail = "The payload can't be read; `errors` says why."
                raise Problem(422, detail, errors=[FieldError(error.pointer, error.detail)]) from None
            await submit_whole(submission, drafts, max_events=self._settings.max_batch_events)

        company_ids = not source.knows_customers_itself(connection.options)
        outcome = await self._intake.submit(connection.tenant, headers, work, company_ids=company_ids)
        if outcome is None:
            return Response(status_code=400)
        self._metrics.webhooks.labels(source.name, _outcome(outcome)).inc()
        return answer(outcome, many=True, status=source.success, nothing_is_fine=True)

    def _payload(
        self, request: Request, connection: Connection, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Payload:
        return Payload(
            body=body,
            headers=_headers(request) if headers is None else headers,
            own=connection.own,
            options=connection.options,
            method=request.method,
            url=self._url(request),
            query=dict(request.query_params),
            received_at=datetime.now(UTC),
        )

    def _url(self, request: Request) -> str:
        """The URL that the source called: behind a proxy it is known by configuration only."""
        public = self._settings.public_url
        if not public:
            return str(request.url)
        query = request.scope["query_string"].decode("latin-1")
        return f"{public.rstrip('/')}{request.scope['path']}{'?' if query else ''}{query}"

    def _unauthorised(self, source: Source, detail: str) -> Problem:
        self._metrics.webhooks.labels(source.name, "unauthorised").inc()
        return Problem(401, detail)


def _outcome(outcome: Outcome) -> str:
    if outcome.rejected:
        return "rejected"
    return "accepted" if outcome.ids else "ignored"


def _headers(request: Request) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
