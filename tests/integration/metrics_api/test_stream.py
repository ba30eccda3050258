"""Live figures: server-sent events whenever they change, until the service stops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
from sqlalchemy import text


async def events(response: httpx.Response) -> AsyncIterator[Any]:
    """The reports of the stream, comments left out."""
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def volume(report: Any) -> int:
    found: int = report["groups"][0]["kpis"]["volume"]["value"]
    return found


async def test_figures_arrive_when_they_change(world: Any, api: Any, build: Any, now: datetime) -> None:
    async with api.client() as client, client.stream("GET", "/v1/stream", params={"kpi": "volume"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = events(response)
        assert volume(await anext(stream)) == 0
        await world.apply(build.event(now))
        assert volume(await anext(stream)) == 1
        await world.apply(build.event(now, tenant="globex"))
        await world.apply(build.event(now), build.event(now))
        assert volume(await anext(stream)) == 3


async def test_filters_and_groups_hold_for_a_stream(world: Any, api: Any, build: Any, now: datetime) -> None:
    params = {"kpi": "volume", "by": "channel", "channel": "email"}
    async with api.client() as client, client.stream("GET", "/v1/stream", params=params) as response:
        stream = events(response)
        assert (await anext(stream))["groups"] == []
        await world.apply(build.event(now, channel="social"))
        await world.apply(build.event(now, channel="email"))
        report = await anext(stream)
        assert [group["dimensions"] for group in report["groups"]] == [{"channel": "email"}]


async def test_a_stream_outlives_a_lost_connection(world: Any, api: Any, build: Any, now: datetime) -> None:
    async with api.client() as client, client.stream("GET", "/v1/stream", params={"kpi": "volume"}) as response:
        stream = events(response)
        await anext(stream)
        async with world.engine.begin() as connection:
            ended = await connection.scalar(
                text(
                    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                    " where application_name = 'voz-stream' and datname = current_database()"
                )
            )
        assert ended == 1
        await world.apply(build.event(now))
        assert volume(await anext(stream)) == 1
        await world.apply(build.event(now))
        assert volume(await anext(stream)) == 2


async def test_streams_end_with_the_service(world: Any, serve: Any, build: Any) -> None:
    async with serve(world.dsn) as api, api.client() as client, client.stream("GET", "/v1/stream") as response:
        stream = events(response)
        await anext(stream)
        api.stop.set()
        assert [report async for report in stream] == []
        await api.serving


async def test_too_many_streams_are_refused_and_a_closed_one_makes_room(world: Any, serve: Any) -> None:
    async with serve(world.dsn, max_streams=1) as api, api.client() as client:
        async with client.stream("GET", "/v1/stream") as response:
            stream = events(response)
            await anext(stream)
            refused = await client.get("/v1/stream")
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
            gauges = (await client.get("/metrics")).text
            assert "voz_kpi_streams 1.0" in gauges
        while "voz_kpi_streams 0.0" not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.05)


async def test_kpis_are_gauges_too(world: Any, serve: Any, build: Any, now: datetime) -> None:
    await world.apply(
        build.event(now, sentiment="negative"),
        build.event(now, sentiment="negative"),
        build.event(now, tenant="globex"),
    )
    async with serve(world.dsn, gauge_interval_seconds=0.1) as api, api.client() as client:
        wanted = 'voz_kpi{kpi="net_sentiment",tenant="acme",window="1h"} -100.0'
        while wanted not in (metrics := (await client.get("/metrics")).text):
            await asyncio.sleep(0.05)
    assert 'voz_kpi{kpi="volume",tenant="globex",window="1h"} 1.0' in metrics
    assert 'voz_kpi{kpi="net_sentiment",tenant="globex"' not in metrics, "no data is absent, never 0"
    assert 'voz_kpi_observations{kpi="net_sentiment",tenant="globex",window="1h"} 0.0' in metrics
