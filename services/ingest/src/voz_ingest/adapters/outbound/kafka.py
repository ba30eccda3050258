"""The event log on Kafka: acknowledged by every in-sync replica, or an error; never silence."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from voz_ingest.adapters.outbound.appends import LateError, Record, SharedAppends
from voz_ingest.adapters.outbound.encoding import event_headers, sender, value
from voz_ingest.domain.budget import ByteBudget, OverBudgetError
from voz_ingest.domain.event import ReceivedEvent
from voz_ingest.metrics import IngestMetrics
from voz_ingest.ports import LogUnavailableError, Part, Settled
from voz_streamkit.errors import is_transient
from voz_streamkit.kafka import start

_log = structlog.get_logger(__name__)

# When Kafka is away, a client that comes back sooner only finds it away again.
RETRY_AFTER_SECONDS = 5


class KafkaEventLog:
    """EventLog over an idempotent producer, whose batches many requests share.

    - An append that isn't acknowledged within the time limit raises LogUnavailableError. Its records can't be taken
      back when they are on their way: the producer goes on trying, in order and without doubles, for as long as it
      lives. Their bytes stay in the budget until they are settled, so an outage is bounded in memory; and until then
      appends to the same broker are refused at once, so that retries don't pile up behind them.
    - An error that isn't a matter of waiting (a gap in the sequence numbers after an unclean election, an expired
      producer id) is one the producer never recovers from: the next append gets a new one.
    - Kafka needn't be there at the start.
    """

    def __init__(
        self,
        make_producer: Callable[[], AIOKafkaProducer],
        topic: str,
        budget: ByteBudget,
        metrics: IngestMetrics,
        *,
        delivery_timeout_seconds: float,
    ) -> None:
        self._make_producer, self._topic, self._budget, self._metrics = make_producer, topic, budget, metrics
        self._timeout_seconds = delivery_timeout_seconds
        self._producer: AIOKafkaProducer | None = None
        self._appends: SharedAppends | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed_for_good = asyncio.Event()

    def begin(self, parts: Sequence[Part]) -> None:
        """As the port says."""
        appends = self._appends
        if appends is None:
            _refuse(parts, "Kafka can't be reached.")
        elif appends.stuck:  # encoding would be in vain
            _refuse(parts, "Kafka doesn't acknowledge at present.")
        elif not appends.partitions:
            self._spawn(self._begin_later(appends, parts))
        else:
            self._append(appends, parts)

    async def append(self, events: Sequence[ReceivedEvent]) -> None:
        """As the port says."""
        if not events:
            return
        settled: asyncio.Future[LogUnavailableError | None] = asyncio.get_running_loop().create_future()

        def settle(error: LogUnavailableError | None) -> None:
            if not settled.done():  # whoever waited may have given up
                settled.set_result(error)

        self.begin([Part(events, settle)])
        error = await settled
        if error is not None:
            raise error

    async def run(self, stop: asyncio.Event, *, flush_seconds: float = 10.0) -> None:
        """Keep a connection until `stop`, waiting for Kafka as long as it takes; then deliver what is pending, within
        `flush_seconds`. Raises what waiting doesn't cure, such as credentials that Kafka refuses."""
        keeping = asyncio.create_task(self._keep_connected())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({keeping, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                await keeping
        finally:
            keeping.cancel()
            stopped.cancel()
            await self._disconnect(flush_seconds)

    async def check(self) -> None:
        """Return when Kafka answers and acknowledges; raises otherwise."""
        producer, appends = self._producer, self._appends
        if producer is None or appends is None:
            raise ConnectionError("no connection to Kafka yet")
        cluster = await producer.client.fetch_all_metadata()
        if self._topic not in cluster.topics():
            raise LookupError(f"Kafka has no topic {self._topic}: `voz-topics apply` makes it")
        if appends.late:
            raise TimeoutError("Kafka doesn't acknowledge")

    async def _keep_connected(self) -> None:
        while True:
            producer = self._make_producer()
            try:
                await start(producer, wait_seconds=math.inf)
            except BaseException:
                await producer.stop()
                raise
            self._metrics.producers.inc()
            self._producer = producer
            self._appends = SharedAppends(producer, self._topic, self._budget, limit_seconds=self._timeout_seconds)
            await self._failed_for_good.wait()
            self._failed_for_good.clear()

    async def _disconnect(self, flush_seconds: float) -> None:
        if self._producer is not None:
            self._retire(self._producer, ConnectionError("the service stops"))
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=flush_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _begin_later(self, appends: SharedAppends, parts: Sequence[Part]) -> None:
        try:
            await appends.find_partitions()
        except KafkaError as error:
            self._fail_for_good(appends, error)
            _refuse(parts, "Kafka can't take it at present.")
        else:
            self._append(appends, parts)

    def _append(self, appends: SharedAppends, parts: Sequence[Part]) -> None:
        began, partitions = time.perf_counter(), appends.partitions
        encoded = [[_record(event, partitions) for event in part.events] for part in parts]
        for part, records in zip(parts, encoded, strict=True):
            try:
                appends.append(records, partial(self._settle, part.settled, appends, began))
            except OverBudgetError:
                part.settled(LogUnavailableError("Too much is in flight.", retry_after_seconds=1))
            except LateError:
                part.settled(_unavailable("Kafka doesn't acknowledge at present."))

    def _settle(self, settled: Settled, appends: SharedAppends, began: float, error: BaseException | None) -> None:
        if error is None:
            self._metrics.append_seconds.observe(time.perf_counter() - began)
            settled(None)
        elif isinstance(error, LateError):
            settled(_unavailable(f"Kafka didn't acknowledge within {self._timeout_seconds:g} s."))
        else:
            self._fail_for_good(appends, error)
            settled(_unavailable("Kafka can't take it at present."))

    def _fail_for_good(self, appends: SharedAppends, error: BaseException) -> None:
        """Put another producer in place of one that won't recover."""
        if appends is self._appends and self._producer is not None and not is_transient(error):
            _log.error("a producer failed for good, another takes its place", error=repr(error))
            self._retire(self._producer, error)
            self._failed_for_good.set()

    def _retire(self, producer: AIOKafkaProducer, why: BaseException) -> None:
        """Let the producer deliver what it can; what was never handed to it is refused."""
        appends, self._appends, self._producer = self._appends, None, None
        if appends is not None:
            appends.withdraw(why)
        self._spawn(producer.stop())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _record(received: ReceivedEvent, partitions: int) -> Record:
    of = sender(received.tenant, received.event.source, received.event.customer, received.customer_key)
    to = of.address
    return Record(to.hash % partitions, to.key, value(received, of), event_headers(received, to.key))


def _refuse(parts: Sequence[Part], detail: str) -> None:
    for part in parts:
        part.settled(_unavailable(detail))


def _unavailable(detail: str) -> LogUnavailableError:
    return LogUnavailableError(detail, retry_after_seconds=RETRY_AFTER_SECONDS)
