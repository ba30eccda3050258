"""The consume loop on real Kafka and PostgreSQL: whatever is killed, stopped, fenced or poisoned, sums are exact."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed
from tests.integration.streamkit import counting
from tests.integration.streamkit.conftest import MakeSink

from voz_devstack.testing import postgres_server
from voz_streamkit.consume import LogChangedError
from voz_streamkit.database import create_engine
from voz_streamkit.dead_letters import DeadLetterLimit
from voz_streamkit.errors import DeadLetterLimitError, TransientError
from voz_streamkit.kafka import create_consumer, create_producer, start
from voz_streamkit.metrics import Metrics

pytestmark = pytest.mark.integration
NAMES = ("a", "b", "c", "d", "e")


async def send(producer: AIOKafkaProducer, settings: counting.Settings, count: int) -> dict[str, int]:
    """Send events over all partitions, every tenth of them twice; returns what they add up to."""
    expected: Counter[str] = Counter()
    topic = settings.topic(counting.TOPIC)
    acknowledgements: list[asyncio.Future[object]] = []
    for number in range(count):
        value = counting.value(uuid4(), NAMES[number % len(NAMES)], 1 + number % 3)
        expected[NAMES[number % len(NAMES)]] += 1 + number % 3
        copies = [value] * (2 if number % 10 == 0 else 1)
        acknowledgements += [await producer.send(topic, each, partition=number % 3) for each in copies]
    await asyncio.gather(*acknowledgements)
    return dict(expected)


async def until(check: Callable[[], Awaitable[bool]], *, seconds: float = 60) -> None:
    """Wait for what must come; fails when it doesn't."""

    async def done() -> bool:
        return await check()

    await AsyncRetrying(
        retry=retry_if_result(lambda done: not done), wait=wait_fixed(0.05), stop=stop_after_delay(seconds)
    )(done)


async def until_counted(engine: AsyncEngine, expected: dict[str, int]) -> None:
    async def done() -> bool:
        return sum((await counting.sums(engine)).values()) >= sum(expected.values())

    await until(done)
    assert await counting.sums(engine) == expected


@asynccontextmanager
async def consuming(settings: counting.Settings, metrics: Metrics | None = None) -> AsyncIterator[asyncio.Task[None]]:
    """A consumer in this process, stopped cleanly at the end."""
    stop = asyncio.Event()
    task = asyncio.create_task(counting.consume(settings, stop, metrics=metrics))
    try:
        yield task
    finally:
        stop.set()
        await task


async def stored(engine: AsyncEngine) -> int:
    """The sum of the stored offsets."""
    offsets = counting.tables.consumed_offset
    async with engine.connect() as connection:
        return int(await connection.scalar(select(func.coalesce(func.sum(offsets.c.next_offset), 0))) or 0)


async def test_everything_is_counted_once_and_the_lag_is_known(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer
) -> None:
    expected = await send(producer, settings, 3000)
    metrics = Metrics("sample", CollectorRegistry())
    async with consuming(settings, metrics):
        await until_counted(engine, expected)

        async def without_lag() -> bool:
            lags = [metrics.registry.get_sample_value("voz_consumer_lag_records", labels) for labels in lag_labels]
            return lags == [0.0, 0.0, 0.0]

        topic = settings.topic(counting.TOPIC)
        lag_labels = [{"consumer": counting.CONSUMER, "topic": topic, "partition": str(each)} for each in range(3)]
        await until(without_lag)
    sample = metrics.registry.get_sample_value
    outcomes = {
        outcome: sample("voz_consumer_records_total", {"consumer": counting.CONSUMER, "outcome": outcome})
        for outcome in ("new", "duplicate", "invalid")
    }
    assert outcomes == {"new": 3000, "duplicate": 300, "invalid": 0}
    assert await stored(engine) == 3300
    group = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, group_id=settings.topic(counting.CONSUMER))
    await group.start()
    committed = [await group.committed(TopicPartition(topic, each)) for each in range(3)]
    await group.stop()
    assert sum(each or 0 for each in committed) == 3300, "for the tools that show lag"


async def test_consumers_that_join_and_leave_count_once(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer
) -> None:
    async with consuming(settings):
        expected = Counter(await send(producer, settings, 1000))
        async with consuming(settings):
            expected += Counter(await send(producer, settings, 2000))
            await until_counted(engine, dict(expected))
        expected += Counter(await send(producer, settings, 1000))
        await until_counted(engine, dict(expected))


async def test_consumers_killed_in_the_middle_lose_and_double_nothing(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer
) -> None:
    root = Path(__file__).parents[3]

    async def spawn() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.streamkit.counting", cwd=root, stdout=asyncio.subprocess.DEVNULL
        )

    async def moved_from(position: int) -> bool:
        return await stored(engine) > position

    workers = [await spawn(), await spawn()]
    try:
        sending = asyncio.create_task(_send_slowly(producer, settings, 24_000))
        await until(lambda: moved_from(0))
        for _ in range(4):
            killed = workers.pop(0)
            killed.kill()
            await killed.wait()
            workers.append(await spawn())
            position = await stored(engine)
            await until(lambda position=position: moved_from(position))  # type: ignore[misc]
        expected = await sending
        await until_counted(engine, expected)
        last = workers[-1]
        last.send_signal(signal.SIGTERM)
        assert await last.wait() == 0
    finally:
        for worker in workers:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()


