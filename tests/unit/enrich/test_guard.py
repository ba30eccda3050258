"""The sequence guard over fakes: any delivery, any crash, any holes, and every offset is answered once and in order."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from voz_enrich.adapters.inbound.guard import FrozenError, GuardLimits, SequenceGuard, SourceCutError
from voz_enrich.metrics import EnrichMetrics
from voz_enrich.ports import Page
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record

from .fakes import Counting, CrashError, FakeJournal, FakeProgress, FakeSource, record

SIZE = 12
LIMITS = GuardLimits(stale_after_seconds=60, idle_seconds=0.2)


def make_guard(source: FakeSource, journal: FakeJournal, limits: GuardLimits = LIMITS) -> SequenceGuard:
    metrics = EnrichMetrics(Metrics("enrich", CollectorRegistry()))
    return SequenceGuard(source, journal, Counting(), metrics, limits, FakeProgress())


def make_source(bad: AbstractSet[int] = frozenset(), holes: AbstractSet[int] = frozenset()) -> FakeSource:
    return FakeSource(
        {
            partition: [
                record(partition, offset, b"c%d" % (offset % 3), b"bad" if offset in bad else b"v")
                for offset in range(SIZE)
                if offset not in holes
            ]
            for partition in (0, 1)
        }
    )


async def deliver(guard: SequenceGuard, records: list[Record]) -> None:
    wanted = [each for each in records if guard.wanted(each.partition, each.offset)]
    await guard.handle(await Counting().prepare(wanted))


def check_whole(source: FakeSource, journal: FakeJournal) -> None:
    """Every record has exactly one answer, in order; every customer's count is right."""
    for partition, log in source.logs.items():
        good = [each for each in log if each.value != b"bad"]
        assert journal.outputs.get(partition, []) == [each.offset for each in good]
        assert sorted(o for p, o in journal.refused if p == partition) == [e.offset for e in log if e.value == b"bad"]
        counts = Counter(each.key for each in good)
        assert {k: int(v.split()[0]) for k, v in journal.states.get(partition, {}).items()} == counts
        assert journal.positions[partition] >= log[-1].offset + 1


offsets = st.integers(0, SIZE - 1)
delivery = st.lists(st.tuples(st.integers(0, 1), offsets), max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    lives=st.lists(st.tuples(st.lists(delivery, max_size=4), st.integers(0, 40)), max_size=5),
    bad=st.sets(offsets, max_size=4),
    holes=st.sets(st.integers(0, SIZE - 2), max_size=3),
)
def test_any_delivery_and_any_crash(
    lives: list[tuple[list[list[tuple[int, int]]], int]], bad: set[int], holes: set[int]
) -> None:
    """Each life: some deliveries (skips, repeats, any order), then death after so many steps of the journal."""
    source, journal = make_source(bad, holes), FakeJournal()

    async def live(batches: list[list[tuple[int, int]]], steps: int | None) -> None:
        journal.steps_left = steps
        guard = make_guard(source, journal)
        await guard.assigned([0, 1])
        by_place = {(e.partition, e.offset): e for log in source.logs.values() for e in log}
        try:
            for batch in batches:
                await deliver(guard, [by_place[place] for place in batch if place in by_place])
        except CrashError:
            pass
        for partition, position in journal.positions.items():
            below = {each.offset for each in source.logs[partition] if each.offset < position}
            answered = {*journal.outputs.get(partition, ()), *(o for p, o in journal.refused if p == partition)}
            assert below <= answered, "the position is ahead of the answers"

    for batches, steps in lives:
        asyncio.run(live(batches, steps))
    # The last life is delivered the end of each log, and heals whatever is missing in front of it.
    asyncio.run(live([[(0, SIZE - 1), (1, SIZE - 1)]], None))
    check_whole(source, journal)


async def test_what_is_never_delivered_is_read_from_the_log() -> None:
    source, journal = make_source({4}), FakeJournal()
    guard = make_guard(source, journal)
    await guard.assigned([0, 1])
    watching = [asyncio.create_task(guard.report()), asyncio.create_task(guard.watch())]
    async with asyncio.timeout(20):
        while journal.positions.get(0, 0) < SIZE or journal.positions.get(1, 0) < SIZE:
            await asyncio.sleep(0.05)
    for task in watching:
        task.cancel()
    check_whole(source, journal)


