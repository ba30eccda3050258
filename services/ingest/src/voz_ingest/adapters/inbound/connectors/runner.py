"""One connector: asks its source, delivers what it says, and keeps where it stands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from voz_ingest.adapters.inbound.connectors.declared import Declared
from voz_ingest.adapters.inbound.connectors.delivery import Delivery, Read
from voz_ingest.adapters.inbound.connectors.streaming import listening
from voz_ingest.adapters.inbound.sources import Advance, Mailbox, Payload, PayloadError, PullState
from voz_ingest.adapters.outbound.guard import RefusedUrlError
from voz_ingest.adapters.outbound.imap import ImapRefusedError
from voz_ingest.adapters.outbound.transports import Transports
from voz_ingest.adapters.outbound.web import StatusError
from voz_ingest.domain.connector import Lease, Recent
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.pacing import backoff_seconds, exhausted_seconds, refusal_seconds
from voz_ingest.metrics import ConnectMetrics
from voz_ingest.ports import ConnectorStore, LeaseLostError, LogUnavailableError
from voz_streamkit.backoff import pause
from voz_streamkit.errors import is_transient

T = TypeVar("T")
_log = structlog.get_logger(__name__)
MESSAGES_AT_ONCE = 200
IDLE_SECONDS = 15.0
SAVE_SECONDS = 5.0
"""How seldom the position of a stream is kept while nothing of it concerns anybody."""
PAGES_AT_ONCE = 1000
"""Pages of one round: a source whose pages have no end is left alone for a while."""
EVIDENCE_AFTER = 5
"""Attempts after which an unreadable page is no accident of the network."""


class StoppedError(Exception):
    """The process stops; nothing is wrong."""


class UnreadableError(Exception):
    """A page can't be read, and without it nobody knows what comes next."""

    def __init__(self, payload: Payload, error: PayloadError) -> None:
        super().__init__(f"unreadable: {error}")
        self.payload = payload


@dataclass(frozen=True, slots=True)
class Parts:
    """What all connectors of a process share. `jitter` gives numbers in 0..1."""

    store: ConnectorStore
    transports: Transports
    delivery: Delivery
    metrics: ConnectMetrics
    jitter: Callable[[], float]
    max_backoff_seconds: float