async def test_postgresql_stopped_and_started_again_is_waited_for(
    settings: counting.Settings, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    with postgres_server(tmp_path) as own:
        elsewhere = settings.model_copy(update={"postgres_dsn": SecretStr(own.dsn)})
        engine = create_engine(elsewhere)
        await counting.create_tables(engine)
        metrics = Metrics("sample", CollectorRegistry())

        async def tried_again() -> bool:
            retries = metrics.registry.get_sample_value("voz_consumer_retries_total", {"consumer": counting.CONSUMER})
            return bool(retries)

        async with consuming(elsewhere, metrics):
            expected = Counter(await send(producer, settings, 500))
            await until_counted(engine, dict(expected))
            own.kill()
            expected += Counter(await send(producer, settings, 500))
            await until(tried_again)
            await asyncio.to_thread(own.start)
            await until_counted(engine, dict(expected))
        await engine.dispose()


async def test_the_stop_does_not_wait_for_postgresql(
    settings: counting.Settings, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    with postgres_server(tmp_path) as own:
        elsewhere = settings.model_copy(update={"postgres_dsn": SecretStr(own.dsn)})
        engine = create_engine(elsewhere)
        await counting.create_tables(engine)
        async with consuming(elsewhere):
            await until_counted(engine, await send(producer, settings, 10))
            own.stop()
            await send(producer, settings, 10)
        await engine.dispose()


async def test_a_fenced_consumer_reads_the_stored_offsets_again(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer, make_sink: MakeSink
) -> None:
    metrics = Metrics("sample", CollectorRegistry())
    topic = settings.topic(counting.TOPIC)
    async with consuming(settings, metrics):
        expected = Counter(await send(producer, settings, 300))
        await until_counted(engine, dict(expected))
        # Another consumer applied the next record of each partition, while this one was frozen.
        offsets = counting.tables.consumed_offset
        async with engine.begin() as connection:
            await connection.execute(update(offsets).values(next_offset=offsets.c.next_offset + 1))
        for partition in range(3):
            other = counting.value(uuid4(), "applied by the other consumer")
            await producer.send_and_wait(topic, other, partition=partition)
        expected += Counter(await send(producer, settings, 300))
        await until_counted(engine, dict(expected))
    assert metrics.registry.get_sample_value("voz_consumer_fenced_total", {"consumer": counting.CONSUMER})


async def test_invalid_records_are_put_aside_and_good_ones_counted(
    settings: counting.Settings,
    engine: AsyncEngine,
    producer: AIOKafkaProducer,
    dead_letters: Callable[[], Awaitable[list[object]]],
) -> None:
    for _ in range(3):
        await producer.send_and_wait(settings.topic(counting.TOPIC), b"poison", partition=1)
    expected = await send(producer, settings, 600)
    async with consuming(settings):
        await until_counted(engine, expected)
    assert len(await dead_letters()) == 3


async def test_a_stream_gone_bad_stops_the_consumer(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer
) -> None:
    for _ in range(200):
        await producer.send(settings.topic(counting.TOPIC), b"poison", partition=1)
    await producer.flush()
    with pytest.raises(DeadLetterLimitError):
        await counting.consume(settings, asyncio.Event(), limit=DeadLetterLimit(min_records=50))
    assert await stored(engine) < 100


async def test_an_unknown_error_stops_the_consumer_with_nothing_committed(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer
) -> None:
    await send(producer, settings, 10)
    async with engine.begin() as connection:
        await connection.execute(text("alter table sample.counted rename to elsewhere"))
    with pytest.raises(Exception, match=r"sample\.counted"):
        await counting.consume(settings, asyncio.Event())
    assert await stored(engine) == 0


async def test_a_topic_made_anew_is_noticed(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer
) -> None:
    expected = await send(producer, settings, 30)
    async with consuming(settings):
        await until_counted(engine, expected)
    async with engine.begin() as connection:
        await connection.execute(update(counting.tables.consumed_offset).values(next_offset=5000))
    with pytest.raises(LogChangedError, match="beyond the log's end"):
        await counting.consume(settings, asyncio.Event())


async def test_records_deleted_before_they_were_applied_are_passed(
    settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer
) -> None:
    topic = settings.topic(counting.TOPIC)
    await send(producer, settings, 30)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    partitions = [TopicPartition(topic, each) for each in range(3)]
    await admin.delete_records({each: RecordsToDelete(-1) for each in partitions})
    await admin.close()
    expected = await send(producer, settings, 30)
    async with consuming(settings):
        await until_counted(engine, expected)


async def test_without_kafka_the_start_waits_and_then_says_so(
    settings: counting.Settings, unused_tcp_port: int
) -> None:
    nowhere = settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{unused_tcp_port}"})
    producer = create_producer(nowhere)
    with pytest.raises(TransientError, match="Kafka can't be reached"):
        await start(producer, wait_seconds=0.5)
    await producer.stop()
    consumer, stop = create_consumer(nowhere, "x"), asyncio.Event()
    waiting = asyncio.create_task(start(consumer, stop, wait_seconds=3600))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    stop.set()
    with pytest.raises(TransientError):
        await waiting
    await consumer.stop()


async def _send_slowly(producer: AIOKafkaProducer, settings: counting.Settings, count: int) -> dict[str, int]:
    """In the time that several kills take: a hundred at once, with a breath between."""
    expected: Counter[str] = Counter()
    for _ in range(count // 200):
        expected += Counter(await send(producer, settings, 200))
        await asyncio.sleep(0.05)
    return dict(expected)
