"""`POST /v1/events`: every form that a body may have, and the answer once Kafka has replicated what was accepted."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from random import getrandbits
from uuid import uuid4

import structlog
from fastapi import FastAPI, Request, Response
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voz_ingest.adapters.inbound.http import document
from voz_ingest.adapters.inbound.http.answers import answer, interrupted
from voz_ingest.adapters.inbound.http.bodies import PART_EVENTS, Lines, discard_rest, read_whole
from voz_ingest.adapters.inbound.sources import PayloadError, api, cloudevents, decode
from voz_ingest.config import Settings
from voz_ingest.domain.budget import ByteBudget, Held, OverBudgetError
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.rate import RateLimit
from voz_ingest.metrics import IngestMetrics
from voz_ingest.ports import EventLog, LogUnavailableError
from voz_ingest.use_cases import Submission
from voz_streamkit.health import Health
from voz_streamkit.http.app import create_app
from voz_streamkit.http.auth import EVENTS_WRITE, requires
from voz_streamkit.http.problems import FieldError, Problem, problem_response
from voz_streamkit.tracing import inject_traceparent

VERSION = "0.1.0"
JSON = "application/json"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENTS_BATCH = "application/cloudevents-batch+json"
NDJSON = frozenset({"application/x-ndjson", "application/ndjson"})
MEDIA_TYPES = NDJSON | {JSON, CLOUDEVENT, CLOUDEVENTS_BATCH}
MAX_IDEMPOTENCY_KEY_CHARS = 255
_log = structlog.get_logger(__name__)
_authorise = requires(EVENTS_WRITE)
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def build_app(
    settings: Settings,
    log: EventLog,
    health: Health,
    budget: ByteBudget,
    metrics: IngestMetrics,
) -> FastAPI:
    """The HTTP service over a log. Its `state.api_keys` (streamkit's auth) is still to be set."""
    app = create_app(
        title="Voz ingest",
        version=VERSION,
        description=document.DESCRIPTION,
        health=health,
        metrics=metrics.shared,
        max_body_bytes=max(settings.max_stream_bytes, settings.max_body_bytes),
    )
    endpoint = EventsEndpoint(settings, log, budget, metrics)
    app.user_middleware.append(Middleware(_Events, endpoint=endpoint))  # the innermost one
    document.complete(app)
    return app


class _Events:
    """Takes `/v1/events` before the router: matching routes, checking parameters and reading bodies the framework's way
    would cost as much as everything that is done for the event, and can't stream."""

    path = document.EVENTS_PATH  # the request metrics take their label from here, as from a route

    def __init__(self, app: ASGIApp, endpoint: EventsEndpoint) -> None:
        self._app, self._endpoint = app, endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self.path:
            await self._app(scope, receive, send)
            return
        scope["route"] = self
        complete = False

        async def tracked() -> Message:
            nonlocal complete
            message = await receive()
            complete = not message.get("more_body", False)
            return message

        try:
            if scope["method"] != "POST":
                raise Problem(405, "Events are sent with POST.", headers={"Allow": "POST"})
            response = await self._endpoint.receive(Request(scope, tracked))
        except Problem as problem:
            response = problem_response(problem)
            if not complete:
                await discard_rest(tracked)
        await response(scope, receive, send)


class EventsEndpoint:
    """Takes events in every form that a body may have."""

    def __init__(self, settings: Settings, log: EventLog, budget: ByteBudget, metrics: IngestMetrics) -> None:
        self._settings, self._log, self._budget, self._metrics = settings, log, budget, metrics
        self._traced = settings.otlp_endpoint is not None
        self._rate = RateLimit(settings.rate_events_per_second, settings.rate_burst_events)

    async def receive(self, request: Request) -> Response:
        """Answer 202 when what was valid is replicated. Raises Problem for everything else."""
        tenant = _authorise(request).tenant
        self._check_rate(tenant)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
        media_type = _media_type(headers)
        submission = Submission(
            self._log,
            uuid4,
            tenant=tenant,
            received_at=datetime.now(UTC),
            max_text_bytes=self._settings.max_text_bytes,
            idempotency_key=_idempotency_key(headers),
            traceparent=inject_traceparent() if self._traced else _traceparent(headers),
        )
        with self._budget.hold() as held:
            try:
                if media_type in NDJSON:
                    many = True
                    await self._stream(request, submission, held)
                else:
                    many = await self._whole(request, headers, media_type, submission, held)
            except ClientDisconnect:
                await _settle(submission)
                return Response(status_code=400)  # nobody reads it
            except (Problem, OverBudgetError, LogUnavailableError) as error:
                await _settle(submission)
                raise self._interrupted(error, submission) from error
            finally:
                outcome = submission.outcome
                self._metrics.accepted.inc(len(outcome.ids))
                self._metrics.rejected.inc(len(outcome.rejected))
                self._rate.charge(tenant, outcome.seen, time.monotonic())
        return answer(outcome, many=many)

    def _check_rate(self, tenant: str) -> None:
        wait_seconds = self._rate.wait_seconds(tenant, time.monotonic())
        if wait_seconds > 0:
            self._metrics.refused.labels("rate").inc()
            detail = f"More than {self._rate.events_per_second:g} events a second from this tenant."
            raise Problem(429, detail, headers={"Retry-After": str(math.ceil(wait_seconds))})

    async def _whole(
        self, request: Request, headers: Mapping[str, str], media_type: str, submission: Submission, held: Held
    ) -> bool:
        """Submit a body that is read at once. Returns whether it is one of several events."""
        declared = headers.get("content-length", "")
        body = await read_whole(request, held, declared=declared, max_bytes=self._settings.max_body_bytes)
        try:
            drafts, many = _parse(headers, media_type, body)
        except PayloadError as error:
            detail = "The body can't be read; `errors` says why."
            raise Problem(422, detail, errors=[FieldError(error.pointer, error.detail)]) from None
        most = self._settings.max_batch_events
        if len(drafts) > most:
            detail = (
                f"A batch holds at most {most} events, and this one has {len(drafts)}: send it in parts, or one event"
                " a line as application/x-ndjson, which is read as a stream."
            )
            raise Problem(413, detail)
        last = max(0, len(drafts) - 1) // PART_EVENTS * PART_EVENTS
        for begin in range(0, last, PART_EVENTS):
            await submission.add(drafts[begin : begin + PART_EVENTS])
        await submission.finish(drafts[last:])
        return many

    async def _stream(self, request: Request, submission: Submission, held: Held) -> None:
        most = self._settings.max_stream_events
        async for drafts in Lines(request, held, self._settings.max_line_bytes).parts():
            if submission.outcome.seen + len(drafts) > most:
                raise Problem(413, f"A stream holds at most {most} events: send the rest in another one.")
            await submission.add(drafts)
        await submission.finish()

    def _interrupted(self, error: Problem | OverBudgetError | LogUnavailableError, submission: Submission) -> Problem:
        """The problem to answer, saying what had been accepted before it."""
        match error:
            case OverBudgetError():
                self._metrics.refused.labels("overload").inc()
                error = LogUnavailableError("Too much is in flight.", retry_after_seconds=1)
            case LogUnavailableError():
                self._metrics.refused.labels("kafka").inc()
        return interrupted(error, submission.outcome)


def _media_type(headers: Mapping[str, str]) -> str:
    """The body's media type. Raises Problem 415 for one that isn't taken, and for a compressed body."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        taken = f"{JSON}, application/x-ndjson, {CLOUDEVENT}, {CLOUDEVENTS_BATCH}"
        raise Problem(415, f"The body's Content-Type must be one of {taken}.", headers={"Accept-Post": taken})
    if headers.get("content-encoding", "identity").lower() != "identity":
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


def _traceparent(headers: Mapping[str, str]) -> str:
    """The trace that the events belong to, the caller's or a new one, so that a record can always be followed.

    With tracing on it is that of the span which FastAPI makes of the request.
    """
    said = headers.get("traceparent", "")
    if _TRACEPARENT.fullmatch(said):
        return said
    return f"00-{getrandbits(128):032x}-{getrandbits(64):016x}-01"


async def _settle(submission: Submission) -> None:
    """Wait for the part under way, so that the outcome is known; that it failed too is nothing new."""
    try:
        await submission.settle()
    except LogUnavailableError as error:
        _log.info("a part under way was not acknowledged either", error=error.detail)
