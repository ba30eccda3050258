"""Answers on the enriched topic; states and positions on the journey's changelog.

The changelog has as many partitions as the source. Partition n of it holds, for source partition n, the newest state
of every customer (key: the record's key, value: `domain.journey_state.encode`) and the position (key: `POSITION_KEY`,
value: the next offset to process, in decimal), which is always written after the states that it covers.
"""

from __future__ import annotations

import asyncio
import time
from collections import ChainMap, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiokafka import AIOKafkaProducer, ConsumerRecord

from voz_contracts.cloudevents import SOURCE_OFFSET, header
from voz_enrich.adapters.outbound.kafka_log import KafkaPartitions
from voz_enrich.domain.journey_state import covers_less
from voz_enrich.ports import Headers, Page, Restored
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.records import Record

_Row = tuple[bytes, bytes, Headers]
POSITION_KEY = b"\0position"  # no customer's key begins with NUL
_RESTORE_RECORDS = 20_000
# Outputs are looked for at the end of their topic. A worker that was frozen may have left a batch of old ones there, so
# several batches are looked at before the greatest offset is believed.
_LOOK_BACK = 1024
# Clocks of two machines that wrote to the dead letters one after the other.
_CLOCK_SKEW_MS = 600_000


@dataclass(frozen=True, slots=True)
class JournalTopics:
    """Names of the topics; `dead_letter_partitions`: how many the dead letters have."""

    source: str
    enriched: str
    journey: str
    dead_letter: str
    dead_letter_partitions: int


class DeadLetterPublisher(Protocol):
    """What the journal needs of streamkit's dead letters."""

    def judge(self, outcomes: Iterable[bool]) -> None:
        """Count outcomes; raises DeadLetterLimitError."""
        ...

    async def publish(self, record: Record, error: InvalidRecordError, attempts: int = 1) -> None:
        """Acknowledged by all replicas on return."""
        ...


@dataclass(slots=True)
class _Kept:
    """What is known of one changelog partition: everything below `taken_in` is in `states` and `position`.

    `written_ms`: when the position was written, by Kafka's timestamp.
    """

    states: dict[bytes, bytes]
    position: int = 0
    written_ms: int = 0
    taken_in: int = -1


