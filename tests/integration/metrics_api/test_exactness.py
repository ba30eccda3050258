"""Figures equal a straight computation over the raw events, whatever is delivered how often and asked how."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from aiokafka import TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voz_metrics_api.adapters.outbound.figures import PostgresFigureStore
from voz_metrics_api.adapters.outbound.reading import Reader
from voz_metrics_api.domain.kpis import KPIS
from voz_metrics_api.domain.windows import Kept, aligned
from voz_metrics_api.ports import Selection
from voz_streamkit.records import Record

END = datetime(2026, 11, 24, 10, 7, tzinfo=UTC)
KEPT = Kept(timedelta(days=10**4), timedelta(days=10**5))
EXAMPLES = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Said:
    """One event in plain words, for the straight computation."""

    seconds_before: int
    channel: str
    stage: str
    sentiment: str
    intents: tuple[str, ...]
    direction: str
    nps: int | None

    @property
    def at(self) -> datetime:
        return END - timedelta(seconds=self.seconds_before)


said = st.builds(
    Said,
    # Dense near the end, and back over hours and days.
    seconds_before=st.integers(1, 7200) | st.integers(1, 12 * 86400),
    channel=st.sampled_from(["social", "email"]),
    stage=st.sampled_from(["use", "leave", ""]),
    sentiment=st.sampled_from(["negative", "neutral", "positive", ""]),
    intents=st.lists(st.sampled_from(["complaint", "question", "praise"]), max_size=2, unique=True).map(tuple),
    direction=st.sampled_from(["inbound", "inbound", "outbound"]),
    nps=st.none() | st.integers(0, 10),
)
minutes_before = st.integers(0, 180) | st.integers(0, 12 * 1440)


def straight(events: Sequence[Said]) -> dict[str, tuple[float | None, int]]:
    """value and n of some KPIs, by their definitions."""
    heard = [event for event in events if event.direction == "inbound"]
    felt = [event.sentiment for event in heard if event.sentiment]
    messages = [event for event in heard if event.nps is None]
    scores = [event.nps for event in events if event.nps is not None]
    net = felt.count("positive") - felt.count("negative")
    recommend = sum(score >= 9 for score in scores) - sum(score <= 6 for score in scores)
    complaints = sum("complaint" in event.intents for event in messages)
    return {
        "volume": (len(events), len(events)),
        "net_sentiment": (100 * net / len(felt) if felt else None, len(felt)),
        "nps": (100 * recommend / len(scores) if scores else None, len(scores)),
        "complaint_rate": (complaints / len(messages) if messages else None, len(messages)),
    }


def event_of(build: Any, tenant: str, event: Said) -> Any:
    survey = {"kind": "survey", "survey": ("nps", event.nps)} if event.nps is not None else {}
    return build.event(
        event.at,
        tenant=tenant,
        channel=event.channel,
        stage=event.stage,
        sentiment=event.sentiment,
        intents=event.intents,
        direction=event.direction,
        **survey,
    )


def groups_of(event: Said, by: tuple[str, ...]) -> list[tuple[str, ...]]:
    values: list[tuple[str, ...]] = [()]
    for name in by:
        each = (event.intents or ("",)) if name == "intent" else (getattr(event, name),)
        values = [(*group, value) for group in values for value in each]
    return values


@EXAMPLES
@given(
    events=st.lists(said, max_size=40),
    ends=st.tuples(minutes_before, minutes_before),
    by=st.sampled_from([(), ("channel",), ("intent",), ("stage", "intent"), ("sentiment", "channel")]),
    channels=st.sampled_from([(), ("social",), ("social", "email")]),
    intents=st.sampled_from([(), ("complaint",), ("complaint", "")]),
)
async def test_any_window_any_group_any_filter_equals_the_straight_computation(
    world: Any,
    build: Any,
    events: list[Said],
    ends: tuple[int, int],
    by: tuple[str, ...],
    channels: tuple[str, ...],
    intents: tuple[str, ...],
) -> None:
    tenant = f"t-{uuid4()}"
    middle = len(events) // 2
    for batch in (events[:middle], events[middle:]):
        if batch:
            await world.apply(*(event_of(build, tenant, event) for event in batch))
    start, end = (END - timedelta(minutes=before) for before in (max(ends) + 1, min(ends)))
    window = aligned(start, end, END, KEPT)
    admitted = [
        event
        for event in events
        if window.start <= event.at < window.end
        and (not channels or event.channel in channels)
        and (not intents or set(event.intents or ("",)) & set(intents))
    ]
    expected: dict[tuple[str, ...], list[Said]] = {}
    for event in admitted:
        for group in groups_of(event, by):
            expected.setdefault(group, []).append(event)

    filters = {name: values for name, values in (("channel", channels), ("intent", intents)) if values}
    store = PostgresFigureStore(Reader(world.engine, 20))
    found = await store.figures(Selection(tenant, by, filters), window, timed=True)
    assert found.keys() == expected.keys()
    for group, figures in found.items():
        for kpi, (value, n) in straight(expected[group]).items():
            answer = KPIS[kpi].compute(figures)
            assert (answer.value, answer.n) == (value, n), (group, kpi)

    step = timedelta(minutes=5) if window.end - window.start < timedelta(hours=5) else timedelta(hours=1)
    whole = aligned(start, end, END, KEPT, step)
    series = await store.series(Selection(tenant, by, filters), whole, step, timed=False)
    one_by_one = {(group, at): figures.counters for group, points in series.items() for at, figures in points.items()}
    for (group, at), counters in one_by_one.items():
        inside = [
            event
            for event in events
            if at <= event.at < at + step
            and (not channels or event.channel in channels)
            and (not intents or set(event.intents or ("",)) & set(intents))
            and group in groups_of(event, by)
        ]
        assert counters.volume == len(inside)


@EXAMPLES
@given(
    deliveries=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), min_size=1, max_size=5),
    data=st.data(),
)
async def test_redelivery_of_any_batch_changes_nothing(
    world: Any, build: Any, deliveries: list[list[int]], data: st.DataObject
) -> None:
    tenant = f"t-{uuid4()}"
    events = [event_of(build, tenant, data.draw(said)) for _ in range(7)]
    case = str(uuid4())
    cases = [
        build.case(case, 1, END, tenant=tenant),
        build.case(case, 2, END, tenant=tenant, first_response_at=END + timedelta(minutes=3)),
        build.case(case, 3, END, tenant=tenant, status="resolved", resolved_at=END + timedelta(minutes=9)),
    ]
    everything = [*events, *cases]
    await world.apply(*everything)
    before = await world.tables()
    for delivery in deliveries:
        applied = await world.apply(*(everything[number] for number in delivery))
        assert applied.new == 0
    assert await world.tables() == before


async def test_batches_in_any_order_end_the_same(world: Any, build: Any, now: datetime) -> None:
    case = str(uuid4())
    opened = now - timedelta(hours=3)

    def story(tenant: str) -> list[Any]:
        return [
            build.event(opened, tenant=tenant, sentiment="negative", stage="use"),
            build.case(case, 1, opened, tenant=tenant, queue="billing"),
            build.case(case, 2, opened, tenant=tenant, first_response_at=opened + timedelta(minutes=30)),
            build.case(case, 3, opened, tenant=tenant, queue="retention", status="resolved", resolved_at=now),
            build.event(now, tenant=tenant, sentiment="positive", stage="advocate"),
        ]

    for message in story("onwards"):
        await world.apply(message)
    for message in reversed(story("backwards")):
        await world.apply(message)
    await world.apply(*story("at-once"))
    store = PostgresFigureStore(Reader(world.engine, 20))
    window = aligned(opened, now + timedelta(minutes=1), now, KEPT)
    for by in ((), ("queue",), ("stage", "sentiment")):
        found = [
            await store.figures(Selection(tenant, by), window, timed=True)
            for tenant in ("onwards", "backwards", "at-once")
        ]
        assert found[0] == found[1] == found[2]


async def test_two_consumers_at_once_never_wait_in_a_circle(world: Any, build: Any, now: datetime) -> None:
    """Batches that touch the same cells and customers in opposite orders, from two partitions at the same time."""
    topic = world.topics[0]

    def batch(partition: int, number: int) -> dict[TopicPartition, list[Record]]:
        order: Callable[[Sequence[int]], list[int]] = list if partition else lambda found: list(reversed(found))
        messages = [
            build.event(now - timedelta(minutes=i % 7), customer=f"c-{i % 5}", channel="social", stage="use")
            for i in order(range(30))
        ]
        records = [
            Record(topic, partition, number * 30 + i, b"", message.SerializeToString(), (), 0)
            for i, message in enumerate(messages)
        ]
        return {TopicPartition(topic, partition): records}

    async def consume(partition: int) -> None:
        for number in range(10):
            found = batch(partition, number)
            await world.sink.apply(found, {TopicPartition(topic, partition): number * 30})

    await asyncio.gather(*(consume(partition) for partition in range(4)))
    store = PostgresFigureStore(Reader(world.engine, 20))
    window = aligned(now - timedelta(hours=1), now + timedelta(minutes=1), now, KEPT)
    figures = await store.figures(Selection("acme"), window, timed=False)
    assert figures[()].counters.volume == 4 * 10 * 30
