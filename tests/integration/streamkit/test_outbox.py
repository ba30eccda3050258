"""The outbox: what was committed is published, in order for each key, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs
from tests.integration.streamkit import counting
from tests.integration.streamkit.conftest import ReadAll

from voz_streamkit.metrics import Metrics
from voz_streamkit.outbox import MAX_VALUE_BYTES, OutboxMessage, OutboxRelay, enqueue
from voz_streamkit.topics import ensure_topics

pytestmark = pytest.mark.integration
KEYS = [b"demo/ana", b"demo/bo", b"demo/cy", b"demo/di"]


def messages(settings: counting.Settings, numbers: Sequence[int]) -> list[OutboxMessage]:
    """Numbered messages, a key for each in turn."""
    topic = settings.topic(counting.TOPIC)
    return [OutboxMessage(topic, KEYS[i % len(KEYS)], b"%d" % i, [("ce_id", b"%d" % i)]) for i in numbers]


async def commit(engine: AsyncEngine, written: Sequence[OutboxMessage]) -> None:
    async with engine.begin() as connection:
        await enqueue(connection, counting.tables, written)


async def pending(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(counting.tables.outbox)) or 0)


async def until_empty(engine: AsyncEngine) -> None:
    async with asyncio.timeout(30):
        while await pending(engine):
            await asyncio.sleep(0.02)


@asynccontextmanager
async def relaying(relay: OutboxRelay) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


def by_key(found: Sequence[tuple[bytes, bytes]]) -> dict[bytes, list[int]]:
    return {key: [int(value) for each, value in found if each == key] for key in KEYS}


async def test_messages_are_published_in_order_for_each_key(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer, read_all: ReadAll
) -> None:
    metrics = Metrics("sample", CollectorRegistry())
    relay = OutboxRelay(engine, counting.SCHEMA, producer, batch=70, metrics=metrics)
    async with relaying(relay):
        for start in range(0, 1000, 100):
            await commit(engine, messages(settings, range(start, start + 100)))
            relay.nudge()
        await until_empty(engine)
    found = await read_all(counting.TOPIC)
    assert by_key([(each.key, each.value) for each in found]) == {
        key: list(range(first, 1000, 4)) for first, key in enumerate(KEYS)
    }
    assert all(each.headers == (("ce_id", each.value),) for each in found)
    assert metrics.registry.get_sample_value("voz_outbox_published_total", {"service": "sample"}) == 1000


async def test_a_topic_made_after_the_start_holds_up_no_other(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer, read_all: ReadAll
) -> None:
    (queue,) = await ensure_topics(settings, ["late"])  # the producer has been started before
    await commit(engine, [*messages(settings, range(8)), OutboxMessage(queue.name, b"demo/ana", b"8", [])])
    with capture_logs() as logs:
        async with relaying(OutboxRelay(engine, counting.SCHEMA, producer)):
            await until_empty(engine)
    assert sorted(each.value for each in await read_all(counting.TOPIC)) == [b"%d" % each for each in range(8)]
    assert [each.value for each in await read_all("voz.queue.late")] == [b"8"]
    assert not [each for each in logs if each["event"] == "the outbox waits"]


async def test_a_transaction_rolled_back_publishes_nothing(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer, read_all: ReadAll
) -> None:
    async with engine.connect() as connection:
        await enqueue(connection, counting.tables, messages(settings, [1]))
        await connection.rollback()
    await commit(engine, messages(settings, [2]))
    async with relaying(OutboxRelay(engine, counting.SCHEMA, producer)):
        await until_empty(engine)
    assert [each.value for each in await read_all(counting.TOPIC)] == [b"2"]


async def test_a_crash_between_publishing_and_deleting_only_repeats(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer, read_all: ReadAll
) -> None:
    await commit(engine, messages(settings, range(40)))
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "create function sample.refuse() returns trigger language plpgsql "
                "as $$ begin raise exception 'the relay dies here'; end $$"
            )
        )
        await connection.execute(
            text("create trigger refuse before delete on sample.outbox for each row execute function sample.refuse()")
        )
    with pytest.raises(DBAPIError, match="the relay dies here"):
        await OutboxRelay(engine, counting.SCHEMA, producer).run(asyncio.Event())
    assert await pending(engine) == 40
    async with engine.begin() as connection:
        await connection.execute(text("drop trigger refuse on sample.outbox"))
    async with relaying(OutboxRelay(engine, counting.SCHEMA, producer)):
        await until_empty(engine)
    found = by_key([(each.key, each.value) for each in await read_all(counting.TOPIC)])
    assert found == {key: [*range(first, 40, 4), *range(first, 40, 4)] for first, key in enumerate(KEYS)}


async def test_a_second_relay_waits_and_takes_over(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer, read_all: ReadAll
) -> None:
    async with relaying(OutboxRelay(engine, counting.SCHEMA, producer)):
        await commit(engine, messages(settings, range(100)))
        await until_empty(engine)
        second = relaying(OutboxRelay(engine, counting.SCHEMA, producer))
        async with asyncio.timeout(30):
            await second.__aenter__()
        await commit(engine, messages(settings, range(100, 200)))
        await until_empty(engine)
    try:
        await commit(engine, messages(settings, range(200, 300)))
        await until_empty(engine)
    finally:
        await second.__aexit__(None, None, None)
    found = by_key([(each.key, each.value) for each in await read_all(counting.TOPIC)])
    assert found == {key: list(range(first, 300, 4)) for first, key in enumerate(KEYS)}, "each once"


async def test_a_relay_whose_session_broke_goes_on(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer, read_all: ReadAll
) -> None:
    async with relaying(OutboxRelay(engine, counting.SCHEMA, producer)):
        await commit(engine, messages(settings, range(20)))
        await until_empty(engine)
        async with engine.begin() as connection:
            others = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
            await connection.execute(text(f"{others} and datname = current_database()"))
        await commit(engine, messages(settings, range(20, 40)))
        await until_empty(engine)
    assert len(await read_all(counting.TOPIC)) == 40


async def test_what_kafka_would_refuse_is_refused_before_the_commit(
    settings: counting.Settings, engine: AsyncEngine
) -> None:
    huge = OutboxMessage("t", b"k", b"x" * (MAX_VALUE_BYTES + 1), [])
    async with engine.connect() as connection:
        with pytest.raises(ValueError, match="can't be published"):
            await enqueue(connection, counting.tables, [huge])