class KafkaJournal:
    """Implements the port `Journal`. One caller at a time."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        reader: KafkaPartitions,
        lookups: KafkaPartitions,
        dead_letters: DeadLetterPublisher,
        topics: JournalTopics,
        observe_write_seconds: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._producer, self._reader, self._lookups = producer, reader, lookups
        self._dead_letters, self._topics, self._observe = dead_letters, topics, observe_write_seconds
        self._kept: dict[int, _Kept] = {}

    async def restore(self, partition: int) -> Restored:
        """States and position, read from the changelog itself up to its end.

        What this process already knows isn't read again, only what was written since: a partition that comes back
        after a rebalance costs what others wrote meanwhile, not all of its customers.
        """
        topic = self._topics.journey
        begin, end = await self._lookups.bounds(topic, partition)
        kept = self._kept.setdefault(partition, _Kept({}))
        if not begin <= kept.taken_in <= end:
            kept = self._kept[partition] = _Kept({}, taken_in=begin)
        async for records in self._reader.read(topic, partition, kept.taken_in, end, _RESTORE_RECORDS):
            _take_in(kept, records)
        kept.taken_in = end
        # What has no output below the position was dead-lettered, or its output has expired.
        sent = max(await self._last_output(partition), kept.position - 1)
        return Restored(kept.position, sent, kept.states)

    def customers(self) -> ChainMap[bytes, bytes]:
        """Every customer's encoded state, of the partitions that are restored."""
        return ChainMap(*(kept.states for kept in self._kept.values()))

    def keep(self, partitions: set[int]) -> None:
        """Forget all other partitions."""
        self._kept = {number: kept for number, kept in self._kept.items() if number in partitions}

    async def write(self, pages: Sequence[Page], check: Callable[[], None]) -> None:
        """Dead letters, outputs, then states with the position at their end, each acknowledged before the next."""
        began = time.monotonic()
        for page in pages:
            self._dead_letters.judge([True] * len(page.outputs) + [False] * len(page.refused))
        for page in pages:
            for record, error in page.refused:
                await self._dead_letters.publish(record, error)
        await self._append_all(
            self._topics.enriched,
            {page.partition: [(key, out.value, out.headers) for key, out in page.outputs] for page in pages},
        )
        check()
        written = await self._append_all(
            self._topics.journey,
            {
                page.partition: [
                    *((key, state, ()) for key, state in page.states.items()),
                    (POSITION_KEY, b"%d" % page.position, ()),
                ]
                for page in pages
            },
        )
        for page in pages:
            self._wrote(page, written[page.partition])
        self._observe(time.monotonic() - began)

    async def refused_already(self, partition: int) -> frozenset[int]:
        """Looks through what was put aside since the restored position was written, on all partitions of the topic."""
        topics = self._topics
        kept = self._kept[partition]
        reader = self._lookups
        numbers = range(topics.dead_letter_partitions)
        starts = await reader.since(topics.dead_letter, numbers, max(0, kept.written_ms - _CLOCK_SKEW_MS))
        ends = await reader.ends(topics.dead_letter, starts)
        prefix = f"{topics.source}/{partition}/"
        found = set()
        for number, start in starts.items():
            async for records in reader.read(topics.dead_letter, number, start, ends[number], _RESTORE_RECORDS):
                for record in records:
                    if (name := header(record.headers, "ce_id")).startswith(prefix):
                        found.add(int(name.removeprefix(prefix)))
        return frozenset(offset for offset in found if offset >= kept.position)

    async def _last_output(self, partition: int) -> int:
        """Greatest source offset that is known to have an output; -1 when none is."""
        begin, end = await self._lookups.bounds(self._topics.enriched, partition)
        last = -1
        start = max(begin, end - _LOOK_BACK)
        async for records in self._reader.read(self._topics.enriched, partition, start, end, _LOOK_BACK):
            for record in records:
                if offset := header(record.headers, SOURCE_OFFSET):
                    last = max(last, int(offset))
        return last

    async def _append_all(self, topic: str, rows: Mapping[int, Sequence[_Row]]) -> dict[int, list[tuple[int, int]]]:
        """Append to several partitions at once. Acknowledged by all replicas on return.

        Gives (first offset, number of records) of each record batch, by partition.
        """
        appended = await asyncio.gather(*(self._append(topic, number, those) for number, those in rows.items()))
        return dict(zip(rows, appended, strict=True))

    async def _append(self, topic: str, partition: int, rows: Sequence[_Row]) -> list[tuple[int, int]]:
        """One record batch holds all rows as a rule, and is written whole or not at all. A second one waits for the
        first, so a row is never there without those before it."""
        written = []
        left = deque(rows)
        while left:
            batch = self._producer.create_batch()
            while left and batch.append(timestamp=None, key=left[0][0], value=left[0][1], headers=list(left[0][2])):
                left.popleft()
            metadata = await (await self._producer.send_batch(batch, topic, partition=partition))
            written.append((metadata.offset, batch.record_count()))
        return written

    def _wrote(self, page: Page, batches: Sequence[tuple[int, int]]) -> None:
        """Move on what is taken in, as long as the log holds nothing but our own records since then.

        Another worker's late record between ours would else be passed over when the partition comes back.
        """
        kept = self._kept[page.partition]
        kept.position, kept.written_ms = page.position, int(time.time() * 1000)
        for first, count in batches:
            if kept.taken_in == first:
                kept.taken_in = first + count


def _take_in(kept: _Kept, records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
    """Of two states of a customer the one that covers more wins: a worker that was frozen may have written a late,
    older one after its successor's. Both are true, each at its offset. The same holds for the position."""
    states = kept.states
    for record in records:
        key, value = record.key, record.value
        if key is None:
            continue
        if key == POSITION_KEY:
            if int(value) >= kept.position:
                kept.position, kept.written_ms = int(value), record.timestamp
        elif value is None:
            states.pop(key, None)
        elif (known := states.get(key)) is None or not covers_less(value, known):
            states[key] = value
