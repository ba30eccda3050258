"""The processes as they are run: killed, without PostgreSQL, with poison in the topics."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer
from sqlalchemy import text

from voz.v1.dead_letter_pb2 import DeadLetter
from voz_contracts.topics import CASES, DEAD_LETTER, ENRICHED
from voz_devstack.testing import postgres_server
from voz_metrics_api import wiring
from voz_metrics_api.config import ConsumeSettings
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.kafka import create_producer
from voz_streamkit.topics import ensure_topics

MINUTE = timedelta(minutes=1)


async def consumer_process(settings: ConsumeSettings) -> asyncio.subprocess.Process:
    environment = {
        **os.environ,
        "VOZ_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "VOZ_TOPIC_PREFIX": settings.topic_prefix,
        "VOZ_POSTGRES_DSN": settings.postgres_dsn.get_secret_value(),
        "VOZ_METRICS_API_OPS_PORT": str(settings.ops_port),
        "VOZ_METRICS_API_MAX_BATCH_RECORDS": "50",
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voz_metrics_api.main",
        "consume",
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
    )


@asynccontextmanager
async def consuming(settings: ConsumeSettings) -> AsyncIterator[asyncio.Task[None]]:
    """The consumer inside this process."""
    stop = asyncio.Event()
    task = asyncio.create_task(wiring.consume(settings, stop))
    try:
        yield task
    finally:
        stop.set()
        await task


async def publish(settings: ConsumeSettings, values: list[tuple[Any, bytes, bytes]]) -> None:
    producer = create_producer(settings)
    await producer.start()
    try:
        acknowledgements = [await producer.send(settings.topic(topic), value, key=key) for topic, key, value in values]
        await asyncio.gather(*acknowledgements)
    finally:
        await producer.stop()


async def counted(engine: Any) -> int:
    async with engine.connect() as connection:
        found = await connection.scalar(text("select coalesce(sum(volume), 0)::bigint from metrics.rollup_day"))
        return int(found)


async def test_kill_9_in_mid_stream_counts_each_event_once(
    consume_settings: ConsumeSettings, build: Any, now: datetime
) -> None:
    settings = consume_settings
    await ensure_topics(settings, [ENRICHED, CASES, DEAD_LETTER])
    generator = random.Random(7)
    events = [
        build.event(now - generator.randrange(90) * MINUTE, customer=f"c-{generator.randrange(40)}")
        for _ in range(4000)
    ]
    # One event in twenty is delivered again, and then in another batch.
    delivered = [*events, *generator.choices(events, k=200)]
    values = [(ENRICHED, event.event.customer.key.encode(), event.SerializeToString()) for event in delivered]
    engine = create_engine(settings)
    process = await consumer_process(settings)
    publishing = asyncio.create_task(publish(settings, values))
    try:
        reached = 0
        for kill in range(1, 3):
            while reached < kill * 1200:
                assert process.returncode is None
                await asyncio.sleep(0.02)
                reached = await counted(engine)
            process.kill()
            await process.wait()
            process = await consumer_process(settings)
        await publishing
        while await counted(engine) < len(events) or await _behind(engine, len(delivered)):
            assert process.returncode is None
            await asyncio.sleep(0.05)
        process.terminate()
        assert await process.wait() == 0
        async with engine.connect() as connection:
            for level in ("minute", "hour", "day"):
                total = await connection.scalar(text(f"select sum(volume)::bigint from metrics.rollup_{level}"))
                assert total == len(events)
            assert await connection.scalar(text("select count(*) from metrics.touchpoint")) == len(events)
            assert await connection.scalar(text("select sum(events)::bigint from metrics.customer_profile")) == len(
                events
            )
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        publishing.cancel()
        await engine.dispose()


async def _behind(engine: Any, records: int) -> bool:
    async with engine.connect() as connection:
        done = await connection.scalar(text("select sum(next_offset)::bigint from metrics.consumed_offset"))
        return int(done or 0) < records


async def test_poison_is_put_aside_and_the_rest_is_counted(
    consume_settings: ConsumeSettings, build: Any, now: datetime
) -> None:
    settings = consume_settings
    await ensure_topics(settings, [ENRICHED, CASES, DEAD_LETTER])
    nameless = build.event(now)
    nameless.event.ClearField("tenant")
    values = [(ENRICHED, b"k", build.event(now).SerializeToString()) for _ in range(20)]
    values[5] = (ENRICHED, b"k", b"\xff\xff poison")
    values[11] = (ENRICHED, b"k", nameless.SerializeToString())
    await publish(settings, [*values, (CASES, b"k", b"\x0a\x05poi")])
    engine = create_engine(settings)
    letters = AIOKafkaConsumer(
        settings.topic(DEAD_LETTER), bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="earliest"
    )
    await letters.start()
    try:
        async with consuming(settings):
            while await _behind(engine, 21):
                await asyncio.sleep(0.02)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.ops_port}") as client:
                metrics = (await client.get("/metrics")).text
                assert (await client.get("/livez")).status_code == (await client.get("/readyz")).status_code == 200
        assert await counted(engine) == 18
        found = [DeadLetter.FromString((await letters.getone()).value) for _ in range(3)]
    finally:
        await letters.stop()
        await engine.dispose()
    evidence = {(letter.topic, letter.offset): (letter.reason, letter.service) for letter in found}
    enriched, cases = settings.topic(ENRICHED), settings.topic(CASES)
    assert evidence == {
        (enriched, 5): ("undecodable", "metrics-api"),
        (enriched, 11): ("invalid", "metrics-api"),
        (cases, 0): ("undecodable", "metrics-api"),
    }
    assert 'voz_dead_letters_total{reason="undecodable",service="metrics-api"} 2.0' in metrics


async def test_without_postgres_answers_are_503_and_come_back(
    tmp_path_factory: Any, serve: Any, tmp_path: Path
) -> None:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        dsn = server.create_database("metrics")
        await asyncio.to_thread(migrate, dsn, "voz_metrics_api")
        async with serve(dsn) as api, api.client() as client:
            assert (await client.get("/readyz")).status_code == 200
            server.kill()
            for path in ("/v1/kpis", "/v1/kpis/nps/series", "/v1/friction", "/v1/customers/c-1", "/v1/stream"):
                response = await client.get(path)
                assert response.status_code == 503, path
                assert response.headers["retry-after"]
                assert response.headers["content-type"] == "application/problem+json"
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/livez")).status_code == 200
            server.start()
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.1)
            assert (await client.get("/v1/kpis")).status_code == 200


async def test_two_processes_may_migrate_at_once(database: str) -> None:
    command = [sys.executable, "-m", "voz_metrics_api.main", "migrate"]
    environment = {**os.environ, "VOZ_POSTGRES_DSN": database}
    processes = [await asyncio.create_subprocess_exec(*command, env=environment) for _ in range(2)]
    assert [await process.wait() for process in processes] == [0, 0]
    await asyncio.to_thread(migrate, database, "voz_metrics_api")


async def test_housekeeping_makes_partitions_ahead(world: Any, consume_settings: Any, now: datetime) -> None:
    await wiring.housekeeping(world.engine, consume_settings, now)
    await wiring.housekeeping(world.engine, consume_settings, now)
    async with world.engine.connect() as connection:
        children = await connection.scalar(
            text(
                "select count(*) from pg_inherits i join pg_class c on c.oid = i.inhparent"
                " where c.relname = 'rollup_minute'"
            )
        )
    assert children == 5, "the default one, today and three days ahead"
