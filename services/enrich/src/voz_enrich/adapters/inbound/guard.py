"""The sequence guard: every source offset is answered once and in order, whatever Faust skips, repeats or restores.

Faust is used for membership and delivery; it isn't believed about offsets. Per source partition the guard knows the
offset due and, for what Faust delivers: drops repeats, processes what is due, and reads what was skipped from the
source itself, first. The end of the log is watched too, since a skipped event may have no successor to betray it.
A batch is written through the journal (answers, then states, then position) before the offset due moves and
before Faust gets its acknowledgements. Why each rule is there: docs/adr/0005-sequence-guard.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from voz_enrich.adapters.inbound.pipeline import ahead
from voz_enrich.adapters.inbound.sequence import Missing, arrange
from voz_enrich.metrics import EnrichMetrics
from voz_enrich.ports import Answering, Journal, Output, Page, Prepared, Progress, SourceLog
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.records import Record

_log = structlog.get_logger(__name__)


class FrozenError(Exception):
    """This process stood still for so long that its partitions may belong to another one."""


class SourceCutError(Exception):
    """The source holds less than what was already answered: its offsets can't be trusted any more."""


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """stale_after_seconds: without a beat for so long the process must not write. idle_seconds: a partition with events
    due and no progress for so long is read by the guard. idle_records: how many of them in one turn, so that one
    partition's backlog doesn't hold up the others. depth: batches analysed ahead."""

    stale_after_seconds: float
    idle_seconds: float = 2.0
    idle_records: int = 512
    depth: int = 3


@dataclass(slots=True, eq=False)
class Partition:
    """One source partition that is ours: `expected` is the offset due, `sent` the last one with an output."""

    number: int
    expected: int
    sent: int
    states: dict[bytes, bytes]
    refused_already: frozenset[int] = frozenset()
    asked_refused: bool = False
    idle_at: int = -1
    idle_since: float = field(default_factory=time.monotonic)