class Runner:
    """Runs a connector while its lease is held.

    - The position is kept after what was brought is acknowledged, in one statement that a stale lease can't write. So
      whatever is killed, the next one begins at an event that was not acknowledged, or brings some a second time; their
      ids are the same.
    - Any failure is kept, counted, and followed by a wait: what the source says, else a backoff with full jitter.
    """

    def __init__(self, declared: Declared, lease: Lease, parts: Parts) -> None:
        self.declared, self.lease = declared, lease
        self.stop = asyncio.Event()
        self.held_until = 0.0
        """Monotonic seconds until which nobody else can have the lease; the supervisor moves it ahead."""
        self._parts = parts
        self._connection, self._source = declared.connection, declared.source
        self._position, self._recent, self._failures = lease.position, Recent(lease.recent), lease.failures
        self._saved_at = 0.0

    async def run(self) -> None:
        """Until `stop`, then give the lease back; or until the lease is lost."""
        labels = (self._connection.id, self._connection.source)
        self._parts.metrics.running.labels(*labels).set(1)
        try:
            await pause(self.lease.due_in_seconds, self.stop)
            while not self.stop.is_set():
                await pause(await self._round(), self.stop)
            await self._parts.store.release(self.lease)
        except LeaseLostError:
            self._parts.metrics.leases_lost.inc()
            _log.info("connector is another's now, or begins anew", connection=self._connection.id)
        finally:
            self._parts.metrics.running.labels(*labels).set(0)

    async def _round(self) -> float:
        """Ask as long as there is more. Returns how long to wait then. Raises LeaseLostError."""
        try:
            return await (self._listen() if self._source.streams else self._poll())
        except StoppedError:
            return 0.0
        except LeaseLostError:
            raise
        except Exception as error:  # also a fault of ours: it must not stop the other connectors
            return await self._failed(error)

    async def _poll(self) -> float:
        assert self._source.pull is not None
        for _ in range(PAGES_AT_ONCE):
            asked = self._source.pull(self._state())
            payloads = await self._unless_stopped(
                self._parts.transports.ask(asked, self._connection, self.declared.hosts)
            )
            before, advance = self._position, await self._take(payloads, each_alone=isinstance(asked, Mailbox))
            again = advance.again and advance.position != before
            if advance.again and not again:
                _log.warning("source repeats its page", connection=self._connection.id)
            wait = 0.0 if again else advance.wait_seconds
            exhausted = max((exhausted_seconds(each.headers, datetime.now(UTC)) for each in payloads), default=0.0)
            wait = max(exhausted, self.declared.poll_seconds if wait is None else wait)
            await self._save(wait)
            if wait > 0 or not again or self.stop.is_set():
                return wait
        return self.declared.poll_seconds

    async def _listen(self) -> float:
        assert self._source.streams is not None
        pulls = self._source.streams(self._state())
        async with listening(pulls, self.declared, self._parts.transports) as streams:
            await self._unless_stopped(streams.opened())
            if self._source.pull:  # what was said before the streams were open; they hold what is said meanwhile
                await self._poll()
            await self._save(0.0)
            while not self.stop.is_set():
                payloads = await self._unless_stopped(streams.batch(MESSAGES_AT_ONCE, seconds=IDLE_SECONDS))
                brought = self._recent.changed
                await self._take(payloads, each_alone=True, streamed=True)
                if self._recent.changed or brought or time.monotonic() - self._saved_at >= SAVE_SECONDS:
                    await self._save(0.0)
        return 0.0

    async def _take(self, payloads: Sequence[Payload], *, each_alone: bool, streamed: bool = False) -> Advance:
        """Deliver what payloads hold, then stand behind them. `each_alone`: one that can't be read is put aside."""
        reads, advance = [], Advance(self._position)
        for payload in payloads:
            if not streamed or self._source.wanted is None or self._source.wanted(payload):
                drafts = await self._drafts(payload, each_alone)
                reads.append(Read(payload, self._fresh(drafts, streamed)))
        if any(read.drafts for read in reads):
            await self._insist(lambda: self._parts.delivery.deliver(self._connection, self._source, reads))
            self._recent.add(_id(draft) for read in reads for draft in read.drafts if _id(draft))
        assert self._source.advance is not None
        for payload in payloads:
            try:
                advance = self._source.advance(self._state(), payload)
            except PayloadError as error:
                if not each_alone:
                    raise UnreadableError(payload, error) from None
                continue
            self._position = advance.position
        return advance

    async def _drafts(self, payload: Payload, each_alone: bool) -> Sequence[Draft]:
        try:
            return self._source.drafts(payload)
        except PayloadError as error:
            if not each_alone:
                raise UnreadableError(payload, error) from None
            await self._put_aside(payload, str(error))
            return []

    def _fresh(self, drafts: Sequence[Draft], streamed: bool) -> Sequence[Draft]:
        """What wasn't brought before. Of a stream, deletions of what was never brought are nobody's."""
        known = [draft for draft in drafts if _id(draft) in self._recent]
        rest = [draft for draft in drafts if _id(draft) not in self._recent]
        fresh = [draft for draft in rest if not streamed or _deleted(draft) is None or _deleted(draft) in self._recent]
        self._count("known", len(known))
        self._count("passed_over", len(rest) - len(fresh))
        return fresh

    async def _save(self, wait_seconds: float) -> None:
        recent = self._recent.packed() if self._recent.changed else None
        await self._insist(
            lambda: self._parts.store.save(self.lease, self._position, recent, wait_seconds=wait_seconds)
        )
        self._recent.changed, self._failures, self._saved_at = False, 0, time.monotonic()
        labels = (self._connection.id, self._connection.source)
        self._parts.metrics.last_success.labels(*labels).set_to_current_time()

    async def _failed(self, error: Exception) -> float:
        """Keep a failure. Returns how long to wait."""
        self._failures += 1
        wait = backoff_seconds(self._failures, self._parts.jitter(), max_seconds=self._parts.max_backoff_seconds)
        detail = str(error) or type(error).__name__
        match error:
            case StatusError():
                wait, detail = self._refused(error, wait)
            case LogUnavailableError():
                wait = max(wait, error.retry_after_seconds)
            case UnreadableError() if self._failures == EVIDENCE_AFTER:
                await self._put_aside(error.payload, str(error))
        self._parts.metrics.failures.labels(self._connection.id, self._connection.source, _reason(error)).inc()
        expected = is_transient(error) or isinstance(
            error, StatusError | LogUnavailableError | UnreadableError | RefusedUrlError | ImapRefusedError
        )
        _log.warning(
            "connector failed",
            connection=self._connection.id,
            error=detail[:500],
            failures=self._failures,
            wait_seconds=round(wait, 3),
            exc_info=None if expected else error,
        )
        await self._insist(
            lambda: self._parts.store.fail(
                self.lease, self._position, detail, failures=self._failures, wait_seconds=wait
            )
        )
        return wait

    def _refused(self, error: StatusError, wait: float) -> tuple[float, str]:
        """How long to wait after a refusal, and what to say of it; where the source's module knows where to go on, the
        connector stands there."""
        fetched, now = error.fetched, datetime.now(UTC)
        payload = Payload(fetched.body, fetched.headers, options=self._connection.options, received_at=now)
        advance = self._source.refused and self._source.refused(self._state(), fetched.status, payload)
        told = refusal_seconds(fetched.headers, now)
        if advance:
            self._position = advance.position
            if advance.again and self._failures == 1:
                wait = 0.0
            told = advance.wait_seconds if advance.wait_seconds is not None else told
        if told is not None:
            # A little later than the source says: all others that it has told come at that moment.
            wait = max(wait if told == 0 else 0.0, told + min(told / 10, 10.0) * self._parts.jitter())
        return wait, f"{self._connection.source} {error}: {fetched.body[:200].decode(errors='replace')}"

    async def _put_aside(self, payload: Payload, detail: str) -> None:
        evidence = self._parts.delivery.evidence
        await self._insist(
            lambda: evidence.put(
                self._connection, payload.body, payload.headers, reason="unreadable", detail=detail
            )
        )

    async def _insist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do it, again and again while Kafka or PostgreSQL is away, as long as the lease is held. Raises LeaseLostError,
        and StoppedError when the process stops meanwhile."""
        while True:
            if time.monotonic() >= self.held_until:
                raise LeaseLostError("the lease has run out")
            try:
                return await step()
            except LogUnavailableError as error:
                _log.warning("the log is away", connection=self._connection.id, error=error.detail)
            except Exception as error:
                if not is_transient(error):
                    raise
                _log.warning("PostgreSQL is away", connection=self._connection.id, error=str(error)[:300])
            if self.stop.is_set():
                raise StoppedError
            await pause(0.2 + 0.8 * self._parts.jitter(), self.stop)

    async def _unless_stopped(self, work: Awaitable[T]) -> T:
        """What `work` gives. Raises StoppedError when the process stops first."""
        working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise StoppedError
            return working.result()
        finally:
            for each in (working, stopped):
                each.cancel()
            await asyncio.gather(working, stopped, return_exceptions=True)

    def _state(self) -> PullState:
        connection = self._connection
        return PullState(
            self._position, connection.options, connection.secrets, datetime.now(UTC), connection.own
        )

    def _count(self, outcome: str, events: int) -> None:
        if events:
            self._parts.metrics.events.labels(self._connection.id, self._connection.source, outcome).inc(events)


def _reason(error: Exception) -> str:
    match error:
        case StatusError():
            status = error.fetched.status
            return "rate" if status == 429 else "server" if status >= 500 else "refused"
        case UnreadableError():
            return "unreadable"
        case LogUnavailableError():
            return "kafka"
        case RefusedUrlError() | ImapRefusedError():
            return "refused"
    return "network" if is_transient(error) else "error"


def _id(draft: Draft) -> str:
    said = draft.plain.get("id") if isinstance(draft.plain, dict) else None
    return said if isinstance(said, str) else ""


def _deleted(draft: Draft) -> str | None:
    attributes = draft.plain.get("attributes") if isinstance(draft.plain, dict) else None
    said = attributes.get("deletion_of") if isinstance(attributes, dict) else None
    return said if isinstance(said, str) else None
