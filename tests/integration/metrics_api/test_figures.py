"""Figures over HTTP, from what the sink applied to a real database."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, event, text

from voz_metrics_api import wiring
from voz_metrics_api.adapters.outbound.figures import PostgresFigureStore
from voz_metrics_api.adapters.outbound.reading import Reader
from voz_metrics_api.domain.windows import Window
from voz_metrics_api.ports import Selection

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def by(report: Any, dimension: str, kpi: str) -> dict[str | None, Any]:
    return {group["dimensions"][dimension]: group["kpis"][kpi]["value"] for group in report["groups"]}


async def test_every_kpi_says_what_it_is_made_of(world: Any, api: Any, build: Any, now: datetime) -> None:
    at = now - 5 * MINUTE
    await world.apply(
        build.event(at, sentiment="negative", score=-0.8, intents=["complaint", "request"], topic="billing"),
        build.event(at, sentiment="negative", score=-0.4, intents=["question"]),
        build.event(at, sentiment="positive", score=0.6, intents=["praise"]),
        build.event(at, direction="outbound", sentiment="positive", score=1, intents=["complaint"]),
        build.event(at, kind="survey", survey=("nps", 10)),
        build.event(at, kind="survey", survey=("nps", 7)),
        build.event(at, kind="survey", survey=("nps", 3)),
        build.event(at, kind="survey", survey=("nps", 9)),
        build.event(at, kind="survey", survey=("csat", 4)),
        build.event(at, kind="survey", survey=("csat", 3)),
        build.event(at, kind="survey", survey=("ces", 2, 1, 7, True)),
        build.event(at, kind="behaviour"),
    )
    report = await api.get("/v1/kpis", window="1h")
    assert [group["dimensions"] for group in report["groups"]] == [{}]
    kpis = report["groups"][0]["kpis"]
    assert kpis["volume"] == {"value": 12, "numerator": 12, "denominator": 1, "n": 12}
    assert kpis["net_sentiment"] == {"value": -100 / 3, "numerator": -1, "denominator": 3, "n": 3}
    assert kpis["sentiment_score"] == {"value": -0.6 / 3, "numerator": -0.6, "denominator": 3, "n": 3}
    assert kpis["complaint_rate"] == {"value": 1 / 3, "numerator": 1, "denominator": 3, "n": 3}
    assert kpis["nps"] == {"value": 25.0, "numerator": 1, "denominator": 4, "n": 4}
    assert kpis["csat"] == {"value": 50.0, "numerator": 1, "denominator": 2, "n": 2}
    assert kpis["ces"] == {"value": 6.0, "numerator": 6.0, "denominator": 1, "n": 1, "agree_share": 100.0}
    assert kpis["resolution_rate"] == {"value": None, "numerator": 0, "denominator": 0, "n": 0}
    assert kpis["first_response_time"]["value"] is None


async def test_no_data_is_null_and_volume_is_0(api: Any) -> None:
    report = await api.get("/v1/kpis", window="7d")
    kpis = report["groups"][0]["kpis"]
    assert kpis.pop("volume") == {"value": 0, "numerator": 0, "denominator": 1, "n": 0}
    assert {kpi: (answer["value"], answer["n"]) for kpi, answer in kpis.items()} == dict.fromkeys(kpis, (None, 0))
    assert (await api.get("/v1/kpis", window="7d", by="channel"))["groups"] == []


async def test_an_event_counts_in_each_of_its_intents_and_once_in_totals(
    world: Any, api: Any, build: Any, now: datetime
) -> None:
    await world.apply(
        build.event(now - MINUTE, intents=["complaint", "churn_risk"]),
        build.event(now - MINUTE, intents=["complaint"]),
        build.event(now - MINUTE),
    )
    report = await api.get("/v1/kpis", kpi="volume", by="intent")
    assert by(report, "intent", "volume") == {"complaint": 2, "churn_risk": 1, None: 1}
    assert (await api.kpi("volume"))["value"] == 3
    assert (await api.kpi("volume", intent="churn_risk,complaint"))["value"] == 2
    assert (await api.kpi("volume", intent=""))["value"] == 1


async def test_two_dimensions_and_filters(world: Any, api: Any, build: Any, now: datetime) -> None:
    at = now - MINUTE
    await world.apply(
        build.event(at, channel="social", stage="use", attributes={"product": "fibra-600"}, sentiment="negative"),
        build.event(at, channel="social", stage="renew", attributes={"product": "fibra-600"}, sentiment="positive"),
        build.event(at, channel="email", stage="use", attributes={"product": "tv"}, sentiment="positive"),
        build.event(at, channel="email", stage="use", attributes={"segment": "premium"}, sentiment="neutral"),
    )
    report = await api.get("/v1/kpis", kpi="volume,net_sentiment", by="channel,stage")
    found = {tuple(g["dimensions"].values()): g["kpis"]["net_sentiment"]["value"] for g in report["groups"]}
    assert found == {("social", "use"): -100, ("social", "renew"): 100, ("email", "use"): 50}
    assert report["groups"][0]["dimensions"] == {"channel": "email", "stage": "use"}, "the largest comes first"
    assert (await api.kpi("net_sentiment", product="fibra-600,tv"))["n"] == 3
    assert (await api.kpi("net_sentiment", channel="email", segment="premium"))["n"] == 1
    assert (await api.kpi("volume", product=""))["value"] == 1
    assert (await api.kpi("volume", product="nothing"))["value"] == 0


async def test_late_events_correct_the_past(world: Any, api: Any, build: Any, now: datetime) -> None:
    for ago, expected in ((3 * DAY, 1), (40 * DAY, 1), (400 * DAY, 1)):
        await world.apply(build.event(now - ago))
        around = {"from": (now - ago - HOUR).isoformat(), "to": (now - ago + HOUR).isoformat()}
        assert (await api.kpi("volume", **around))["value"] == expected
    assert (await api.kpi("volume", window="90d"))["value"] == 2


async def test_windows_are_half_open_and_say_what_was_counted(world: Any, api: Any, build: Any, now: datetime) -> None:
    start, end = now - HOUR, now - 30 * MINUTE
    await world.apply(build.event(start), build.event(end - timedelta(microseconds=1)), build.event(end))
    given = {"from": (start + timedelta(seconds=20)).isoformat(), "to": (end - timedelta(seconds=20)).isoformat()}
    report = await api.get("/v1/kpis", kpi="volume", **given)
    assert (datetime.fromisoformat(report["from"]), datetime.fromisoformat(report["to"])) == (start, end)
    assert report["groups"][0]["kpis"]["volume"]["value"] == 2


async def test_a_series_has_every_step_and_no_data_is_null(world: Any, api: Any, build: Any, now: datetime) -> None:
    hour = now.replace(minute=0)
    await world.apply(
        build.event(hour - 5 * HOUR, sentiment="negative", channel="social"),
        build.event(hour - 5 * HOUR + 59 * MINUTE, sentiment="positive", channel="email"),
        build.event(hour - 2 * HOUR, sentiment="positive", channel="email"),
    )
    series = await api.get("/v1/kpis/net_sentiment/series", window="24h", step="1h")
    assert len(series["points"]) == 24
    values = {point["from"]: point["groups"][0]["kpis"]["net_sentiment"]["value"] for point in series["points"]}
    found = {datetime.fromisoformat(at): value for at, value in values.items() if value is not None}
    assert found == {hour - 5 * HOUR: 0, hour - 2 * HOUR: 100}
    split = await api.get("/v1/kpis/volume/series", window="24h", step="1h", by="channel")
    assert all(len(point["groups"]) == 2 for point in split["points"])
    total = sum(group["kpis"]["volume"]["value"] for point in split["points"] for group in point["groups"])
    assert total == 3


async def test_a_case_counts_where_it_was_opened_and_its_times_where_they_ended(
    world: Any, api: Any, build: Any, now: datetime
) -> None:
    opened, case = now - 50 * MINUTE, str(uuid4())
    await world.apply(build.case(case, 1, opened), build.case(str(uuid4()), 1, opened))
    assert (await api.kpi("resolution_rate"))["value"] == 0
    answered = {"first_response_at": opened + 10 * MINUTE}
    solved = {**answered, "first_resolved_at": opened + 20 * MINUTE, "resolved_at": opened + 20 * MINUTE}
    await world.apply(build.case(case, 2, opened, **answered))
    await world.apply(build.case(case, 3, opened, status="resolved", **solved))
    assert (await api.kpi("resolution_rate")) == {"value": 0.5, "numerator": 1, "denominator": 2, "n": 2}
    assert (await api.kpi("response_rate"))["value"] == 0.5
    reply = await api.kpi("first_response_time")
    assert reply["p50"] == pytest.approx(600, rel=0.01)
    assert (reply["numerator"], reply["n"]) == (600, 1)
    assert (await api.kpi("time_to_resolution"))["value"] == pytest.approx(1200, rel=0.01)

    reopened = {**solved, "resolved_at": None}
    await world.apply(build.case(case, 4, opened, status="open", **reopened))
    assert (await api.kpi("resolution_rate"))["value"] == 0
    again = await api.kpi("time_to_resolution")
    assert (again["value"], again["n"], again["first_n"]) == (None, 0, 1)

    final = {**solved, "resolved_at": opened + 40 * MINUTE}
    await world.apply(build.case(case, 5, opened, status="resolved", queue="retention", **final))
    done = await api.kpi("time_to_resolution")
    assert done["p50"] == pytest.approx(2400, rel=0.01)
    assert done["first_p50"] == pytest.approx(1200, rel=0.01)
    report = await api.get("/v1/kpis", kpi="resolution_rate", by="queue")
    assert by(report, "queue", "resolution_rate") == {"care": 0, "retention": 1}


async def test_the_newest_state_of_a_case_wins_in_any_order(world: Any, api: Any, build: Any, now: datetime) -> None:
    opened, case = now - 50 * MINUTE, str(uuid4())
    resolved = build.case(case, 3, opened, status="resolved", resolved_at=opened + MINUTE)
    await world.apply(build.case(case, 2, opened, queue="billing"), resolved)
    await world.apply(build.case(case, 1, opened))
    report = await api.get("/v1/kpis", kpi="resolution_rate", by="queue")
    assert by(report, "queue", "resolution_rate") == {"care": 1}


async def test_friction_ranks_stages_and_topics(world: Any, api: Any, build: Any, now: datetime) -> None:
    at = now - HOUR
    hurt = {"stage": "support", "topic": "technical", "sentiment": "negative"}
    await world.apply(
        build.event(at, intents=["complaint"], effort="high", **hurt),
        build.event(at, **hurt),
        build.event(at, stage="use", topic="product", sentiment="positive"),
        build.event(at, stage="use", topic="product", sentiment="negative"),
        build.event(at, kind="behaviour"),
    )
    items = (await api.get("/v1/friction", window="7d"))["items"]
    assert [(item["stage"], item["topic"], item["n"]) for item in items] == [
        ("support", "technical", 2),
        ("use", "product", 2),
    ]
    assert items[0]["score"] == 100 * 4 / 12
    assert items[0]["negative"] == {"count": 2, "share": 1.0}
    assert items[0]["high_effort"] == {"count": 1, "share": 0.5}


async def test_tenants_never_see_each_other(world: Any, api: Any, build: Any, now: datetime) -> None:
    await world.apply(build.event(now - MINUTE), build.event(now - MINUTE, tenant="globex", channel="email"))
    assert (await api.kpi("volume"))["value"] == 1
    other = await api.get("/v1/kpis", key="other", kpi="volume", by="channel")
    assert by(other, "channel", "volume") == {"email": 1}
    assert (await api.get("/v1/customers/c-1", key="other"))["events"] == 1


async def test_figures_live_on_in_coarser_rollups(
    world: Any, consume_settings: Any, serve: Any, build: Any, now: datetime
) -> None:
    settings = consume_settings.model_copy(update={"minutes_kept_days": 2, "hours_kept_days": 35})
    await wiring.housekeeping(world.engine, settings, now - 10 * DAY)
    old = now - 10 * DAY
    await world.apply(build.event(old), build.event(now - MINUTE))
    await wiring.housekeeping(world.engine, settings, now)
    async with world.engine.connect() as connection:
        for level, rows in (("minute", 1), ("hour", 2), ("day", 2)):
            assert await connection.scalar(text(f"select count(*) from metrics.rollup_{level}")) == rows
    async with serve(world.dsn, minutes_kept_days=2, hours_kept_days=35) as api:
        assert (await api.kpi("volume", window="30d"))["value"] == 2
        report = await api.get("/v1/kpis", **{"from": old.isoformat(), "to": (old + MINUTE).isoformat()})
        assert datetime.fromisoformat(report["from"]) == old.replace(minute=0)
        async with api.client() as client:
            refused = await client.get("/v1/kpis/volume/series", params={"window": "30d", "step": "30m"})
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["pointer"] == "/query/step"


async def test_a_question_first_asked_of_small_tables_stays_cheap_after_a_burst(
    world: Any, build: Any, now: datetime
) -> None:
    """PostgreSQL keeps a statement's plan; what it reads must grow with the tables, not with their square."""
    at, burst, rows_read = now - 3 * MINUTE, 1000, list[int]()
    store = PostgresFigureStore(Reader(world.engine, timeout_seconds=60))
    selection, window = Selection("acme", (), {"source": ("burst",)}), Window(now - 5 * MINUTE, now + MINUTE)
    for _ in range(10):  # after five the plan is kept
        await store.figures(selection, window, timed=False)
    for first in range(0, burst, 500):
        numbers = range(first, first + 500)
        await world.apply(*(build.event(at, source="burst", attributes={"product": str(n)}) for n in numbers))

    def count(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if "merged" in statement:
            read = "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) from pg_stat_xact_user_tables"
            rows_read.append(int(connection.exec_driver_sql(read).scalar() or 0))

    event.listen(world.engine.sync_engine, "after_cursor_execute", count)
    found = await store.figures(selection, window, timed=False)
    event.remove(world.engine.sync_engine, "after_cursor_execute", count)
    assert found[()].counters.volume == burst
    assert burst <= rows_read[0] < 10 * burst