async def test_events_of_other_workers_partitions_are_dropped_and_not_acknowledged() -> None:
    source, journal = make_source(), FakeJournal()
    guard = make_guard(source, journal)
    await guard.assigned([1])
    await deliver(guard, [source.logs[0][0], source.logs[1][0]])
    assert journal.outputs == {1: [0]}
    assert not guard.answered(0, 0)
    assert guard.answered(1, 0)
    assert not guard.answered(1, 1)


async def test_a_revocation_waits_for_the_running_batch_and_ends_what_follows() -> None:
    writing, go_on = asyncio.Event(), asyncio.Event()

    class SlowJournal(FakeJournal):
        async def write(self, pages: Sequence[Page], check: Callable[[], None]) -> None:
            writing.set()
            await go_on.wait()
            await FakeJournal.write(self, pages, check)

    source, journal = make_source(), SlowJournal()
    guard = make_guard(source, journal)
    await guard.assigned([0])
    # Offset 9 is delivered, 0 to 8 are healed in lists of three.
    handling = asyncio.create_task(deliver(guard, [source.logs[0][9]]))
    await writing.wait()
    revoking = asyncio.create_task(guard.revoked())
    await asyncio.sleep(0.05)
    assert not revoking.done()
    go_on.set()
    await revoking
    await handling
    # The list that was being written is whole; the rest of the gap and the event behind it are another's.
    assert journal.outputs == {0: [0, 1, 2]}
    assert journal.positions == {0: 3}


async def test_a_frozen_process_does_not_write() -> None:
    source, journal = make_source(), FakeJournal()
    guard = make_guard(source, journal, GuardLimits(stale_after_seconds=0.4))
    await guard.assigned([0])
    beating = asyncio.create_task(guard.beat())
    await asyncio.sleep(0.05)
    await deliver(guard, [source.logs[0][0]])
    time.sleep(0.6)  # noqa: ASYNC251  # the loop stands still, as a stopped process does
    with pytest.raises(FrozenError):
        await deliver(guard, [source.logs[0][1]])
    with pytest.raises(FrozenError):
        await beating
    assert journal.outputs == {0: [0]}


async def test_offsets_that_expired_unread_are_counted_and_passed_over() -> None:
    source, journal = make_source(), FakeJournal()
    source.begins[0] = 5
    source.logs[0] = source.logs[0][5:]
    guard = make_guard(source, journal)
    await guard.assigned([0])
    await deliver(guard, [source.logs[0][-1]])
    assert journal.outputs[0] == list(range(5, SIZE))
    assert guard._metrics.expired._value.get() == 5


async def test_a_source_shorter_than_the_position_stops_the_worker() -> None:
    source, journal = make_source(), FakeJournal(positions={0: SIZE + 1})
    guard = make_guard(source, journal)
    await guard.assigned([0])
    with pytest.raises(SourceCutError, match="ends at 12, before the position 13"):
        await deliver(guard, [source.logs[0][0]])


async def test_a_source_that_becomes_shorter_stops_the_worker() -> None:
    source, journal = make_source(), FakeJournal()
    guard = make_guard(source, journal)
    await guard.assigned([0])
    await deliver(guard, [source.logs[0][-1]])
    source.logs[0] = source.logs[0][:5]
    with pytest.raises(SourceCutError, match="ends at 5, before the position 12"):
        async with asyncio.timeout(20):
            await guard.report()


async def test_progress_is_told_without_waiting_for_the_running_batch() -> None:
    source, journal = make_source(), FakeJournal()
    guard = make_guard(source, journal)
    await guard.assigned([0])
    await deliver(guard, [source.logs[0][2]])
    progress = guard._progress
    assert isinstance(progress, FakeProgress)
    async with guard._lock, asyncio.timeout(20):
        reporting = asyncio.create_task(guard.report())
        while not progress.seen:
            await asyncio.sleep(0.01)
        reporting.cancel()
    assert progress.seen[0] == (0, 3, SIZE)
    assert progress.held == {0}
