"""`POST /v1/events`: every form that a body may have, and the answer once Kafka has replicated what was accepted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from voz_ingest.adapters.inbound.http.answers import answer
from voz_ingest.adapters.inbound.http.bodies import PART_EVENTS, Lines, read_whole, submit_whole, too_large
from voz_ingest.adapters.inbound.http.intake import Intake, Small
from voz_ingest.adapters.inbound.sources import PayloadError, api, cloudevents, decode
from voz_ingest.domain.budget import Held
from voz_ingest.domain.draft import Draft
from voz_ingest.use_cases import Outcome, Submission
from voz_streamkit.http.auth import EVENTS_WRITE, ApiKeys, authorise
from voz_streamkit.http.hot import Answer, Exchange, Request
from voz_streamkit.http.problems import FieldError, Problem

JSON = "application/json"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENTS_BATCH = "application/cloudevents-batch+json"
NDJSON = frozenset({"application/x-ndjson", "application/ndjson"})
MEDIA_TYPES = NDJSON | {JSON, CLOUDEVENT, CLOUDEVENTS_BATCH}
MAX_IDEMPOTENCY_KEY_CHARS = 255


class EventsEndpoint:
    """Takes events in every form that a body may have. `keys`: those in force."""

    def __init__(self, intake: Intake, keys: Callable[[], ApiKeys]) -> None:
        self._intake, self._settings, self._keys = intake, intake.settings, keys

    async def receive(self, request: Request) -> Answer:
        """Answer 202 when what was valid is replicated. Raises Problem for everything else."""
        if request.method != "POST":
            raise Problem(405, "Events are sent with POST.", headers={"Allow": "POST"})
        headers = request.headers
        tenant, sent_by = self._admit(headers)
        media_type, key = _media_type(headers), _idempotency_key(headers)
        many = media_type in NDJSON

        async def work(submission: Submission, held: Held) -> None:
            nonlocal many
            if media_type in NDJSON:
                await self._stream(request, submission, held)
            else:
                body = await read_whole(request, held, max_bytes=self._settings.max_body_bytes)
                drafts, many = self._read(headers, media_type, body)
                await submit_whole(submission, drafts, max_events=self._settings.max_batch_events)

        submitted = await self._intake.submit(tenant, headers, work, idempotency_key=key, sent_by=sent_by)
        return Answer(400) if submitted is None else answer(submitted, many=many)

    def receive_together(self, exchanges: Sequence[Exchange]) -> None:
        """The same for small requests, several at a time."""
        self._intake.receive_together(exchanges, self._small)

    def _small(self, exchange: Exchange, _: None) -> Small | None:
        """A request that is read at once; None for one that isn't small. Raises Problem."""
        headers, body = exchange.headers, exchange.body or b""
        tenant, sent_by = self._admit(headers)
        media_type, key = _media_type(headers), _idempotency_key(headers)
        if media_type in NDJSON:
            if len(body) > self._settings.max_stream_bytes:
                raise too_large(self._settings.max_stream_bytes)
            return None
        drafts, many = self._read(headers, media_type, body)
        if len(drafts) > PART_EVENTS:
            return None
        return Small(exchange, tenant, drafts, len(body), _complete, many=many, idempotency_key=key, sent_by=sent_by)

    def _admit(self, headers: Mapping[str, str]) -> tuple[str, str]:
        """The tenant and who sends for it. Raises Problem."""
        principal = authorise(self._keys(), headers.get("authorization", ""), EVENTS_WRITE)
        self._intake.admit(principal.tenant)
        return principal.tenant, f"key:{principal.key_id}"

    def _read(self, headers: Mapping[str, str], media_type: str, body: bytes) -> tuple[list[Draft], bool]:
        """The events of a body, and whether it is made for several. Raises Problem."""
        if len(body) > self._settings.max_body_bytes:
            raise too_large(self._settings.max_body_bytes)
        try:
            return _parse(headers, media_type, body)
        except PayloadError as error:
            detail = "The body can't be read; `errors` says why."
            raise Problem(422, detail, errors=[FieldError(error.pointer, error.detail)]) from None

    async def _stream(self, request: Request, submission: Submission, held: Held) -> None:
        most = self._settings.max_stream_events
        async for drafts in Lines(request, held, self._settings.max_line_bytes).parts():
            if submission.outcome.seen + len(drafts) > most:
                raise Problem(413, f"A stream holds at most {most} events: send the rest in another one.")
            await submission.add(drafts)
        await submission.finish()


def _complete(small: Small, outcome: Outcome) -> None:
    small.exchange.answer(answer(outcome, many=small.many))


def _media_type(headers: Mapping[str, str]) -> str:
    """The body's media type. Raises Problem 415 for one that isn't taken, and for a compressed body."""
    media_type = headers.get("content-type", "")
    if media_type not in MEDIA_TYPES:  # as it is nearly always written
        media_type = media_type.partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        taken = f"{JSON}, application/x-ndjson, {CLOUDEVENT}, {CLOUDEVENTS_BATCH}"
        raise Problem(415, f"The body's Content-Type must be one of {taken}.", headers={"Accept-Post": taken})
    if "content-encoding" in headers and headers["content-encoding"].lower() != "identity":
        raise Problem(415, "The body must not be compressed.", headers={"Accept-Encoding": "identity"})
    return media_type


def _parse(headers: Mapping[str, str], media_type: str, body: bytes) -> tuple[list[Draft], bool]:
    """The events of a body, and whether it is made for several. Raises PayloadError."""
    if media_type == CLOUDEVENT:
        return [cloudevents.structured(decode(body))], False
    if media_type == CLOUDEVENTS_BATCH:
        return cloudevents.batch(decode(body)), True
    if cloudevents.is_binary(headers):
        return [cloudevents.binary(headers, body)], False
    decoded = decode(body)
    return api.drafts(decoded), isinstance(decoded, list)


def _idempotency_key(headers: Mapping[str, str]) -> str:
    """The request's key. Raises Problem 422 for one that is too long: cut short it would name others' requests."""
    key = headers.get("idempotency-key", "")
    if len(key) > MAX_IDEMPOTENCY_KEY_CHARS:
        detail = f"must have at most {MAX_IDEMPOTENCY_KEY_CHARS} characters"
        raise Problem(422, "A header is not valid.", errors=[FieldError("/header/idempotency-key", detail)])
    return key