class SequenceGuard:
    """Decides what is processed. One batch, one opening or one revocation at a time."""

    def __init__(
        self,
        source: SourceLog,
        journal: Journal,
        answering: Answering,
        metrics: EnrichMetrics,
        limits: GuardLimits,
        progress: Progress,
    ) -> None:
        self._source, self._journal, self._answering = source, journal, answering
        self._metrics, self._limits, self._progress = metrics, limits, progress
        self._lock = asyncio.Lock()
        self._assigned: frozenset[int] = frozenset()
        self._open: dict[int, Partition] = {}
        self._ends: Mapping[int, int] = {}
        self._beat = time.monotonic()

    async def assigned(self, partitions: Iterable[int]) -> None:
        """From now on these partitions are ours, and no others."""
        async with self._lock:
            self._open.clear()
            self._assigned = frozenset(partitions)
            self._journal.keep(set(self._assigned))
            self._metrics.partitions.set(len(self._assigned))
            self._progress.holds(self._assigned)

    async def revoked(self) -> None:
        """No partition is ours any more. Returns when the running batch has ended: only then may others take over."""
        self._assigned = frozenset()
        async with self._lock:
            self._open.clear()

    def wanted(self, partition: int, offset: int) -> bool:
        """Whether it is worth analysing a delivered event: not when it is known to be a repeat or a stray."""
        part = self._open.get(partition)
        if partition not in self._assigned:
            self._metrics.strays.inc()
            return False
        if part is not None and offset < part.expected:
            self._metrics.repeats.inc()
            return False
        return True

    def answered(self, partition: int, offset: int) -> bool:
        """Whether an event is answered, its state kept and the position past it: it may be acknowledged."""
        part = self._open.get(partition)
        return part is not None and offset < part.expected

    async def handle(self, batch: Sequence[Prepared]) -> None:
        """Process a delivered batch."""
        async with self._lock:
            ours = [item for item in batch if item.partition in self._assigned]
            self._metrics.strays.inc(len(batch) - len(ours))
            due = {number: (await self._opened(number)).expected for number in {item.partition for item in ours}}
            steps, repeats = arrange(ours, due)
            self._metrics.repeats.inc(repeats)
            lost: set[int] = set()
            for step in steps:
                if isinstance(step, Missing):
                    self._metrics.gaps.inc()
                    _log.warning("gap", partition=step.partition, start=step.start, until=step.until)
                    if not await self._heal(self._open[step.partition], step.until):
                        lost.add(step.partition)
                else:
                    await self._process([item for item in step.events if item.partition not in lost])

    async def report(self) -> None:
        """Look where the source ends and say how far behind we are, for ever. Waits for no batch, so that one that
        hangs is noticed. Raises SourceCutError when the source becomes shorter than what was answered."""
        while True:
            await asyncio.sleep(self._limits.idle_seconds / 4)
            before = {number: part.expected for number, part in self._open.items()}
            self._ends = await self._source.ends(self._assigned)
            for number, expected in before.items():
                if (end := self._ends.get(number)) is not None:
                    _check_whole(number, expected, end)
                    if part := self._open.get(number):
                        self._progress.moved(number, part.expected, end)

    async def watch(self) -> None:
        """Open what is assigned, and read what is due and never delivered, for ever."""
        while True:
            await asyncio.sleep(self._limits.idle_seconds / 4)
            for number, end in sorted(self._ends.items()):
                async with self._lock:
                    if number in self._assigned:
                        await self._look_at(await self._opened(number), end)

    async def beat(self) -> None:
        """Notice, for ever, when this process was frozen (stopped, paged out, a blocked loop). Raises FrozenError."""
        self._beat = time.monotonic()
        while True:
            self._in_time()
            self._beat = time.monotonic()
            await asyncio.sleep(0.25)

    def _in_time(self) -> None:
        still = time.monotonic() - self._beat
        if still > self._limits.stale_after_seconds:
            raise FrozenError(f"stood still for {still:.1f} s: the partitions may belong to another worker by now")

    async def _opened(self, number: int) -> Partition:
        if part := self._open.get(number):
            return part
        began = time.monotonic()
        restored = await self._journal.restore(number)
        begin, end = await self._source.bounds(number)
        if begin > restored.position:
            self._metrics.expired.inc(begin - restored.position)
            _log.error("events expired before they were read", partition=number, first=restored.position, until=begin)
        _check_whole(number, restored.position, end)
        expected = max(begin, restored.position)
        part = self._open[number] = Partition(number, expected, restored.sent, restored.states)
        seconds = time.monotonic() - began
        self._metrics.assignment_seconds.observe(seconds)
        _log.info(
            "partition opened",
            partition=number,
            position=restored.position,
            sent=restored.sent,
            expected=expected,
            end=end,
            customers=len(part.states),
            seconds=round(seconds, 3),
        )
        return part

    async def _look_at(self, part: Partition, end: int) -> None:
        now = time.monotonic()
        if part.idle_at != part.expected or end <= part.expected:
            part.idle_at, part.idle_since = part.expected, now
        elif now - part.idle_since > self._limits.idle_seconds:
            self._metrics.idle_reads.inc()
            await self._heal(part, min(end, part.expected + self._limits.idle_records))
            part.idle_at = part.expected  # and not `idle_since`: what isn't delivered is read again in the next turn

    async def _heal(self, part: Partition, until: int) -> bool:
        """Process `[expected, until)` from the source. False when the partition was taken away meanwhile."""
        records = self._source.read(part.number, part.expected, until)
        async with aclosing(records), aclosing(ahead(records, self._answering.prepare, self._limits.depth)) as healing:
            async for _, prepared in healing:
                if part.number not in self._assigned:
                    return False
                self._metrics.healed.inc(len(prepared))
                await self._process(prepared)
        part.expected = max(part.expected, until)  # what has no record: control records, or taken by compaction
        return True

    async def _process(self, events: Sequence[Prepared]) -> None:
        """Write the answers to events that are due, each partition's in order, and move on."""
        runs: dict[int, list[Prepared]] = {}
        for event in events:
            runs.setdefault(event.partition, []).append(event)
        self._in_time()
        pages = [await self._page(self._open[number], run) for number, run in runs.items()]
        await self._journal.write(pages, self._in_time)
        for page in pages:
            part = self._open[page.partition]
            part.states.update(page.states)
            part.expected = page.position
            part.sent = max(part.sent, page.position - 1)
        self._metrics.batches.inc()
        self._metrics.batch_size.observe(len(events))

    async def _page(self, part: Partition, run: Sequence[Prepared]) -> Page:
        states: dict[bytes, bytes] = {}
        outputs: list[tuple[bytes, Output]] = []
        refused: list[tuple[Record, InvalidRecordError]] = []
        for item in run:
            key = item.record.key
            answer = self._answering.answer(item, states.get(key) or part.states.get(key))
            if answer.state is not None:
                states[key] = answer.state
            if item.offset <= part.sent or item.offset in part.refused_already:
                self._metrics.events.labels("answered_before").inc()
            elif answer.output is not None:
                outputs.append((key, answer.output))
                self._metrics.events.labels("enriched").inc()
            elif answer.refused is not None and item.offset not in await self._refused_already(part):
                refused.append((item.record, answer.refused))
                self._metrics.events.labels("refused").inc()
        return Page(part.number, outputs, refused, states, run[-1].offset + 1)

    async def _refused_already(self, part: Partition) -> frozenset[int]:
        # Asked only when something is refused, since that is rare and the answer costs a read.
        if not part.asked_refused:
            part.refused_already = await self._journal.refused_already(part.number)
            part.asked_refused = True
        return part.refused_already


def _check_whole(number: int, expected: int, end: int) -> None:
    if end < expected:
        raise SourceCutError(
            f"partition {number} of the source ends at {end}, before the position {expected}: it was cut or made anew. "
            "What to do: services/enrich/README.md"
        )
