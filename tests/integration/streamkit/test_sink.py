"""Each event has its effect once, whatever is delivered again, invalid, or claimed by two consumers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from aiokafka import TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.integration.streamkit import counting
from tests.integration.streamkit.conftest import MakeSink

from voz.v1.dead_letter_pb2 import DeadLetter
from voz_streamkit.dead_letters import DeadLetterLimit
from voz_streamkit.errors import DeadLetterLimitError, FencedError
from voz_streamkit.ledger import Ledger
from voz_streamkit.records import Record
from voz_streamkit.sink import Applied, trim_applied_events

pytestmark = pytest.mark.integration
FIRST = TopicPartition("sample.events", 0)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Key = tuple[str, UUID]
ReadDeadLetters = Callable[[], Awaitable[list[DeadLetter]]]


def record(offset: int, value: bytes, *, partition: TopicPartition = FIRST, tenant: str = "demo") -> Record:
    return Record(partition.topic, partition.partition, offset, tenant.encode(), value, (("ce_id", b"x"),), 0)


def records(names: Sequence[str], *, start: int = 0, partition: TopicPartition = FIRST) -> list[Record]:
    return [record(start + i, counting.value(uuid4(), name), partition=partition) for i, name in enumerate(names)]


async def test_new_events_are_applied_and_the_position_moves(make_sink: MakeSink, engine: AsyncEngine) -> None:
    sink = make_sink()
    batch = records(["a", "b", "a"])
    assert await sink.positions([FIRST]) == {FIRST: 0}
    assert await sink.apply({FIRST: batch}, {FIRST: 0}) == Applied(new=3, duplicates=0, invalid=0)
    assert await sink.positions([FIRST]) == {FIRST: 3}
    assert await counting.sums(engine) == {"a": 2, "b": 1}


async def test_offsets_may_leave_gaps(make_sink: MakeSink) -> None:
    sink = make_sink()
    await sink.apply({FIRST: records(["a"], start=41)}, {FIRST: 0})
    await sink.apply({FIRST: records(["a"], start=50)}, {FIRST: 42})
    assert await sink.positions([FIRST]) == {FIRST: 51}


Delivery = tuple[int, int]  # number of the event, partition


@given(
    deliveries=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), min_size=1, max_size=40),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=40),
    again=st.sets(st.integers(0, 39)),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_redelivery_of_any_batch_changes_nothing(
    make_sink: MakeSink, engine: AsyncEngine, deliveries: list[Delivery], sizes: list[int], again: set[int]
) -> None:
    """Events come several times, in any partition; batches come again, too. Each event counts once."""
    topic = f"t{uuid4().hex}"
    sink = make_sink(consumer=topic)
    partitions = [TopicPartition(topic, number) for number in range(3)]
    ids = [uuid4() for _ in range(13)]
    logs: dict[TopicPartition, list[Record]] = {each: [] for each in partitions}
    for event, number in deliveries:
        log = logs[partitions[number]]
        value = counting.value(ids[event], f"{topic}-{event % 3}", event + 1)
        log.append(record(len(log), value, partition=partitions[number]))
    round_number = 0
    while any(logs.values()):
        size = sizes[round_number % len(sizes)]
        batch = {each: log[:size] for each, log in logs.items() if log}
        before = await sink.positions(partitions)
        await sink.apply(batch, before)
        if round_number in again:
            with pytest.raises(FencedError):
                await sink.apply(batch, before)
        logs = {each: log[size:] for each, log in logs.items()}
        round_number += 1
    expected: dict[str, int] = {}
    for event in {event for event, _ in deliveries}:
        name = f"{topic}-{event % 3}"
        expected[name] = expected.get(name, 0) + event + 1
    assert {name: n for name, n in (await counting.sums(engine)).items() if name.startswith(topic)} == expected


async def test_of_two_consumers_with_the_same_stored_offsets_one_is_fenced(
    make_sink: MakeSink, engine: AsyncEngine
) -> None:
    batch = records(["a"] * 200)
    for start in (0, 100):
        part = {FIRST: batch[start : start + 100]}
        outcomes = await asyncio.gather(
            make_sink().apply(part, {FIRST: start}), make_sink().apply(part, {FIRST: start}), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Applied", "FencedError"]
    assert await counting.sums(engine) == {"a": 200}


async def test_consumers_that_touch_the_same_rows_never_deadlock(make_sink: MakeSink, engine: AsyncEngine) -> None:
    names = [f"n{number}" for number in range(40)]
    ids = [uuid4() for _ in names]

    async def consume(number: int, order: int) -> None:
        partition, sink = TopicPartition("sample.events", number), make_sink()
        for turn in range(25):
            shared = [counting.value(ids[i], names[i]) for i in range(len(names))][::order]
            own = [counting.value(uuid4(), name) for name in names][::order]
            start = turn * 80
            batch = [record(start + i, each, partition=partition) for i, each in enumerate(shared + own)]
            await sink.apply({partition: batch}, {partition: start})

    await asyncio.gather(consume(0, 1), consume(1, -1), consume(2, 1))
    assert await counting.sums(engine) == dict.fromkeys(names, 1 + 3 * 25)
    async with engine.connect() as connection:
        deadlocks = select(text("deadlocks from pg_stat_database where datname = current_database()"))
        assert await connection.scalar(deadlocks) == 0


async def test_a_poisoned_record_is_a_dead_letter_with_its_evidence(
    make_sink: MakeSink, engine: AsyncEngine, dead_letters: ReadDeadLetters
) -> None:
    good = records(["a", "a"])
    poisoned = Record(FIRST.topic, 0, 2, b"demo/k", b"\x00\xffno json", (("ce_id", b"1"), ("odd", b"\xfe")), 0)
    applied = await make_sink().apply({FIRST: [*good, poisoned, *records(["b"], start=3)]}, {FIRST: 0})
    assert applied == Applied(new=3, duplicates=0, invalid=1)
    assert await counting.sums(engine) == {"a": 2, "b": 1}
    [letter] = await dead_letters()
    assert (letter.topic, letter.partition, letter.offset) == ("sample.events", 0, 2)
    assert (letter.key, letter.value) == (poisoned.key, poisoned.value)
    assert [(each.name, each.value) for each in letter.headers] == list(poisoned.headers)
    assert (letter.service, letter.reason, letter.attempts) == ("sample", "undecodable", 1)
    assert letter.detail
    assert letter.failed_at.seconds > 0


async def test_an_event_that_cannot_be_applied_does_not_stop_the_others(
    make_sink: MakeSink, engine: AsyncEngine, dead_letters: ReadDeadLetters
) -> None:
    batch = records(["a", "refused", "b", "refused", "a"])
    assert await make_sink().apply({FIRST: batch}, {FIRST: 0}) == Applied(new=3, duplicates=0, invalid=2)
    assert await counting.sums(engine) == {"a": 2, "b": 1}
    assert sorted((each.offset, each.reason) for each in await dead_letters()) == [(1, "refused"), (3, "refused")]


async def test_data_that_postgresql_refuses_are_found_and_put_aside(
    make_sink: MakeSink, engine: AsyncEngine, dead_letters: ReadDeadLetters
) -> None:
    names = ["a"] * 20
    names[3] = "a NUL \x00 byte"
    names[17] = "another \x00"
    batch = records(names)
    batch.append(record(20, counting.value(uuid4(), "too much", 2**70)))
    assert await make_sink().apply({FIRST: batch}, {FIRST: 0}) == Applied(new=18, duplicates=0, invalid=3)
    assert await counting.sums(engine) == {"a": 18}
    assert sorted(each.offset for each in await dead_letters()) == [3, 17, 20]


async def test_a_corrected_event_is_taken_after_its_dead_letter(make_sink: MakeSink, engine: AsyncEngine) -> None:
    same = uuid4()
    sink = make_sink()
    await sink.apply({FIRST: [record(0, counting.value(same, "refused"))]}, {FIRST: 0})
    await sink.apply({FIRST: [record(1, counting.value(same, "corrected"))]}, {FIRST: 1})
    assert await counting.sums(engine) == {"corrected": 1}


async def test_too_large_a_share_of_invalid_records_diverts_nothing(
    make_sink: MakeSink, engine: AsyncEngine, dead_letters: ReadDeadLetters
) -> None:
    sink = make_sink(limit=DeadLetterLimit(max_ratio=0.1, min_records=10))
    batch = [*records(["a"] * 10), *(record(10 + i, b"poison") for i in range(5))]
    with pytest.raises(DeadLetterLimitError):
        await sink.apply({FIRST: batch}, {FIRST: 0})
    assert await dead_letters() == []
    assert await counting.sums(engine) == {}
    assert await sink.positions([FIRST]) == {FIRST: 0}


async def test_a_value_too_large_for_a_dead_letter_is_cut(make_sink: MakeSink, dead_letters: ReadDeadLetters) -> None:
    huge = b"x" * (1024 * 1024)
    await make_sink().apply({FIRST: [record(0, huge)]}, {FIRST: 0})
    [letter] = await dead_letters()
    assert huge.startswith(letter.value)
    assert f"of {len(huge)} bytes" in letter.detail


async def test_an_id_keeps_its_promise_for_days_and_is_trimmed_after_them(
    make_sink: MakeSink, engine: AsyncEngine
) -> None:
    again = uuid4()
    sink = make_sink()
    await sink.apply({FIRST: [record(0, counting.value(again, "a", 1))]}, {FIRST: 0})
    await _applied_at(engine, again, NOON - timedelta(days=29))
    assert await trim_applied_events(engine, counting.SCHEMA, NOON - timedelta(days=31)) == 0
    # The event's own data differ (a time that was defaulted anew): its id is what counts.
    assert (await sink.apply({FIRST: [record(1, counting.value(again, "a", 5))]}, {FIRST: 1})).duplicates == 1
    assert await counting.sums(engine) == {"a": 1}
    await sink.apply({FIRST: records(["b"] * 25, start=2)}, {FIRST: 2})
    await _applied_at(engine, None, NOON - timedelta(days=32))
    await sink.apply({FIRST: records(["b"] * 3, start=27)}, {FIRST: 27})
    assert await trim_applied_events(engine, counting.SCHEMA, NOON - timedelta(days=31), batch=10) == 26
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(counting.tables.applied_event)) == 3


async def test_the_same_id_in_two_tenants_is_two_events(make_sink: MakeSink, engine: AsyncEngine) -> None:
    value = counting.value(uuid4(), "a")
    applied = await make_sink().apply({FIRST: [record(0, value), record(1, value, tenant="other")]}, {FIRST: 0})
    assert applied.new == 2


async def _applied_at(engine: AsyncEngine, event_id: UUID | None, when: datetime) -> None:
    ids = counting.tables.applied_event
    statement = update(ids).values(applied_at=when)
    async with engine.begin() as connection:
        await connection.execute(statement.where(ids.c.event_id == event_id) if event_id else statement)


@pytest.mark.parametrize("applied_before", [True, False])
async def test_whoever_applies_an_event_that_another_concerns_waits(engine: AsyncEngine, applied_before: bool) -> None:
    """Either transaction finds what the other has done, whichever comes first."""
    ledger = Ledger(counting.tables, counting.CONSUMER)
    original, revision = ("demo", uuid4()), ("demo", uuid4())
    applies: tuple[list[Key], list[Key]] = [original], []
    concerned: tuple[list[Key], list[Key]] = [revision], [original]
    first, second = (applies, concerned) if applied_before else (concerned, applies)
    async with engine.connect() as one, engine.connect() as other:
        await ledger.insert_ids(one, *first)
        waiting = asyncio.create_task(ledger.insert_ids(other, *second))
        done, _ = await asyncio.wait({waiting}, timeout=0.3)
        assert not done
        await one.commit()
        assert await waiting == set(second[0]), "what only concerned is new, and applied by nobody"
        await other.commit()
    async with engine.connect() as connection:
        kept = await connection.execute(select(counting.tables.applied_event.c.event_id))
        assert {row.event_id for row in kept} == {original[1], revision[1]}


async def test_what_only_concerns_may_still_be_applied(engine: AsyncEngine) -> None:
    ledger = Ledger(counting.tables, counting.CONSUMER)
    original, revision = ("demo", uuid4()), ("demo", uuid4())
    async with engine.begin() as connection:
        assert await ledger.insert_ids(connection, [revision], [original]) == {revision}
    async with engine.begin() as connection:
        assert await ledger.insert_ids(connection, [original], [revision]) == {original}
        assert await ledger.insert_ids(connection, [original, revision]) == set()
