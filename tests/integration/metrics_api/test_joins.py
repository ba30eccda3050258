"""Customers that turn out to be one person, and are told apart again."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voz_contracts.identity import customer_key
from voz_metrics_api.adapters.outbound.customers import PostgresCustomerStore
from voz_metrics_api.adapters.outbound.reading import Reader

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
COMPANY = customer_key("acme", "", customer_id="c-42")
TOOT = customer_key("acme", "mastodon", handle="@ana")
MAIL = customer_key("acme", "mailgun", handle="ana@example.com")


async def said(world: Any, build: Any, now: datetime) -> None:
    """Three customers, before anybody knows that they are one."""
    toot: dict[str, Any] = {"source": "mastodon", "customer": "", "handle": "@ana"}
    mail: dict[str, Any] = {"source": "mailgun", "customer": "", "handle": "ana@example.com"}
    await world.apply(
        build.event(now - 4 * DAY, text="one", sentiment="negative", score=-1, **toot),
        build.event(now - 3 * DAY, text="two", name="Ana", sentiment="neutral", score=0, **mail),
        build.event(now - 2 * DAY, text="three", customer="c-42", stage="use", sentiment="positive", score=1),
        build.event(now - 1 * DAY, text="four", sentiment="negative", score=-1, **toot),
    )


async def test_either_name_gives_the_joined_customer(world: Any, api: Any, build: Any, now: datetime) -> None:
    await said(world, build, now)
    volume = await api.kpi("volume", window="7d")
    await world.apply(build.join(now, COMPANY, TOOT, 1), build.join(now, COMPANY, MAIL, 2))
    names = ["c-42", COMPANY, "mastodon:@ana", TOOT, "mailgun:ana@example.com", MAIL]
    found = [await api.get(f"/v1/customers/{name}") for name in names]
    assert all(each == found[0] for each in found)
    ana = found[0]
    assert (ana["key"], sorted(ana["joined_keys"])) == (COMPANY, sorted([TOOT, MAIL]))
    assert (ana["id"], ana["name"], ana["handles"]) == ("c-42", "Ana", ["mailgun:ana@example.com", "mastodon:@ana"])
    assert (ana["events"], ana["stage"], ana["sentiment"]["negative"], ana["sentiment"]["latest"]) == (
        4,
        "use",
        2,
        "negative",
    )
    assert [day["score"] for day in ana["sentiment"]["by_day"]] == [-1, 0, 1, -1]
    for name in names:
        assert await words(api, name) == ["one", "two", "three", "four"]
    assert await api.kpi("volume", window="7d") == volume, "being joined is nothing that the customer did"


async def words(api: Any, name: str) -> list[str]:
    """What was said, a page at a time."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await api.get(f"/v1/customers/{name}/timeline", limit=3, **cursor)
        found += [item["text"] for item in page["items"]]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


async def test_events_after_the_merge_are_the_joined_customers(world: Any, api: Any, build: Any, now: datetime) -> None:
    await said(world, build, now)
    await world.apply(build.join(now, COMPANY, TOOT, 1))
    later = build.event(now, text="five", source="mastodon", customer="", handle="@ana")
    later.event.customer.key = COMPANY  # as ingest keys it from now on
    await world.apply(later)
    assert await words(api, "mastodon:@ana") == ["one", "three", "four", "five"]
    assert (await api.get("/v1/customers/c-42"))["events"] == 4


async def test_who_is_parted_has_their_own_again(world: Any, api: Any, build: Any, now: datetime) -> None:
    await said(world, build, now)
    await world.apply(build.join(now, COMPANY, TOOT, 1), build.join(now, COMPANY, MAIL, 2))
    await world.apply(build.join(now, COMPANY, TOOT, 3, joined=False))
    assert await words(api, "mastodon:@ana") == ["one", "four"]
    assert await words(api, "mailgun:ana@example.com") == ["two", "three"]
    toot = await api.get("/v1/customers/mastodon:@ana")
    assert (toot["key"], toot["joined_keys"], toot["name"], toot["events"]) == (TOOT, [], None, 2)
    # The company's own id leaves: the others stay together, under the older key.
    await world.apply(build.join(now, MAIL, COMPANY, 4, joined=False), build.join(now, TOOT, MAIL, 5))
    assert await words(api, "mailgun:ana@example.com") == ["one", "two", "four"]
    assert await words(api, "c-42") == ["three"]


async def test_a_join_may_come_before_anybody_has_said_anything(
    world: Any, api: Any, build: Any, now: datetime
) -> None:
    await world.apply(build.join(now, COMPANY, TOOT, 1))
    async with api.client() as client:
        assert (await client.get("/v1/customers/c-42")).status_code == 404
    await said(world, build, now)
    assert await words(api, "c-42") == ["one", "three", "four"]


async def test_a_handle_is_found_after_its_own_key_was_parted(world: Any, api: Any, build: Any, now: datetime) -> None:
    """Events have the key of the source's id; the link named the handle."""
    by_id = build.event(now, text="by id", source="mastodon", customer="", handle="@ana")
    by_id.event.customer.key = customer_key("acme", "mastodon", handle="109")
    await world.apply(by_id, build.join(now, COMPANY, TOOT, 1), build.join(now, COMPANY, TOOT, 2, joined=False))
    assert await words(api, "mastodon:@ana") == ["by id"]


async def test_nothing_crosses_tenants(world: Any, api: Any, build: Any, now: datetime) -> None:
    await said(world, build, now)
    join = build.join(now, COMPANY, TOOT, 1)
    join.event.tenant = "globex"
    await world.apply(join)
    assert await words(api, "c-42") == ["three"]


def history(build: Any, now: datetime) -> list[Any]:
    return [
        build.join(now, TOOT, MAIL, 1),
        build.join(now, COMPANY, TOOT, 2),
        build.join(now, COMPANY, MAIL, 3),
        build.join(now, COMPANY, TOOT, 4, joined=False),
        build.join(now, TOOT, COMPANY, 5),
        build.join(now, TOOT, MAIL, 6),
    ]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(6)), again=st.lists(st.integers(0, 5), max_size=4), cut=st.integers(0, 6))
async def test_what_was_said_last_holds_in_any_order(
    world: Any, build: Any, now: datetime, order: list[int], again: list[int], cut: int
) -> None:
    tenant = f"t-{next(_numbers)}"
    deliveries = [*order[:cut], *again, *order[cut:]]
    for number in deliveries:
        message = history(build, now)[number]
        message.event.tenant = tenant
        message.event.id = f"00000000-0000-4000-8000-{int(tenant[2:]):06d}{number:06d}"
        await world.apply(message)
    event = build.event(now, tenant=tenant)
    event.event.customer.key = TOOT
    await world.apply(event)
    store = PostgresCustomerStore(Reader(world.engine, 20))
    for key in (TOOT, MAIL, COMPANY):
        found = await store.find(tenant, [key], "")
        assert found is not None
        assert found.keys == (TOOT, *sorted([MAIL, COMPANY]))


_numbers = itertools.count()
