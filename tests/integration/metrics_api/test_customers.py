"""Who a customer is, and their timeline."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


async def test_a_customer_is_found_by_key_id_and_handle(world: Any, api: Any, build: Any, now: datetime) -> None:
    await world.apply(
        build.event(now - DAY, customer="c-42", handle="@ana", source="mastodon", name="Ana", stage="onboard"),
        build.event(now, customer="c-42", sentiment="positive", score=0.5, stage="use"),
        build.event(now, customer="", handle="@luis", source="mastodon"),
    )
    ana = await api.get("/v1/customers/c-42")
    assert (ana["id"], ana["name"], ana["handles"], ana["stage"]) == ("c-42", "Ana", ["mastodon:@ana"], "use")
    assert datetime.fromisoformat(ana["stage_since"]) == now
    assert ana["sentiment"]["latest"] == "positive"
    assert await api.get(f"/v1/customers/{ana['key']}") == ana
    assert await api.get("/v1/customers/mastodon:@ana") == ana
    assert (await api.get("/v1/customers/mastodon:@luis"))["name"] is None


async def test_a_profile_is_the_same_in_any_order(world: Any, api: Any, build: Any, now: datetime) -> None:
    def story(customer: str) -> list[Any]:
        return [
            build.event(now - 3 * DAY, id=_id(customer, 1), customer=customer, name="Ana", stage="discover"),
            build.event(now - 2 * DAY, id=_id(customer, 2), customer=customer, sentiment="negative", score=-0.5),
            build.event(now - 1 * DAY, id=_id(customer, 3), customer=customer, name="Ana P.", stage="leave"),
            build.event(now - 1 * DAY, id=_id(customer, 4), customer=customer, attributes={"segment": "premium"}),
        ]

    profiles = []
    for number, order in enumerate(itertools.permutations(range(4))):
        customer = f"c-{number}"
        events = story(customer)
        await world.apply(*(events[i] for i in order[:2]))
        await world.apply(*(events[i] for i in order[2:]))
        profile = await api.get(f"/v1/customers/{customer}")
        profiles.append({**profile, "key": "", "id": ""})
    assert profiles[0]["name"] == "Ana P."
    assert profiles[0]["attributes"] == {"segment": "premium"}
    assert profiles[0]["sentiment"]["negative"] == 1
    assert all(profile == profiles[0] for profile in profiles)


def _id(customer: str, number: int) -> str:
    return f"00000000-0000-4000-8000-{int(customer.removeprefix('c-')):06d}{number:06d}"


async def test_the_timeline_has_every_touchpoint_in_order(world: Any, api: Any, build: Any, now: datetime) -> None:
    times = [now - 40 * DAY, now - 3 * MINUTE, now - 2 * MINUTE, now - 2 * MINUTE, now - MINUTE]
    events = [
        build.event(at, text=f"message {number}", intents=["question", "complaint"]) for number, at in enumerate(times)
    ]
    await world.apply(*reversed(events))
    await world.apply(build.event(now, customer="c-2", text="somebody else"))
    seen: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await api.get("/v1/customers/c-1/timeline", limit=2, **cursor)
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert [datetime.fromisoformat(item["occurred_at"]) for item in seen] == times
    assert {item["text"] for item in seen} == {f"message {number}" for number in range(5)}
    assert seen[0]["intents"] == ["complaint", "question"]
    async with api.client() as client:
        bad = await client.get("/v1/customers/c-1/timeline", params={"cursor": "x"})
    assert bad.json()["errors"][0]["pointer"] == "/query/cursor"


async def test_a_timeline_tells_what_the_payload_said(world: Any, api: Any, build: Any, now: datetime) -> None:
    survey = build.event(now, kind="survey", survey=("nps", 3))
    survey.event.survey.comment = "never again\0"
    await world.apply(survey)
    items = (await api.get("/v1/customers/c-1/timeline"))["items"]
    assert items[0]["details"] == {"metric": "nps", "score": 3}
    assert items[0]["text"] == "never again\ufffd"


async def test_sentiment_over_time_by_day(world: Any, api: Any, build: Any, now: datetime) -> None:
    await world.apply(
        build.event(now - 2 * DAY, sentiment="negative", score=-1),
        build.event(now - 2 * DAY, sentiment="neutral", score=0),
        build.event(now, sentiment="positive", score=1),
        build.event(now, sentiment="positive", score=1, direction="outbound"),
    )
    days = (await api.get("/v1/customers/c-1"))["sentiment"]["by_day"]
    assert [(day["negative"], day["neutral"], day["positive"], day["score"]) for day in days] == [
        (1, 1, 0, -0.5),
        (0, 0, 1, 1.0),
    ]
