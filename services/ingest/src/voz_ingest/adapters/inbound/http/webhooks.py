"""`POST|GET /v1/webhooks/{connection}`: a source's own webhook, in its own shape and with its own signature."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson
import structlog

from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.inbound.http.answers import answer
from voz_ingest.adapters.inbound.http.bodies import PART_EVENTS, read_whole, submit_whole, too_large
from voz_ingest.adapters.inbound.http.document import WEBHOOKS_PATH
from voz_ingest.adapters.inbound.http.intake import Intake, Small
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, Source
from voz_ingest.domain.budget import Held
from voz_ingest.domain.connection import Connection
from voz_ingest.domain.draft import Draft
from voz_ingest.metrics import IngestMetrics
from voz_ingest.ports import Announcements, Evidence, Fetch, LogUnavailableError, Nonces, RawPayloads
from voz_ingest.use_cases import Outcome, Submission
from voz_streamkit.errors import is_transient
from voz_streamkit.http.hot import Answer, Exchange, Request
from voz_streamkit.http.problems import FieldError, Problem

MAX_CERTIFICATES, MAX_REASONS = 100, 20
_RETRY = {"Retry-After": "5"}
_log = structlog.get_logger(__name__)
PREFIX = WEBHOOKS_PATH.removesuffix("{connection}")


@dataclass(frozen=True, slots=True)
class WebhookPorts:
    """What webhooks need beside the log. Without `announcements` (no PostgreSQL) what only announces is refused."""

    evidence: Evidence
    raw: RawPayloads
    web: Fetch
    nonces: Nonces
    announcements: Announcements | None = None


class _Sent(NamedTuple):
    """A payload and whose it is."""

    connection: Connection
    source: Source
    payload: Payload

    @property
    def keeps_raw(self) -> bool:
        return self.connection.options.get("keep_raw") is True


class WebhooksEndpoint:
    """Takes what sources send by themselves.

    Nothing of a body is read before its signature is found right; then events are taken as from `/v1/events`, and what
    can't be read is kept as evidence, because a source can't mend what it sent.
    """

    def __init__(self, intake: Intake, metrics: IngestMetrics, ports: WebhookPorts) -> None:
        self._intake, self._settings, self._metrics = intake, intake.settings, metrics
        self._ports = ports
        self._certificates: dict[str, bytes] = {}

    async def receive(self, request: Request) -> Answer:
        """Answer 202 (or what the source wants to hear) when what was valid is replicated. Raises Problem."""
        connection = self._connection(request.path.removeprefix(PREFIX))
        source = sources.load(connection.source)
        if request.method == "POST":
            return await self._post(request, connection, source)
        if request.method == "GET" and source.challenge:
            return self._challenge(request, connection, source)
        if request.method == "HEAD":  # some sources look whether anybody is there before they send
            return Answer(200)
        allowed = "POST, GET, HEAD" if source.challenge else "POST, HEAD"
        raise Problem(405, f"{connection.source} sends with POST.", headers={"Allow": allowed})

    def _connection(self, name: str) -> Connection:
        found = self._intake.connections.value.by_id.get(name)
        if found is None:
            raise Problem(404, "There is no such connection: VOZ_CONNECTIONS_FILE declares them.")
        return found

    def _challenge(self, request: Request, connection: Connection, source: Source) -> Answer:
        assert source.challenge is not None
        try:
            reply = source.challenge(self._payload(request, connection, b""), connection.secrets)
        except PayloadError as error:
            raise self._unauthorised(source, error.detail) from None
        return Answer(200, reply.body.encode(), reply.media_type, {"X-Content-Type-Options": "nosniff"})

    async def _post(self, request: Request, connection: Connection, source: Source) -> Answer:
        self._intake.admit(connection.tenant)
        payload: Payload | None = None

        async def work(submission: Submission, held: Held) -> None:
            nonlocal payload
            body = await read_whole(request, held, max_bytes=self._settings.max_body_bytes)
            payload = await self._verified(source, self._payload(request, connection, body), connection)
            drafts = await self._read(source, payload, connection)
            await self._spend(source, payload, connection, drafts)
            await submit_whole(submission, drafts, max_events=self._settings.max_batch_events)

        company_ids = not source.knows_customers_itself(connection.options)
        outcome = await self._intake.submit(
            connection.tenant, request.headers, work, company_ids=company_ids, sent_by=f"connection:{connection.id}"
        )
        if outcome is None or payload is None:
            return Answer(400)
        return await self._complete(_Sent(connection, source, payload), outcome)

    def receive_together(self, exchanges: Sequence[Exchange]) -> None:
        """The same for small requests, several at a time."""
        self._intake.receive_together(exchanges, self._sent, self._signed, self._small)

    def _sent(self, exchange: Exchange, _: None) -> _Sent | None:
        """Whose payload it is; None when anything has to be waited for. Raises Problem."""
        connection = self._connection(exchange.path.removeprefix(PREFIX))
        source, body = sources.load(connection.source), exchange.body or b""
        if source.needs or source.nonce or source.announced or source.follow:
            return None
        self._intake.admit(connection.tenant)
        if len(body) > self._settings.max_body_bytes:
            raise too_large(self._settings.max_body_bytes)
        return _Sent(connection, source, self._payload(exchange, connection, body))

    def _signed(self, _: Exchange, sent: _Sent) -> _Sent:
        if not sent.source.verify(sent.payload, sent.connection.secrets):
            raise self._unauthorised(sent.source, "The signature is not valid.")
        return sent

    def _small(self, exchange: Exchange, sent: _Sent) -> Small | None:
        """A payload that is read at once; None for one that is long or can't be read."""
        connection, source, payload = sent
        try:
            drafts = source.drafts(payload)
        except PayloadError:
            return None
        if len(drafts) > PART_EVENTS:
            return None
        return Small(
            exchange,
            connection.tenant,
            drafts,
            len(payload.body),
            partial(self._complete_small, sent),
            company_ids=not source.knows_customers_itself(connection.options),
            sent_by=f"connection:{connection.id}",
        )

    def _complete_small(self, sent: _Sent, small: Small, outcome: Outcome) -> None:
        if outcome.rejected or sent.keeps_raw:
            small.exchange.finish_with(self._complete(sent, outcome))
        else:
            small.exchange.answer(self._answer(sent, outcome))

    async def _complete(self, sent: _Sent, outcome: Outcome) -> Answer:
        """Keep what is to be kept of a payload whose events are in the log, and answer. Raises Problem."""
        connection, payload = sent.connection, sent.payload
        if outcome.rejected:
            await self._put_aside(connection, payload, "rejected", _why(outcome))
        if sent.keeps_raw:
            with _unavailable():
                await self._ports.raw.put(
                    connection, payload.body, payload.headers, received_at=payload.received_at, ids=outcome.ids
                )
        return self._answer(sent, outcome)

    def _answer(self, sent: _Sent, outcome: Outcome) -> Answer:
        self._metrics.webhooks.labels(sent.source.name, _outcome(outcome)).inc()
        return answer(outcome, many=True, status=sent.source.success, nothing_is_fine=True)

    async def _verified(self, source: Source, payload: Payload, connection: Connection) -> Payload:
        """The payload, with what is needed to verify it. Raises Problem 401."""
        if source.needs:
            payload = replace(payload, fetched={url: await self._certificate(url) for url in source.needs(payload)})
        if not source.verify(payload, connection.secrets):
            raise self._unauthorised(source, "The signature is not valid.")
        return payload

    async def _read(self, source: Source, payload: Payload, connection: Connection) -> list[Draft]:
        """The payload's events; what it only announces is kept, to be fetched. Raises Problem."""
        try:
            drafts = source.drafts(payload)
        except PayloadError as error:
            self._metrics.webhooks.labels(source.name, "unreadable").inc()
            await self._put_aside(connection, payload, "unreadable", f"{error.pointer}: {error.detail}")
            detail = "The payload can't be read; `errors` says why."
            raise Problem(422, detail, errors=[FieldError(error.pointer, error.detail)]) from None
        if source.announced and source.announced(payload, connection.secrets):
            await self._announce(connection, payload)
        for url in source.follow(payload) if source.follow else ():
            await self._fetch(url)
        return drafts

    async def _spend(self, source: Source, payload: Payload, connection: Connection, drafts: Sequence[Draft]) -> None:
        """Use up the payload's one-time value, if it has one. Raises Problem 401 when something else has used it."""
        nonce = source.nonce(payload) if source.nonce else ""
        if not nonce or not drafts:
            return
        digest = hashlib.sha256(orjson.dumps([draft.plain for draft in drafts])).digest()
        with _database("PostgreSQL can't say whether this came before."):
            if not await self._ports.nonces.claim(connection, nonce, digest):
                raise self._unauthorised(source, "The signature was used before, for something else.")

    async def _announce(self, connection: Connection, payload: Payload) -> None:
        if self._ports.announcements is None:
            raise Problem(503, "What this payload announces can't be fetched: VOZ_POSTGRES_DSN is not set.")
        with _database("PostgreSQL can't take it at present."):
            await self._ports.announcements.add(connection, payload.body, payload.headers)

    async def _certificate(self, url: str) -> bytes:
        """A certificate, which never changes under its URL."""
        if url not in self._certificates:
            if len(self._certificates) >= MAX_CERTIFICATES:
                self._certificates.clear()
            self._certificates[url] = await self._fetch(url)
        return self._certificates[url]

    async def _fetch(self, url: str) -> bytes:
        """What the source pinned: its module has checked the host, and the client checks the address."""
        host = urlsplit(url).netloc
        try:
            return await self._ports.web.fetch(url, hosts=(host,))
        except Exception as error:
            _log.warning("a source's URL can't be fetched", host=host, error=str(error)[:500])
            raise Problem(503, f"{host} can't be asked at present. Try again later.", headers=_RETRY) from error

    async def _put_aside(self, connection: Connection, payload: Payload, reason: str, detail: str) -> None:
        with _unavailable():
            await self._ports.evidence.put(connection, payload.body, payload.headers, reason=reason, detail=detail)

    def _payload(self, request: Request, connection: Connection, body: bytes) -> Payload:
        return Payload(
            body=body,
            headers=request.headers,
            own=connection.own,
            options=connection.options,
            method=request.method,
            url=self._url(request),
            query=request.query,
            received_at=datetime.now(UTC),
        )

    def _url(self, request: Request) -> str:
        """The URL that the source called: behind a proxy it is known by configuration only."""
        public = self._settings.public_url
        if not public:
            return request.url
        query = request.query_string.decode("latin-1")
        return f"{public.rstrip('/')}{request.path}{'?' if query else ''}{query}"

    def _unauthorised(self, source: Source, detail: str) -> Problem:
        self._metrics.webhooks.labels(source.name, "unauthorised").inc()
        return Problem(401, detail)


@contextmanager
def _database(detail: str) -> Iterator[None]:
    """What needs PostgreSQL waits for it: the source sends it again."""
    try:
        yield
    except Problem:
        raise
    except Exception as error:
        if not is_transient(error):
            raise
        raise Problem(503, f"{detail} Try again later.", headers=_RETRY) from error


@contextmanager
def _unavailable() -> Iterator[None]:
    """What can't be kept is not accepted: the source sends it again."""
    try:
        yield
    except LogUnavailableError as error:
        raise Problem(503, error.detail, headers={"Retry-After": str(error.retry_after_seconds)}) from error


def _why(outcome: Outcome) -> str:
    """What was wrong, event by event."""
    found = [
        f"event {rejected.index}: {error.pointer}: {error.detail}"
        for rejected in outcome.rejected
        for error in rejected.errors
    ]
    return "; ".join(found[:MAX_REASONS])


def _outcome(outcome: Outcome) -> str:
    if outcome.rejected:
        return "rejected"
    return "accepted" if outcome.ids else "ignored"
