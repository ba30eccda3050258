"""The consume loop: records in batches from Kafka into an exactly-once sink, whatever stops, moves or fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from voz_streamkit.backoff import Backoff, pause, persist
from voz_streamkit.errors import FencedError, TransientError, is_transient
from voz_streamkit.health import Health
from voz_streamkit.kafka import record_of, start
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record
from voz_streamkit.sink import ExactlyOnceSink
from voz_streamkit.tracing import tracer

T = TypeVar("T")
E = TypeVar("E")
_log = structlog.get_logger(__name__)
# The group's offsets are a courtesy to tools: a rebalance and the stop don't wait long for them.
COMMIT_SECONDS = 3.0


class LogChangedError(Exception):
    """The stored offset and Kafka's log don't belong together: the topic was made anew, or lost records."""


class ConsumeLoop(Generic[E]):
    """Feeds one sink from topics, as a member of the consumer's group. Owns the consumer: starts and stops it.

    PostgreSQL decides where to read: on each assignment the loop seeks to the stored offsets. Offsets are committed to
    Kafka as well, now and then, for tools that show lag; nothing here believes them.

    Transient errors are tried again until they pass, within the batch; a rebalance or the stop ends the trying, with
    nothing of the batch applied. A fenced batch makes the loop read the stored offsets again. Every other error leaves
    `run`, and with it the process.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        topics: Sequence[str],
        sink: ExactlyOnceSink[E],
        health: Health,
        metrics: Metrics,
        *,
        max_batch: int = 500,
        max_wait_seconds: float = 0.2,
        backoff: Backoff | None = None,
        observe_seconds: float = 2.0,
    ) -> None:
        self._consumer, self._topics, self._sink = consumer, list(topics), sink
        self._health, self._metrics = health, metrics
        self._max_batch, self._max_wait_ms = max_batch, int(max_wait_seconds * 1000)
        self._backoff, self._observe_seconds = backoff or Backoff(), observe_seconds
        self._positions: dict[TopicPartition, int] = {}  # next offset to be applied, as stored
        self._log_starts: dict[TopicPartition, int] = {}
        self._unplaced: set[TopicPartition] = set()  # assigned, and not yet at their stored offset
        self._committed: dict[TopicPartition, int] = {}
        self._shown: set[TopicPartition] = set()
        self._applying = asyncio.Lock()
        self._interrupt = asyncio.Event()  # ends the trying again: a rebalance, or the stop

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; the running batch is finished, then the group is left."""
        helpers = [asyncio.create_task(self._interrupt_at(stop))]
        try:
            await start(self._consumer, stop)
            self._consumer.subscribe(self._topics, listener=_Rebalances(self, stop))
            observer = asyncio.create_task(self._observe())
            helpers.append(observer)
            while not stop.is_set():
                if observer.done():
                    observer.result()
                await self._guarded_step(stop)
        except TransientError:
            if not stop.is_set():
                raise
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await self._commit_to_kafka()
            await self._consumer.stop()

    async def _guarded_step(self, stop: asyncio.Event) -> None:
        try:
            await self._step()
        except FencedError as error:
            self._metrics.fenced.labels(self._sink.consumer).inc()
            _log.warning("fenced, reading the stored offsets again", consumer=self._sink.consumer, error=str(error))
            await self._start_over(stop)
        except Exception as error:
            if not is_transient(error):
                raise
            _log.info("batch given up, nothing of it is applied", consumer=self._sink.consumer, error=str(error)[:500])
            await self._start_over(stop)

    async def _start_over(self, stop: asyncio.Event) -> None:
        self._positions.clear()
        self._unplaced = set(self._consumer.assignment())
        await pause(self._backoff.initial_seconds, stop)

    async def _step(self) -> None:
        if self._unplaced:
            await self._place()
        fetched = await self._consumer.getmany(timeout_ms=self._max_wait_ms, max_records=self._max_batch)
        if not fetched:
            return
        async with self._applying:
            batch = self._ours(fetched)
            if batch:
                await self._apply(batch)

    async def _place(self) -> None:
        """Seek to the stored offsets."""
        partitions = sorted(self._unplaced)
        stored = await self._attempt(partial(self._sink.positions, partitions))
        starts = await self._attempt(partial(self._consumer.beginning_offsets, partitions))
        ends = await self._attempt(partial(self._consumer.end_offsets, partitions))
        # From here on nothing is awaited: what is still assigned now is placed now.
        for partition in self._unplaced & self._consumer.assignment() & stored.keys():
            position, log_start, log_end = stored[partition], starts[partition], ends[partition]
            if position > log_end:
                raise LogChangedError(
                    f"{self._sink.consumer} stands at {_name(partition)} {position}, beyond the log's end {log_end}: "
                    "the topic was made anew or lost records. To read what it holds now from its start, delete the "
                    "partition's row in consumed_offset"
                )
            if 0 < position < log_start:
                _log.error(
                    "records were deleted before they were applied",
                    partition=_name(partition),
                    stored=position,
                    log_start=log_start,
                )
            self._consumer.seek(partition, max(position, log_start))
            self._positions[partition], self._log_starts[partition] = position, log_start
        self._unplaced -= stored.keys()

    def _ours(
        self, fetched: Mapping[TopicPartition, Iterable[ConsumerRecord[bytes | None, bytes | None]]]
    ) -> dict[TopicPartition, list[Record]]:
        """The records to be applied. What was fetched before a partition was placed is left: it is fetched again."""
        batch = {}
        for partition, messages in fetched.items():
            records = [record_of(message) for message in messages]
            position = self._positions.get(partition)
            if position is None or not records:
                continue
            if records[0].offset < position:
                raise LogChangedError(
                    f"{_name(partition)} gave offset {records[0].offset} where {position} was due: "
                    "the topic was made anew or lost records"
                )
            batch[partition] = records
        return batch

    async def _apply(self, batch: Mapping[TopicPartition, Sequence[Record]]) -> None:
        consumer, records = self._sink.consumer, self._metrics.records
        with (
            tracer().start_as_current_span(f"{consumer} batch", attributes={"messaging.system": "kafka"}),
            self._metrics.batch_seconds.labels(consumer).time(),
        ):
            applied = await self._sink.apply(
                batch, {partition: self._positions[partition] for partition in batch}, attempt=self._attempt
            )
        for partition, each in batch.items():
            self._positions[partition] = each[-1].offset + 1
        records.labels(consumer, "new").inc(applied.new)
        records.labels(consumer, "duplicate").inc(applied.duplicates)
        records.labels(consumer, "invalid").inc(applied.invalid)

    async def _attempt(self, step: Callable[[], Awaitable[T]], /) -> T:
        def say(attempt: int, error: BaseException) -> None:
            self._metrics.retries.labels(self._sink.consumer).inc()
            _log.warning("trying again", consumer=self._sink.consumer, attempt=attempt, error=str(error)[:500])

        return await persist(step, self._backoff, self._interrupt, say)

    async def _interrupt_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._interrupt.set()

    async def revoked(self, stop: asyncio.Event) -> None:
        """The group is dividing its partitions anew: let the running attempt end, then hold nothing."""
        self._interrupt.set()
        async with self._applying:
            await self._commit_to_kafka()
            self._positions.clear()
            self._unplaced.clear()
        if not stop.is_set():
            self._interrupt.clear()

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """These are ours from now on; the loop places them before it reads on."""
        self._positions.clear()
        self._unplaced = set(partitions)

    async def _observe(self) -> None:
        """Show lag and progress, also while a batch takes its time: that is when it matters."""
        while True:
            try:
                if self._positions or self._shown:
                    self._show(await self._consumer.end_offsets(list(self._positions)))
            except KafkaError as error:
                # Kafka is away: then the lag isn't known, and doesn't grow.
                _log.debug("the log's ends are not known", error=str(error))
            await self._commit_to_kafka()
            await asyncio.sleep(self._observe_seconds)

    def _show(self, ends: Mapping[TopicPartition, int]) -> None:
        now, consumer, lag = time.monotonic(), self._sink.consumer, self._metrics.lag_records
        positions = {each: max(self._positions[each], self._log_starts[each]) for each in ends.keys() & self._positions}
        for partition, position in positions.items():
            end = ends[partition]
            self._health.progress.observe(now, f"{consumer} {_name(partition)}", position, end)
            lag.labels(consumer, partition.topic, partition.partition).set(max(0, end - position))
        for gone in self._shown - positions.keys():
            lag.remove(consumer, gone.topic, gone.partition)
        self._shown = set(positions)
        self._health.progress.forget(keep={f"{consumer} {_name(each)}" for each in positions})

    async def _commit_to_kafka(self) -> None:
        moved = {each: position for each, position in self._positions.items() if self._committed.get(each) != position}
        if not moved:
            return
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._consumer.commit(moved)
        except (KafkaError, TimeoutError) as error:
            # A rebalance is under way, or Kafka is away; the stored offsets are what counts.
            _log.debug("offsets are not committed to kafka", error=str(error))
        else:
            self._committed.update(moved)


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hands the group's decisions to the loop. What a listener raises is only logged, so these don't fail."""

    def __init__(self, loop: ConsumeLoop[E], stop: asyncio.Event) -> None:
        self._loop, self._stop = loop, stop

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._loop.revoked(self._stop)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._loop.assigned(assigned)


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}/{partition.partition}"
