"""Reading a topic's partitions directly, without a consumer group."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from voz_streamkit.kafka import record_of
from voz_streamkit.records import Record

# Without a poll in sight a fetch must not wait long for more, and a partition just assigned is looked up at once.
_FETCH_WAIT_MS = 20
_RETRY_BACKOFF_MS = 10
_FETCH_BYTES = 4 << 20


class KafkaPartitions:
    """One consumer that reads any partition on demand: one read at a time."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            client_id=client_id,
            enable_auto_commit=False,
            # An offset that is gone must be noticed, not skipped.
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
        )

    async def start(self) -> None:
        """Connect. Raises KafkaConnectionError when no broker answers."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """First offset still there, and the one after the last that is committed."""
        at = TopicPartition(topic, partition)
        return (await self._consumer.beginning_offsets([at]))[at], (await self._consumer.end_offsets([at]))[at]

    async def ends(self, topic: str, partitions: Collection[int]) -> Mapping[int, int]:
        """The offset after the last of each partition."""
        if not partitions:
            return {}
        ends = await self._consumer.end_offsets([TopicPartition(topic, partition) for partition in partitions])
        return {at.partition: end for at, end in ends.items()}

    async def since(self, topic: str, partitions: Collection[int], timestamp_ms: int) -> Mapping[int, int]:
        """First offset at or after that time, for the partitions that have one."""
        asked = {TopicPartition(topic, partition): timestamp_ms for partition in partitions}
        found = await self._consumer.offsets_for_times(asked)
        return {at.partition: place.offset for at, place in found.items() if place is not None}

    async def read(
        self, topic: str, partition: int, start: int, end: int, most: int
    ) -> AsyncGenerator[list[ConsumerRecord[bytes, bytes]], None]:
        """The records in `[start, end)` in lists of at most `most`, in order. Raises OffsetOutOfRangeError when an
        offset is gone."""
        at = TopicPartition(topic, partition)
        self._consumer.assign([at])
        self._consumer.seek(at, start)
        try:
            while await self._consumer.position(at) < end:
                found = await self._consumer.getmany(at, timeout_ms=_FETCH_WAIT_MS, max_records=most)
                if records := [record for record in found.get(at, ()) if record.offset < end]:
                    yield records
        finally:
            self._consumer.pause(at)  # or it goes on fetching in the background


class KafkaSource:
    """The source topic's log. Implements the port `SourceLog`."""

    def __init__(self, reader: KafkaPartitions, lookups: KafkaPartitions, topic: str, batch: int) -> None:
        self._reader, self._lookups, self._topic, self._batch = reader, lookups, topic, batch

    async def bounds(self, partition: int) -> tuple[int, int]:
        """First offset still there, and the one after the last."""
        return await self._lookups.bounds(self._topic, partition)

    async def ends(self, partitions: Collection[int]) -> Mapping[int, int]:
        """The offset after the last of each partition."""
        return await self._lookups.ends(self._topic, partitions)

    async def read(self, partition: int, start: int, end: int) -> AsyncGenerator[list[Record], None]:
        """The records in `[start, end)`, in lists of a batch, in order."""
        async for found in self._reader.read(self._topic, partition, start, end, self._batch):
            yield [record_of(record) for record in found]


async def partition_counts(bootstrap: str, topics: Collection[str], *, patience_seconds: float = 5.0) -> dict[str, int]:
    """How many partitions each topic has; 0 for one that isn't there.

    A topic just made is known to the brokers one after the other, so one that is missing is asked for again until
    `patience_seconds` have passed. Raises KafkaConnectionError without a broker.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    deadline = time.monotonic() + patience_seconds
    try:
        while True:
            found = await admin.describe_topics(list(topics))
            counts = {each["topic"]: len(each["partitions"]) for each in found}
            if all(counts.values()) or time.monotonic() > deadline:
                return counts
            await asyncio.sleep(0.25)
    finally:
        await admin.close()
