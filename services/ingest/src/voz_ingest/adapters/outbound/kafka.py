"""The event log on Kafka: acknowledged by every in-sync replica, or an error; never silence."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from voz_contracts.cloudevents import Headers
from voz_ingest.adapters.outbound.encoding import address, event_headers, message
from voz_ingest.domain.budget import ByteBudget, OverBudgetError
from voz_ingest.domain.event import ReceivedEvent
from voz_ingest.metrics import IngestMetrics
from voz_ingest.ports import LogUnavailableError
from voz_streamkit.errors import is_transient
from voz_streamkit.kafka import start

_log = structlog.get_logger(__name__)

# Beside its value a pending record holds its key, its headers and the client's own objects: about this much, measured.
RECORD_OVERHEAD_BYTES = 1000
# When Kafka is away, a client that comes back sooner only finds it away again.
RETRY_AFTER_SECONDS = 5


class _Encoded(NamedTuple):
    partition: int
    key: bytes
    value: bytes
    headers: Headers


class KafkaEventLog:
    """EventLog over an idempotent producer.

    - An append that isn't acknowledged within the time limit raises LogUnavailableError. Its records can't be taken
      back: the producer goes on trying, in order and without doubles, for as long as it lives. Their bytes stay in the
      budget until they are settled, so an outage is bounded in memory; and until then appends to the same partitions
      are refused at once, so that retries don't pile up behind them.
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
        self._unsettled: Counter[int] = Counter()  # partitions with records whose append has timed out
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed_for_good = asyncio.Event()

    async def append(self, events: Sequence[ReceivedEvent]) -> None:
        """As the port says."""
        producer = self._producer
        if producer is None:
            raise _unavailable("Kafka can't be reached.")
        began = time.perf_counter()
        deadline = began + self._timeout_seconds
        sent: list[tuple[int, asyncio.Future[object]]] = []
        with self._budget.hold() as held:
            try:
                partitions = len(await producer.partitions_for(self._topic))
                records = self._encode(events, partitions)
                held.resize(sum(len(record.value) + RECORD_OVERHEAD_BYTES for record in records))
                for partition, key, value, headers in records:
                    if time.perf_counter() > deadline:
                        raise TimeoutError
                    # Waits while the partition's batch is full, at most as long as one request to Kafka may take.
                    future = await producer.send(
                        self._topic, value=value, key=key, partition=partition, headers=headers
                    )
                    sent.append((partition, future))
                left = max(0.0, deadline - time.perf_counter())
                _, late = await asyncio.wait([future for _, future in sent], timeout=left)
                if late:
                    raise TimeoutError
            except OverBudgetError:
                raise LogUnavailableError("Too much is in flight.", retry_after_seconds=1) from None
            except TimeoutError:
                raise _unavailable(f"Kafka didn't acknowledge within {self._timeout_seconds:g} s.") from None
            except KafkaError as error:
                raise self._failed(producer, error) from error
            finally:
                pending = [(partition, future) for partition, future in sent if not future.done()]
                if pending:
                    self._settle_later(pending, held.release())
                refusal = _first_error(sent)
        if refusal is not None:
            raise self._failed(producer, refusal) from refusal
        self._metrics.append_seconds.observe(time.perf_counter() - began)

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
        producer = self._producer
        if producer is None:
            raise ConnectionError("no connection to Kafka yet")
        cluster = await producer.client.fetch_all_metadata()
        if self._topic not in cluster.topics():
            raise LookupError(f"Kafka has no topic {self._topic}: `voz-topics apply` makes it")
        if self._unsettled:
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
            await self._failed_for_good.wait()
            self._failed_for_good.clear()

    async def _disconnect(self, flush_seconds: float) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._spawn(producer.stop())
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=flush_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _encode(self, events: Sequence[ReceivedEvent], partitions: int) -> list[_Encoded]:
        records = []
        for received in events:
            event = received.event
            to = address(received.tenant, event.source, *event.customer.known_by)
            partition = to.hash % partitions
            if partition in self._unsettled:
                raise _unavailable("Kafka doesn't acknowledge at present.")
            value = message(received, to.customer_key).SerializeToString()
            records.append(_Encoded(partition, to.key, value, event_headers(received, to.subject)))
        return records

    def _settle_later(self, pending: list[tuple[int, asyncio.Future[object]]], size: int) -> None:
        partitions = Counter(partition for partition, _ in pending)
        self._unsettled.update(partitions)

        async def settle() -> None:
            try:
                await asyncio.wait([future for _, future in pending])
                _first_error(pending)
            finally:
                self._unsettled -= partitions  # drops what reaches zero
                self._budget.give(size)

        self._spawn(settle())

    def _failed(self, producer: AIOKafkaProducer, error: BaseException) -> LogUnavailableError:
        in_use: bool = producer is self._producer
        if in_use and not is_transient(error):
            _log.error("a producer failed for good, another takes its place", error=repr(error))
            self._producer = None
            self._spawn(producer.stop())
            self._failed_for_good.set()
        return _unavailable("Kafka can't take it at present.")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _unavailable(detail: str) -> LogUnavailableError:
    return LogUnavailableError(detail, retry_after_seconds=RETRY_AFTER_SECONDS)


def _first_error(sent: Sequence[tuple[int, asyncio.Future[object]]]) -> BaseException | None:
    """The first error among those that are done; every one is looked at, or asyncio would call it forgotten."""
    errors = [future.exception() for _, future in sent if future.done()]
    return next((error for error in errors if error is not None), None)
