"""Appends that share batches: what many requests bring while a broker is busy goes to it next, as one batch a partition
with one acknowledgement."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.producer.message_accumulator import BatchBuilder

from voz_contracts.cloudevents import Headers
from voz_ingest.domain.budget import ByteBudget

# A record stands in its batch, and once more in the request that carries it; beside its value it has its key and its
# headers (some 400 bytes).
COPIES, RECORD_OVERHEAD_BYTES = 2, 500
# A request to Kafka costs much the same for one record as for many. A broker whose last one was shared by several
# appends rests before the next, so that more share that. (Kafka's own producer waits 5 ms, since version 4, always.)
BUSY_APPENDS, REST_SECONDS = 24, 0.001

Settled = Callable[[BaseException | None], None]


class Record(NamedTuple):
    """One record, and the partition it goes to."""

    partition: int
    key: bytes
    value: bytes
    headers: Headers


class _Append:
    """Some records of one caller, in one batch or several."""

    __slots__ = ("_outstanding", "_settled")

    def __init__(self, settled: Settled) -> None:
        self._settled: Settled | None = settled
        self._outstanding = 0

    def join(self, batch: _Batch) -> None:
        """Wait for this batch, too."""
        if not batch.appends or batch.appends[-1] is not self:
            batch.appends.append(self)
            self._outstanding += 1

    def settle(self, error: BaseException | None) -> None:
        """One of its batches is acknowledged, or failed. The caller is told once: of the first error, or of the end."""
        self._outstanding -= 1
        settled = self._settled
        if settled is not None and (error is not None or not self._outstanding):
            self._settled = None
            settled(error)


class _Batch:
    __slots__ = ("appends", "builder", "sent_to", "size", "timer")

    def __init__(self, builder: BatchBuilder, timer: asyncio.TimerHandle | None = None) -> None:
        self.builder, self.timer = builder, timer
        self.appends: list[_Append] = []
        self.size = 0
        self.sent_to: _Broker | None = None

    def settle(self, error: BaseException | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        appends, self.appends = self.appends, []
        for append in appends:
            append.settle(error)


class _Partition:
    __slots__ = ("at", "broker", "busy", "waiting")

    def __init__(self, at: TopicPartition) -> None:
        self.at = at
        self.waiting: deque[_Batch] = deque()
        self.busy = False
        self.broker = _Broker()
        """Where its batches wait, or waited last."""


class _Broker:
    __slots__ = ("busy", "late", "on_the_way", "scheduled", "waiting")

    def __init__(self) -> None:
        self.on_the_way = 0
        self.busy = False
        self.late = False
        self.scheduled = False
        self.waiting: dict[_Partition, None] = {}


class LateError(Exception):
    """Kafka has not acknowledged within the time limit."""


class SharedAppends:
    """Appends to one topic over one idempotent producer.

    - A broker has one request on its way; what comes meanwhile waits, and goes together when that is acknowledged. So
      the busier the service, the more requests share a batch; a lone one doesn't wait for company.
    - A partition has one batch on its way, so its records keep the order of the calls.
    - Nothing waits longer than `limit_seconds`. What was on its way by then may still arrive: it can't be taken back,
      and stays in the budget until it is settled. What still waits was never sent, and is forgotten. While a broker
      is late, appends to it are refused at once, so that retries don't pile up.
    """

    def __init__(self, producer: AIOKafkaProducer, topic: str, budget: ByteBudget, *, limit_seconds: float) -> None:
        self._producer, self._topic, self._budget = producer, topic, budget
        self._limit_seconds = limit_seconds
        self._loop = asyncio.get_running_loop()
        self._partitions: list[_Partition] = []
        self._brokers: dict[int | None, _Broker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        producer.client.cluster.add_listener(self._know)

    @property
    def late(self) -> bool:
        """Whether a broker owes an acknowledgement for longer than the limit."""
        return any(broker.late for broker in self._brokers.values())

    @property
    def stuck(self) -> bool:
        """Whether all brokers do."""
        return bool(self._brokers) and all(broker.late for broker in self._brokers.values())

    @property
    def partitions(self) -> int:
        """How many partitions the topic has; 0 while that isn't known."""
        return len(self._partitions)

    async def find_partitions(self) -> int:
        """The same, asked of Kafka. Raises KafkaError when it has no such topic."""
        await self._producer.partitions_for(self._topic)
        self._know(self._producer.client.cluster)
        return len(self._partitions)

    def _know(self, cluster: ClusterMetadata) -> None:
        for number in range(len(self._partitions), len(cluster.partitions_for_topic(self._topic) or ())):
            self._partitions.append(_Partition(TopicPartition(self._topic, number)))

    def append(self, records: Sequence[Record], settled: Settled) -> None:
        """Append records, at least one; those of one partition stand in the order given. `partitions` is known.

        `settled` is called once, later: with None when Kafka has acknowledged all of them, else with the first error;
        it raises nothing. Raises LateError while a broker that they go to is late, and OverBudgetError; then nothing
        was appended.
        """
        partitions, sizes = [], []
        for record in records:
            partitions.append(self._route(record.partition))
            sizes.append((len(record.value) + RECORD_OVERHEAD_BYTES) * COPIES)
        self._budget.take(sum(sizes))
        append, now_ms = _Append(settled), int(time.time() * 1000)
        for record, partition, size in zip(records, partitions, sizes, strict=True):
            batch = self._add(record, partition, now_ms)
            batch.size += size
            append.join(batch)

    def withdraw(self, error: BaseException) -> None:
        """Forget what was never sent."""
        for broker in self._brokers.values():
            self._withdraw(broker, error)

    def _route(self, number: int) -> _Partition:
        """The partition, with its broker. Raises LateError."""
        partition = self._partitions[number]
        if not partition.waiting:
            leader = self._producer.client.cluster.leader_for_partition(partition.at)
            found = self._brokers.get(leader)
            if found is None:
                found = self._brokers[leader] = _Broker()
            partition.broker = found
        if partition.broker.late:
            raise LateError
        return partition

    def _add(self, record: Record, partition: _Partition, now_ms: int) -> _Batch:
        waiting = partition.waiting
        batch = waiting[-1] if waiting else self._begin(partition)
        while (
            batch.builder.append(timestamp=now_ms, key=record.key, value=record.value, headers=record.headers) is None
        ):
            batch = self._begin(partition)  # the one before is full
        return batch

    def _begin(self, partition: _Partition) -> _Batch:
        batch = _Batch(self._producer.create_batch())
        batch.timer = self._loop.call_later(self._limit_seconds, self._too_late, batch, partition)
        partition.waiting.append(batch)
        partition.broker.waiting[partition] = None
        self._schedule(partition.broker)
        return batch

    def _schedule(self, broker: _Broker) -> None:
        """Send what waits for the broker when it is free; not now: what else came in this turn of the loop comes
        along."""
        if broker.waiting and not broker.on_the_way and not broker.scheduled:
            broker.scheduled = True
            self._spawn(self._send_waiting(broker))

    async def _send_waiting(self, broker: _Broker) -> None:
        broker.scheduled = False
        sending, appends = [], 0
        for partition in [each for each in broker.waiting if not each.busy]:
            batch = partition.waiting.popleft()
            if not partition.waiting:
                del broker.waiting[partition]
            batch.sent_to, partition.busy = broker, True
            sending.append((batch, partition))
            appends += len(batch.appends)
        broker.on_the_way += len(sending)
        broker.busy = appends >= BUSY_APPENDS
        for batch, partition in sending:
            try:
                answer = await self._producer.send_batch(batch.builder, self._topic, partition=partition.at.partition)
            except Exception as error:  # whatever it is, those who wait for the batch are told
                self._settle(batch, partition, broker, error)
            else:
                answer.add_done_callback(partial(self._answered, batch, partition, broker))

    def _answered(self, batch: _Batch, partition: _Partition, broker: _Broker, answer: asyncio.Future[object]) -> None:
        error = asyncio.CancelledError() if answer.cancelled() else answer.exception()
        self._settle(batch, partition, broker, error)

    def _settle(self, batch: _Batch, partition: _Partition, broker: _Broker, error: BaseException | None) -> None:
        self._forget(batch, error)
        partition.busy = False
        broker.on_the_way -= 1
        if not broker.on_the_way:
            broker.late = False
            if broker.busy and not broker.scheduled:
                broker.scheduled = True
                self._loop.call_later(REST_SECONDS, self._rested, broker)
        for each in self._brokers.values():  # the partition may have moved to another one meanwhile
            self._schedule(each)

    def _rested(self, broker: _Broker) -> None:
        broker.scheduled = False
        self._schedule(broker)

    def _too_late(self, batch: _Batch, partition: _Partition) -> None:
        broker = batch.sent_to
        if broker is not None:
            broker.late = True
            batch.settle(LateError())
            self._withdraw(broker, LateError())
            return
        partition.waiting.remove(batch)
        if not partition.waiting:
            del partition.broker.waiting[partition]
        self._forget(batch, LateError())

    def _withdraw(self, broker: _Broker, error: BaseException) -> None:
        partitions, broker.waiting = broker.waiting, {}
        for partition in partitions:
            while partition.waiting:
                self._forget(partition.waiting.popleft(), error)

    def _forget(self, batch: _Batch, error: BaseException | None) -> None:
        batch.settle(error)
        self._budget.give(batch.size)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
