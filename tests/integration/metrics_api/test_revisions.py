"""What was edited counts in its newest version, what was taken back not at all; whatever comes when, and where."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from voz_contracts.identity import customer_key, event_id
from voz_metrics_api import wiring
from voz_metrics_api.adapters.outbound.customers import PostgresCustomerStore
from voz_metrics_api.adapters.outbound.figures import PostgresFigureStore
from voz_metrics_api.adapters.outbound.reading import Reader
from voz_metrics_api.config import ConsumeSettings
from voz_metrics_api.domain.windows import Kept, aligned
from voz_metrics_api.ports import Selection
from voz_streamkit.records import Record

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
KEPT = Kept(timedelta(days=10**4), timedelta(days=10**5))
WORDS = ("secret", "worse", "better", "fine")


def versions(build: Any, now: datetime, tenant: str) -> list[Any]:
    """A message, three edits and its deletion: each on another day, with other signals and other words."""
    feels = [("negative", -0.75), ("negative", -1.0), ("neutral", 0.0), ("positive", 0.5)]
    common = {"tenant": tenant, "source": "mastodon", "handle": "@ana", "customer": "", "product": ""}
    said = [
        {"sentiment": label, "score": score, "text": words, "topic": "billing", "intents": ["complaint"], **common}
        for (label, score), words in zip(feels, WORDS, strict=True)
    ]
    return [
        build.event(now - 5 * DAY, source_id="m-1", **said[0] | {"attributes": {"product": "fibra"}}),
        build.edit(now - 4 * DAY, "m-1", 9, **said[1]),
        # Of one moment: their numbers say which is newer.
        build.edit(now - 3 * DAY, "m-1", 10, **said[2]),
        build.edit(now - 3 * DAY, "m-1", 11, **said[3]),
        build.deletion(now - 2 * DAY, "m-1", **common),
    ]


async def seen(world: Any, tenant: str, now: datetime) -> dict[str, Any]:
    """Figures of every rollup, the timeline, and what the profile counts."""
    reader = Reader(world.engine, 20)
    figures, customers = PostgresFigureStore(reader), PostgresCustomerStore(reader)
    window = aligned(now - 10 * DAY, now + DAY, now, KEPT)
    by = ("sentiment", "product")
    steps = {step: await figures.series(Selection(tenant), window, step, timed=False) for step in (MINUTE * 5, DAY)}
    key = customer_key(tenant, "mastodon", handle="@ana")
    found = await customers.find(tenant, [key], "")
    profile = found.profile if found else None
    counts = ("events", "inbound", "negative", "neutral", "positive", "scored", "score_micros")
    return {
        "figures": await figures.figures(Selection(tenant, by), window, timed=False),
        "steps": {step: {group: points for group, points in each.items() if points} for step, each in steps.items()},
        "timeline": await customers.timeline(tenant, [key], None, 100),
        "latest": await customers.latest_sentiment(tenant, [key]),
        "days": await customers.sentiment_by_day(tenant, [key], 100),
        "counts": [getattr(profile, name) for name in counts] if profile else [0] * len(counts),
    }


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    deliveries=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=4), min_size=1, max_size=6),
    partitions=st.lists(st.integers(0, 2), min_size=6, max_size=6),
)
async def test_any_order_and_redelivery_gives_what_the_surviving_version_alone_gives(
    world: Any, build: Any, now: datetime, deliveries: list[list[int]], partitions: list[int]
) -> None:
    tenant, alone = f"t-{uuid4()}", f"t-{uuid4()}"
    story, single = versions(build, now, tenant), versions(build, now, alone)
    offsets = await world.sink.positions([TopicPartition(world.topics[0], number) for number in range(3)])
    for delivery, number in zip(deliveries, partitions, strict=False):
        partition = TopicPartition(world.topics[0], number)
        at = offsets[partition]
        values = [story[version].SerializeToString() for version in delivery]
        records = [
            Record(partition.topic, partition.partition, at + i, b"", value, (), 0) for i, value in enumerate(values)
        ]
        await world.sink.apply({partition: records}, {partition: at})
        offsets[partition] = at + len(records)
    world.offsets = {partition.topic: offset for partition, offset in offsets.items() if partition.partition == 0}
    came = {version for delivery in deliveries for version in delivery}
    newest = max(came - {4}, default=None)
    survivors = ([] if newest is None else [single[newest]]) + ([single[4]] if 4 in came else [])
    for survivor in survivors:
        await world.apply(survivor)

    found, expected = await seen(world, tenant, now), await seen(world, alone, now)
    ids = {
        UUID(event_id(one, "mastodon", each.event.source_id)): each.event.source_id
        for one in (tenant, alone)
        for each in story
    }
    for each in (found, expected):
        each["timeline"] = [
            (ids[item.event_id], str(item).replace(str(item.event_id), "")) for item in each["timeline"]
        ]
    assert found == expected
    said = str(found["timeline"])
    for version, words in enumerate(WORDS):
        assert (words in said) == (version == newest and 4 not in came)


async def test_a_message_that_was_taken_back_is_in_no_figure(world: Any, api: Any, build: Any, now: datetime) -> None:
    ana = {"source": "mastodon", "handle": "@ana", "customer": ""}
    complaint = {"sentiment": "negative", "score": -0.9, "intents": ["complaint"], "effort": "high", "topic": "price"}
    await world.apply(
        build.event(now - 3 * MINUTE, source_id="1", text="never again", **complaint, **ana),
        build.event(now - 2 * MINUTE, source_id="2", text="thanks", sentiment="positive", score=0.8, **ana),
    )
    survey = build.event(now, source_id="3", kind="survey", survey=("nps", 2), **ana)
    survey.event.survey.comment = "what a mess"
    await world.apply(survey)
    assert (await api.kpi("nps"))["value"] == -100
    await world.apply(
        build.deletion(now - MINUTE, "1", **ana), build.deletion(now - MINUTE, "3", source="mastodon", handle="unknown")
    )
    assert (await api.kpi("volume"))["value"] == 3, "what is left, and that two were taken back"
    assert (await api.kpi("volume", kind="message"))["value"] == 1
    assert await api.kpi("nps") == {"value": None, "numerator": 0, "denominator": 0, "n": 0}
    assert (await api.kpi("complaint_rate"))["n"] == 1
    assert (await api.kpi("net_sentiment"))["value"] == 100
    assert [item["score"] for item in (await api.get("/v1/friction"))["items"]] == [0]
    items = (await api.get("/v1/customers/mastodon:@ana/timeline"))["items"]
    assert [(item["kind"], item["deleted"], item["text"], item["details"]) for item in items] == [
        ("message", True, None, {}),
        ("message", False, "thanks", {}),
        ("behaviour", False, None, {"type": "message_deleted", "deletion_of": "1"}),
        ("survey", True, None, {}),
    ]
    profile = await api.get("/v1/customers/mastodon:@ana")
    assert (profile["events"], profile["sentiment"]["negative"], profile["sentiment"]["latest"]) == (2, 0, "positive")
    for table, rows in (await world.tables()).items():
        assert not [words for words in ("never again", "what a mess") if words in str(rows)], table


async def test_of_an_edited_survey_the_newest_answer_counts(world: Any, api: Any, build: Any, now: datetime) -> None:
    await world.apply(build.event(now - 2 * MINUTE, source_id="s", kind="survey", survey=("nps", 0)))
    await world.apply(build.edit(now - MINUTE, "s", 1, kind="survey", survey=("nps", 10)))
    answer = await api.kpi("nps")
    assert (answer["value"], answer["n"]) == (100, 1)
    (item,) = (await api.get("/v1/customers/c-1/timeline"))["items"]
    assert (item["edited"], item["details"]["score"]) == (True, 10)


async def test_an_edit_may_come_under_another_key(world: Any, api: Any, build: Any, now: datetime) -> None:
    """As after two identities were joined: the message moves with its newest version."""
    await world.apply(build.event(now - 2 * MINUTE, source_id="m", text="one", customer="c-1", sentiment="negative"))
    await world.apply(build.edit(now - MINUTE, "m", 1, text="two", customer="c-2", sentiment="positive"))
    one, two = await api.get("/v1/customers/c-1"), await api.get("/v1/customers/c-2")
    assert (one["events"], one["sentiment"]["negative"], one["sentiment"]["latest"]) == (0, 0, None)
    assert (two["events"], two["sentiment"]["positive"]) == (1, 1)
    assert (await api.get("/v1/customers/c-1/timeline"))["items"] == []


async def test_another_source_or_tenant_takes_back_nothing(world: Any, api: Any, build: Any, now: datetime) -> None:
    await world.apply(build.event(now, source_id="m", source="mastodon"))
    await world.apply(
        build.deletion(now, "m", source="x"), build.deletion(now, "m", source="mastodon", tenant="globex")
    )
    assert (await api.kpi("volume", kind="message"))["value"] == 1


@pytest.mark.parametrize("original_first", [True, False])
async def test_versions_applied_at_the_same_time_find_each_other(
    world: Any, build: Any, now: datetime, original_first: bool
) -> None:
    """The original in one partition and its deletion in another, committed at the same moment, again and again."""
    topic, rounds = world.topics[0], 30

    async def consume(partition: int, message: Any) -> None:
        for number in range(rounds):
            record = Record(topic, partition, number, b"", message(number).SerializeToString(), (), 0)
            await world.sink.apply(
                {TopicPartition(topic, partition): [record]}, {TopicPartition(topic, partition): number}
            )

    def deletion(number: int) -> Any:
        return build.deletion(now, f"m-{number}", customer="c-2")

    def edit(number: int) -> Any:
        return build.edit(now, f"m-{number}", 1, customer="c-3")

    first: Sequence[Any] = [lambda number: build.event(now, source_id=f"m-{number}"), deletion, edit]
    await asyncio.gather(
        *(consume(n, message) for n, message in enumerate(first if original_first else reversed(first)))
    )
    figures = await PostgresFigureStore(Reader(world.engine, 20)).figures(
        Selection("acme", ("kind",)), aligned(now - MINUTE, now + MINUTE, now, KEPT), timed=False
    )
    assert {group: each.counters.volume for group, each in figures.items()} == {("behaviour",): rounds}


async def test_an_event_counted_before_contributions_were_kept_loses_its_words(
    world: Any, api: Any, build: Any, now: datetime
) -> None:
    await world.apply(build.event(now, source_id="m", text="old words"))
    async with world.engine.begin() as connection:
        await connection.execute(text("update metrics.touchpoint set dimensions = null, counters = null"))
    await world.apply(build.deletion(now, "m"))
    (item, _) = (await api.get("/v1/customers/c-1/timeline"))["items"]
    assert (item["text"], item["deleted"]) == (None, True)
    assert (await api.kpi("volume"))["value"] == 2


async def test_states_are_forgotten_with_the_touchpoints(
    world: Any, build: Any, now: datetime, consume_settings: ConsumeSettings
) -> None:
    await world.apply(build.deletion(now, "m"))
    await wiring.housekeeping(world.engine, consume_settings, now)
    assert len((await world.tables())["message_state"]) == 1
    await wiring.housekeeping(world.engine, consume_settings, now + timedelta(days=732))
    assert (await world.tables())["message_state"] == []
