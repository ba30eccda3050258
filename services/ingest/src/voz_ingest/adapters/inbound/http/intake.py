"""What every way in shares: how much a tenant may send, the byte budget, the submission, and what is counted."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from random import getrandbits
from typing import Any
from uuid import uuid4

import structlog
from starlette.requests import ClientDisconnect

from voz_ingest.adapters.inbound.connections import ConnectionsInForce, Tenant
from voz_ingest.adapters.inbound.http.answers import interrupted
from voz_ingest.config import Settings
from voz_ingest.domain.budget import ByteBudget, Held, OverBudgetError
from voz_ingest.domain.connection import TenantLimits
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.event import ReceivedEvent
from voz_ingest.domain.quota import DailyUsage, seconds_until_tomorrow
from voz_ingest.domain.rate import RateLimit
from voz_ingest.metrics import IngestMetrics
from voz_ingest.ports import EventLog, LogUnavailableError, Part
from voz_ingest.use_cases import Outcome, Submission
from voz_streamkit.http.hot import Exchange
from voz_streamkit.http.problems import Problem
from voz_streamkit.tracing import inject_traceparent

_log = structlog.get_logger(__name__)
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

# Of a request, and of what the step before made of it. It raises Problem, or gives None for what its endpoint is to
# answer alone.
Step = Callable[[Exchange, Any], Any]
Work = Callable[[Submission, Held], Awaitable[None]]


@dataclass(slots=True)
class Small:
    """A small request whose events are all there. `complete` answers it when they are acknowledged."""

    exchange: Exchange
    tenant: str
    drafts: Sequence[Draft]
    size: int
    complete: Callable[[Small, Outcome], None]
    many: bool = False
    company_ids: bool = True
    idempotency_key: str = ""
    sent_by: str = ""


class Intake:
    """Lets requests in, and makes of what they hold one submission each."""

    def __init__(
        self,
        settings: Settings,
        log: EventLog,
        budget: ByteBudget,
        metrics: IngestMetrics,
        connections: ConnectionsInForce,
        usage: DailyUsage,
    ) -> None:
        self.settings, self.connections = settings, connections
        self._log, self._budget, self._metrics = log, budget, metrics
        self._traced = settings.otlp_endpoint is not None
        self._default_limits = TenantLimits(settings.rate_events_per_second, settings.rate_burst_events)
        self._limits_of: dict[str, tuple[Tenant, TenantLimits]] = {}
        self._rate = RateLimit()
        self._usage = usage

    def admit(self, tenant: str) -> None:
        """Raise Problem 429 when the tenant has sent as much as it may."""
        limits = self._limits(tenant)
        wait_seconds = self._rate.wait_seconds(tenant, limits, time.monotonic())
        if wait_seconds > 0:
            self._metrics.refused.labels("rate").inc()
            detail = f"More than {limits.events_per_second:g} events a second from this tenant."
            raise _too_much(detail, wait_seconds)
        if limits.events_per_day is not None:
            now = datetime.now(UTC)
            if self._usage.used(tenant, now) >= limits.events_per_day:
                self._metrics.refused.labels("quota").inc()
                detail = f"More than {limits.events_per_day} events today from this tenant; the day is UTC's."
                raise _too_much(detail, seconds_until_tomorrow(now))

    async def submit(
        self,
        tenant: str,
        headers: Mapping[str, str],
        work: Work,
        *,
        company_ids: bool = True,
        idempotency_key: str = "",
        sent_by: str = "",
    ) -> Outcome | None:
        """What became of the events that `work` hands over; None when the client went away meanwhile.

        Raises Problem: what `work` raises, 503 when there is no room or the log doesn't acknowledge.
        """
        submission = self._begin(
            tenant,
            headers,
            datetime.now(UTC),
            company_ids=company_ids,
            idempotency_key=idempotency_key,
            sent_by=sent_by,
        )
        with self._budget.hold() as held:
            try:
                await work(submission, held)
            except ClientDisconnect:
                await _settle(submission)
                return None
            except (Problem, OverBudgetError, LogUnavailableError) as error:
                await _settle(submission)
                raise self._interrupted(error, submission.outcome) from error
            finally:
                self._rate.charge(tenant, self._limits(tenant), submission.outcome.seen, time.monotonic())
                self._count(tenant, submission.outcome)
        return submission.outcome

    def receive_together(self, exchanges: Sequence[Exchange], *steps: Step) -> None:
        """The same for requests that are all there, several at a time. Each of `steps` is taken for all of them before
        the next (the same code again and again is quicker); the last makes Smalls. Then their events are read, then
        appended, and each request is answered when its own are acknowledged."""
        made: list[tuple[Exchange, Any]] = [(exchange, None) for exchange in exchanges]
        for step in steps:
            before, made = made, []
            for exchange, value in before:
                try:
                    found = step(exchange, value)
                except Problem as problem:
                    exchange.fail(problem)
                else:
                    if found is None:
                        exchange.alone()
                    else:
                        made.append((exchange, found))
        self._submit_together([small for _, small in made])

    def _submit_together(self, smalls: Sequence[Small]) -> None:
        parts, begun, received_at, now = [], [], datetime.now(UTC), time.monotonic()
        try:
            for small in smalls:
                try:
                    self._budget.take(small.size)
                except OverBudgetError as error:
                    small.exchange.fail(self._interrupted(error, Outcome()))
                    continue
                begun.append(small)
                submission = self._begin(
                    small.tenant,
                    small.exchange.headers,
                    received_at,
                    company_ids=small.company_ids,
                    idempotency_key=small.idempotency_key,
                    sent_by=small.sent_by,
                )
                events = submission.read(small.drafts)
                self._rate.charge(small.tenant, self._limits(small.tenant), submission.outcome.seen, now)
                settled = partial(self._settle, small, submission.outcome, events)
                if events:
                    parts.append(Part(events, settled))
                else:
                    settled(None)
            if parts:
                self._log.begin(parts)
        except Exception as error:  # a bug; whoever isn't answered must not hold its bytes for ever
            for small in begun:
                self._give_back(small)
                small.exchange.fail_unexpectedly(error)

    def _give_back(self, small: Small) -> None:
        size, small.size = small.size, 0
        self._budget.give(size)

    def _settle(
        self, small: Small, outcome: Outcome, events: Sequence[ReceivedEvent], error: LogUnavailableError | None
    ) -> None:
        self._give_back(small)
        try:
            if error is None:
                outcome.ids = [event.id for event in events]
            self._count(small.tenant, outcome)
            if error is None:
                small.complete(small, outcome)
            else:
                small.exchange.fail(self._interrupted(error, outcome))
        except Problem as problem:
            small.exchange.fail(problem)
        except Exception as unexpected:  # whoever tells us has others to tell
            small.exchange.fail_unexpectedly(unexpected)

    def _begin(
        self,
        tenant: str,
        headers: Mapping[str, str],
        received_at: datetime,
        *,
        company_ids: bool,
        idempotency_key: str,
        sent_by: str,
    ) -> Submission:
        return Submission(
            self._log,
            uuid4,
            tenant=tenant,
            received_at=received_at,
            max_text_bytes=self.settings.max_text_bytes,
            company_ids=company_ids,
            pseudonym_key=self.connections.value.tenant(tenant).pseudonym_key,
            idempotency_key=idempotency_key,
            traceparent=inject_traceparent() if self._traced else _traceparent(headers),
            sent_by=sent_by,
        )

    def _count(self, tenant: str, outcome: Outcome) -> None:
        """Count what became of a request's events."""
        if outcome.ids:
            self._metrics.accepted.inc(len(outcome.ids))
            self._usage.charge(tenant, len(outcome.ids), datetime.now(UTC))
        if outcome.rejected:
            self._metrics.rejected.inc(len(outcome.rejected))

    def _limits(self, tenant: str) -> TenantLimits:
        said = self.connections.value.tenant(tenant)
        known = self._limits_of.get(tenant)
        if known is None or known[0] is not said:
            known = self._limits_of[tenant] = (said, said.limits(self._default_limits))
        return known[1]

    def _interrupted(self, error: Problem | OverBudgetError | LogUnavailableError, outcome: Outcome) -> Problem:
        """The problem to answer, saying what had been accepted before it."""
        match error:
            case OverBudgetError():
                self._metrics.refused.labels("overload").inc()
                error = LogUnavailableError("Too much is in flight.", retry_after_seconds=1)
            case LogUnavailableError():
                self._metrics.refused.labels("kafka").inc()
        return interrupted(error, outcome)


def _too_much(detail: str, wait_seconds: float) -> Problem:
    return Problem(429, detail, headers={"Retry-After": str(math.ceil(wait_seconds))})


def _traceparent(headers: Mapping[str, str]) -> str:
    """The trace that the events belong to, the caller's or a new one, so that a record can always be followed.

    With tracing on it is that of the span which FastAPI makes of the request.
    """
    said = headers.get("traceparent", "")
    if said and _TRACEPARENT.fullmatch(said):
        return said
    digits = f"{getrandbits(192):048x}"
    return f"00-{digits[:32]}-{digits[32:]}-01"


async def _settle(submission: Submission) -> None:
    """Wait for the part under way, so that the outcome is known; that it failed too is nothing new."""
    try:
        await submission.settle()
    except LogUnavailableError as error:
        _log.info("a part under way was not acknowledged either", error=error.detail)
