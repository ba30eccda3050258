"""One connector: asks its source, delivers what it says, and keeps where it stands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from voz_ingest.adapters.inbound.connectors.declared import Declared
from voz_ingest.adapters.inbound.connectors.delivery import Delivery, Read
from voz_ingest.adapters.inbound.connectors.reading import (
    UnreadableError,
    deleted_by,
    happened_at,
    is_expected,
    keepable,
    name_of,
    reason,
)
from voz_ingest.adapters.inbound.connectors.streaming import listening
from voz_ingest.adapters.inbound.formats import walk
from voz_ingest.adapters.inbound.sources import (
    Advance,
    Mailbox,
    Payload,
    PayloadError,
    Pull,
    PullState,
    decode_object,
)
from voz_ingest.adapters.outbound.transports import Transports
from voz_ingest.adapters.outbound.web import StatusError
from voz_ingest.domain.connector import Lease, Recent
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.evidence import without_secrets
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
TOKEN_MARGIN_SECONDS = 60.0


class StoppedError(Exception):
    """The process stops; nothing is wrong."""


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
        self._token, self._token_until = "", 0.0

    async def run(self) -> None:
        """Until `stop`, then give the lease back; or until the lease is lost."""
        running = self._parts.metrics.running.labels(self._connection.id, self._connection.source)
        running.set(1)
        try:
            await pause(self.lease.due_in_seconds, self.stop)
            while not self.stop.is_set():
                await pause(await self._round(), self.stop)
        except StoppedError:
            pass
        except LeaseLostError:
            self._parts.metrics.leases_lost.inc()
            _log.info("connector is another's now, or begins anew", connection=self._connection.id)
            return
        finally:
            running.set(0)
        await self._parts.store.release(self.lease)

    async def _round(self) -> float:
        """Ask as long as there is more. Returns how long to wait then. Raises LeaseLostError and StoppedError."""
        try:
            pulls = self._source.streams(self._state()) if self._source.streams else []
            return await (self._listen(pulls) if pulls else self._poll())
        except (LeaseLostError, StoppedError):
            raise
        except Exception as error:  # also a fault of ours: it must not stop the other connectors
            return await self._failed(error)

    async def _poll(self, *, streamed: bool = False) -> float:
        """Ask for page after page. Returns how long to wait then; while listening, only the source's own word for it
        binds whoever runs the connector next."""
        assert self._source.pull is not None
        for _ in range(PAGES_AT_ONCE):
            await self._authorise()
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
            await self._save(exhausted if streamed else wait)
            if wait > 0 or not again or self.stop.is_set():
                return wait
        return self.declared.poll_seconds

    async def _listen(self, pulls: Sequence[Pull]) -> float:
        """Listen, and ask now and then, too, where the source can be asked: streams leave things out. Raises what ends
        a stream."""
        async with listening(pulls, self.declared, self._parts.transports) as streams:
            await self._unless_stopped(streams.opened())
            await self._save(0.0)
            ask_at = time.monotonic()
            while not self.stop.is_set():
                if self._source.pull and time.monotonic() >= ask_at:
                    ask_at = time.monotonic() + max(await self._poll(streamed=True), 1.0)
                seconds = min(IDLE_SECONDS, max(ask_at - time.monotonic(), 0.0)) if self._source.pull else IDLE_SECONDS
                payloads = await self._unless_stopped(streams.batch(MESSAGES_AT_ONCE, seconds=seconds))
                await self._take(payloads, each_alone=True, streamed=True)
                if self._recent.changed or time.monotonic() - self._saved_at >= SAVE_SECONDS:
                    await self._save(0.0)
        return 0.0

    async def _authorise(self) -> None:
        """Have a token that is valid for a while, where the source wants one. It is kept in memory only."""
        if self._source.authorise is None or time.monotonic() < self._token_until:
            return
        asked = self._source.authorise(self._state())
        if asked is None:
            return
        (answer,) = await self._unless_stopped(self._parts.transports.ask(asked, self._connection, self.declared.hosts))
        try:
            said = decode_object(answer)
        except PayloadError as error:
            raise UnreadableError(answer, error) from None
        self._token = walk.string(said, "access_token")
        self._token_until = time.monotonic() + max((walk.number(said, "expires_in") or 0.0) - TOKEN_MARGIN_SECONDS, 0.0)

    async def _take(self, payloads: Sequence[Payload], *, each_alone: bool, streamed: bool = False) -> Advance:
        """Deliver what payloads hold, then stand behind them. `each_alone`: one that can't be read is put aside."""
        reads, names, advance = [], dict[str, None](), Advance(self._position)
        for payload in payloads:
            if streamed and self._source.wanted and not self._source.wanted(payload):
                continue
            drafts = await self._drafts(payload, each_alone)
            reads.append(Read(payload, self._fresh(payload, drafts, names, streamed)))
        if names:
            await self._insist(lambda: self._parts.delivery.deliver(self._connection, self._source, reads))
            self._recent.add(names)
        assert self._source.advance is not None
        for payload in payloads:
            try:
                advance = self._source.advance(self._state(), payload)
            except PayloadError as error:
                if not each_alone:
                    raise UnreadableError(payload, error) from None
                continue
            self._position = keepable(advance.position)
        return advance

    async def _drafts(self, payload: Payload, each_alone: bool) -> Sequence[Draft]:
        try:
            return self._source.drafts(payload)
        except PayloadError as error:
            if not each_alone:
                raise UnreadableError(payload, error) from None
            await self._put_aside(payload, str(error))
            return []

    def _fresh(
        self, payload: Payload, drafts: Sequence[Draft], names: dict[str, None], streamed: bool
    ) -> Sequence[Draft]:
        """What wasn't brought before, nor stands in `names`, to which it is added.

        Passed over is, of a page, what happened before the connector began; of a stream, deletions of what it never
        brought: they are nobody's here.
        """
        begins = self._source.begins(self._state()) if self._source.begins and not streamed else None
        fresh = []
        for place, draft in enumerate(drafts):
            name, deleted, happened = name_of(payload, place, draft), deleted_by(draft), happened_at(draft)
            if name in names or name in self._recent:
                self._count("known", 1)
            elif (begins and happened and happened < begins) or (
                streamed and deleted is not None and deleted not in names and deleted not in self._recent
            ):
                self._count("passed_over", 1)
            else:
                names[name] = None
                fresh.append(draft)
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
            case UnreadableError() if self._failures == EVIDENCE_AFTER:
                await self._put_aside(error.payload, str(error))
        detail = without_secrets(detail, self._connection.secrets, self._connection.options)
        self._parts.metrics.failures.labels(self._connection.id, self._connection.source, reason(error)).inc()
        _log.warning(
            "connector failed",
            connection=self._connection.id,
            error=detail[:500],
            failures=self._failures,
            wait_seconds=round(wait, 3),
            exc_info=None if is_expected(error) else error,
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
        if fetched.status == 401:  # a token may be revoked before its time
            self._token_until = 0.0
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
            lambda: evidence.put(self._connection, payload.body, payload.headers, reason="unreadable", detail=detail)
        )

    async def _insist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do it, again and again while Kafka or PostgreSQL is away, as long as the lease is held. Raises
        LeaseLostError, and StoppedError when the process stops meanwhile."""
        while True:
            if time.monotonic() >= self.held_until:
                raise LeaseLostError("the lease has run out")
            try:
                return await step()
            except LogUnavailableError as error:
                _log.warning("the log is away", connection=self._connection.id, error=error.detail)
                self._parts.metrics.failures.labels(self._connection.id, self._connection.source, "kafka").inc()
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
            self._position, connection.options, connection.secrets, datetime.now(UTC), connection.own, self._token
        )

    def _count(self, outcome: str, events: int) -> None:
        self._parts.metrics.events.labels(self._connection.id, self._connection.source, outcome).inc(events)
