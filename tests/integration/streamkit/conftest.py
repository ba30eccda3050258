"""A database with the sample service's tables, and topics of this test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.integration.streamkit import counting

from voz.v1.dead_letter_pb2 import DeadLetter
from voz_contracts.topics import DEAD_LETTER, TopicSpec
from voz_devstack.testing import KafkaAddress
from voz_streamkit.database import create_engine
from voz_streamkit.dead_letters import DeadLetterLimit, DeadLetters
from voz_streamkit.kafka import create_producer, record_of
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record
from voz_streamkit.run import read_settings
from voz_streamkit.sink import ExactlyOnceSink
from voz_streamkit.topics import ensure_topics

ReadAll = Callable[[str], Awaitable[list[Record]]]
MakeSink = Callable[..., ExactlyOnceSink[counting.Amount]]


@pytest.fixture
def settings(
    kafka: KafkaAddress, database: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> counting.Settings:
    """In the environment, too, so that a child process has the same."""
    monkeypatch.setenv("VOZ_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("VOZ_POSTGRES_DSN", database)
    monkeypatch.setenv("VOZ_TOPIC_PREFIX", topic_prefix)
    return read_settings(counting.Settings)


@pytest.fixture
async def engine(settings: counting.Settings) -> AsyncIterator[AsyncEngine]:
    """The sample service's tables, empty."""
    engine = create_engine(settings)
    await counting.create_tables(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
async def topics(settings: counting.Settings) -> None:
    """`sample.events` with three partitions, and the dead letters."""
    events = TopicSpec(counting.TOPIC, "json", 3, {})
    letters = TopicSpec(DEAD_LETTER.name, DEAD_LETTER.value, 1, DEAD_LETTER.config)
    await ensure_topics(settings, [events, letters])


@pytest.fixture
async def producer(settings: counting.Settings, topics: None) -> AsyncIterator[AIOKafkaProducer]:
    producer = create_producer(settings)
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
def read_all(settings: counting.Settings) -> ReadAll:
    """Everything that a topic holds now, partition after partition. Takes the name without its prefix."""

    async def read(name: str) -> list[Record]:
        return await _read_all(settings, settings.topic(name))

    return read


@pytest.fixture
def make_sink(settings: counting.Settings, engine: AsyncEngine, producer: AIOKafkaProducer) -> MakeSink:
    """A sink of the sample service; `limit` for another limit than the usual."""

    def make(
        *, consumer: str = counting.CONSUMER, limit: DeadLetterLimit | None = None
    ) -> ExactlyOnceSink[counting.Amount]:
        metrics = Metrics("sample", CollectorRegistry())
        letters = DeadLetters(producer, settings.topic(DEAD_LETTER), "sample", limit or DeadLetterLimit(), metrics)
        return ExactlyOnceSink(engine, counting.SCHEMA, consumer, counting.decode, counting.Counting(), letters)

    return make


@pytest.fixture
def dead_letters(read_all: ReadAll) -> Callable[[], Awaitable[list[DeadLetter]]]:
    """The dead letters that were written so far."""

    async def read() -> list[DeadLetter]:
        return [DeadLetter.FromString(record.value) for record in await read_all(DEAD_LETTER.name)]

    return read


async def _read_all(settings: counting.Settings, topic: str) -> list[Record]:
    # Without a group a consumer has all partitions of its topics, from their start.
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = sorted(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        found: list[Record] = []
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            for messages in (await consumer.getmany(timeout_ms=200)).values():
                found += [record_of(message) for message in messages]
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()
