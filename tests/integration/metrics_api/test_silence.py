"""Customers who fall silent: judged when it is asked, in profiles and for Prometheus."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from voz_contracts.identity import customer_key

DAY = timedelta(days=1)


def seen(build: Any, at: datetime, heard_at: datetime, *, offset: int = 0, **given: Any) -> Any:
    """An event after which the customer was last heard at `heard_at`."""
    said = build.event(at, **given)
    said.journey.heard_at.FromDatetime(heard_at)
    said.answers.offset = offset
    return said


async def test_a_customer_is_at_risk_once_they_are_silent_for_long(
    world: Any, serve: Any, build: Any, now: datetime
) -> None:
    long_ago = now - 31 * DAY
    await world.apply(
        # The company wrote yesterday: that is no sign of the customer.
        seen(build, now - DAY, long_ago, customer="c-1", stage="use", direction="outbound"),
        seen(build, long_ago, long_ago, customer="c-2", stage="support"),
        seen(build, now, now, customer="c-3", stage="use"),
        build.event(now, customer="c-4"),
    )
    for days, at_risk in ((30, True), (32, False)):
        async with serve(world.dsn, at_risk_days=days) as api:
            found = [await api.get(f"/v1/customers/c-{number}") for number in (1, 2, 3, 4)]
            assert [each["at_risk"] for each in found] == [at_risk, False, False, False], days
            assert datetime.fromisoformat(found[0]["heard_at"]) == long_ago
            assert found[3]["heard_at"] is None


async def test_persons_are_counted_by_stage_and_risk(world: Any, serve: Any, build: Any, now: datetime) -> None:
    long_ago = now - 40 * DAY
    one, other = (customer_key("acme", "api", customer_id=name) for name in ("c-1", "c-2"))
    await world.apply(
        seen(build, long_ago, long_ago, customer="c-1", stage="advocate"),
        seen(build, now, now, customer="c-2", stage="use"),
        seen(build, long_ago, long_ago, customer="c-3", stage="use"),
        seen(build, long_ago, long_ago, customer="c-4", stage="consider"),
        # Of two at one time the one further on in the partition is what enrich knew last.
        seen(build, long_ago, long_ago, customer="c-4", stage="leave", offset=1),
        seen(build, now, now, tenant="globex", stage="use"),
        build.join(now, other, one, 1),
    )
    quick = {"customer_gauge_interval_seconds": 0.1, "at_risk_days": 30}
    async with serve(world.dsn, **quick) as api, api.client() as client:
        while "voz_customers{" not in (metrics := (await client.get("/metrics")).text):
            await asyncio.sleep(0.05)
    assert {line for line in metrics.splitlines() if line.startswith("voz_customers{")} == {
        'voz_customers{at_risk="false",stage="use",tenant="acme"} 1.0',
        'voz_customers{at_risk="true",stage="use",tenant="acme"} 1.0',
        'voz_customers{at_risk="false",stage="leave",tenant="acme"} 1.0',
        'voz_customers{at_risk="false",stage="use",tenant="globex"} 1.0',
    }


async def test_a_timeline_tells_what_moved_the_customer(world: Any, api: Any, build: Any, now: datetime) -> None:
    paid = build.event(now, stage="onboard")
    paid.journey.previous_stage = "STAGE_PURCHASE"
    paid.journey.cause, paid.journey.cause_type = "TRANSITION_CAUSE_TRANSACTION", "order_paid"
    paid.journey.in_previous_stage.FromSeconds(7200)
    await world.apply(paid)
    (item,) = (await api.get("/v1/customers/c-1/timeline"))["items"]
    moved = {"moved_from": "purchase", "moved_by": "transaction order_paid", "moved_after_seconds": 7200.0}
    assert (item["stage"], item["details"]) == ("onboard", moved)
