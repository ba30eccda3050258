"""What every EventLog promises, held by the one in memory and by the one on Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from tests.integration.ingest.reading import make_topic, read_events, settings
from tests.unit.ingest.fakes import MemoryEventLog, event

from voz_contracts import identity
from voz_contracts.topics import EVENTS
from voz_devstack.ports import allocate_ports
from voz_devstack.testing import KafkaAddress
from voz_ingest.adapters.outbound.kafka import KafkaEventLog
from voz_ingest.domain.budget import ByteBudget
from voz_ingest.domain.event import ReceivedEvent
from voz_ingest.domain.reading import read_event
from voz_ingest.metrics import IngestMetrics
from voz_ingest.ports import EventLog, LogUnavailableError, Part
from voz_streamkit.kafka import create_producer
from voz_streamkit.metrics import Metrics

pytestmark = pytest.mark.contract
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
Kept = list[tuple[str, str]]


def received(name: str, customer: str = "c-1", text: str = "hello") -> ReceivedEvent:
    plain = event(id=name, customer={"id": customer}, text=text)
    found = read_event(plain, tenant="acme", received_at=NOW, max_text_bytes=256 << 10).event
    assert found is not None
    return ReceivedEvent(str(identity.event_id("acme", "api", name)), "acme", NOW, found)


@dataclass
class Subject:
    """A log, one that is away, and what the first one holds: (customer's id, source's id), a customer's in order."""

    log: EventLog
    away: EventLog
    kept: Callable[[], Awaitable[Kept]]


@asynccontextmanager
async def memory(_: KafkaAddress, __: str) -> AsyncIterator[Subject]:
    log, away = MemoryEventLog(), MemoryEventLog()
    away.away = True

    async def kept() -> Kept:
        return [(each.event.customer.id, each.event.source_id) for each in log.events]

    yield Subject(log, away, kept)


@dataclass
class OnKafka:
    """A KafkaEventLog with its parts, and the producers that it has made."""

    log: KafkaEventLog
    budget: ByteBudget
    producers: list[AIOKafkaProducer]


@asynccontextmanager
async def on_kafka(bootstrap: str, prefix: str, *, timeout_seconds: float = 5.0) -> AsyncIterator[OnKafka]:
    chosen, producers, budget = settings(bootstrap, prefix), [], ByteBudget(16 << 20)

    def make() -> AIOKafkaProducer:
        producers.append(create_producer(chosen, linger_ms=0))
        return producers[-1]

    log = KafkaEventLog(
        make,
        chosen.topic(EVENTS),
        budget,
        IngestMetrics(Metrics("ingest"), budget),
        delivery_timeout_seconds=timeout_seconds,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(log.run(stop, flush_seconds=5))
    yield OnKafka(log, budget, producers)
    stop.set()
    await running
    assert budget.used_bytes == 0


async def connected(log: KafkaEventLog) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                return await log.check()
            except (OSError, LookupError):
                await asyncio.sleep(0.02)


@asynccontextmanager
async def kafka_log(kafka: KafkaAddress, prefix: str) -> AsyncIterator[Subject]:
    await make_topic(kafka.bootstrap, prefix)
    nowhere = f"127.0.0.1:{allocate_ports(('nobody',))['nobody']}"
    async with on_kafka(kafka.bootstrap, prefix) as here, on_kafka(nowhere, prefix) as away:
        await connected(here.log)

        async def kept() -> Kept:
            return [(each.customer.id, each.source_id) for each in await read_events(kafka.bootstrap, prefix)]

        yield Subject(here.log, away.log, kept)


@pytest.fixture(params=[memory, kafka_log], ids=["memory", "kafka"])
async def subject(request: pytest.FixtureRequest, kafka: KafkaAddress, topic_prefix: str) -> AsyncIterator[Subject]:
    async with request.param(kafka, topic_prefix) as made:
        yield made


def of(customer: str, kept: Kept) -> list[str]:
    return [name for whose, name in kept if whose == customer]


async def test_what_is_appended_is_kept_in_a_customers_order(subject: Subject) -> None:
    customers = ["ana", "luis", "zoé"]
    for part in range(3):
        await subject.log.append([received(f"{part}-{n}", customers[n % 3]) for n in range(50)])
    kept = await subject.kept()
    assert len(kept) == 150
    for number, customer in enumerate(customers):
        expected = [f"{part}-{n}" for part in range(3) for n in range(50) if n % 3 == number]
        assert of(customer, kept) == expected


async def test_appends_at_the_same_time_keep_their_own_order(subject: Subject) -> None:
    async def append(customer: str) -> None:
        for n in range(20):
            await subject.log.append([received(f"{customer}-{n}", customer)])

    await asyncio.gather(*(append(f"customer-{n}") for n in range(8)))
    kept = await subject.kept()
    for n in range(8):
        assert of(f"customer-{n}", kept) == [f"customer-{n}-{m}" for m in range(20)]


async def test_callers_that_append_together_are_told_apart(subject: Subject) -> None:
    told: dict[str, list[object]] = {"a": [], "b": [], "away": []}
    subject.log.begin(
        [Part([received(f"{name}-{n}", f"customer-{n}") for n in range(40)], told[name].append) for name in ("a", "b")]
    )
    subject.away.begin([Part([received("away")], told["away"].append)])
    async with asyncio.timeout(30):
        while not all(told.values()):
            await asyncio.sleep(0.01)
    assert told["a"] == told["b"] == [None]
    assert isinstance(told["away"][0], LogUnavailableError)
    assert len(told["away"]) == 1
    kept = await subject.kept()
    assert [of(f"customer-{n}", kept) for n in range(40)] == [[f"a-{n}", f"b-{n}"] for n in range(40)]


async def test_events_of_any_size_keep_their_order(subject: Subject) -> None:
    """The largest is larger than a batch of Kafka's may be; together they fill many."""
    sizes = [10, 256 << 10, 10, 200_000, 200_000, 10, 100_000, 10]
    await subject.log.append([received(f"{n}", text="x" * size) for n, size in enumerate(sizes)])
    assert of("c-1", await subject.kept()) == [f"{n}" for n in range(len(sizes))]


async def test_when_it_is_away_it_says_so_and_when_to_come_again(subject: Subject) -> None:
    with pytest.raises(LogUnavailableError) as refused:
        await subject.away.append([received("a")])
    assert refused.value.retry_after_seconds >= 1


async def test_a_producer_that_fails_for_good_is_replaced(kafka: KafkaAddress, topic_prefix: str) -> None:
    """A gap in the sequence numbers, as after an unclean election, refuses every later record of that producer."""
    await make_topic(kafka.bootstrap, topic_prefix)
    async with on_kafka(kafka.bootstrap, topic_prefix) as subject:
        await connected(subject.log)
        await subject.log.append([received("before")])
        for partition in range(EVENTS.partitions):
            at = TopicPartition(f"{topic_prefix}{EVENTS.name}", partition)
            subject.producers[0]._txn_manager.increment_sequence_number(at, 5)
        with pytest.raises(LogUnavailableError):
            await subject.log.append([received("during")])
        await connected(subject.log)
        await subject.log.append([received("after")])
        assert len(subject.producers) == 2
    kept = [found.source_id for found in await read_events(kafka.bootstrap, topic_prefix)]
    assert kept == ["before", "after"]


async def test_what_does_not_fit_the_budget_is_refused_and_nothing_of_it_sent(
    kafka: KafkaAddress, topic_prefix: str
) -> None:
    await make_topic(kafka.bootstrap, topic_prefix)
    async with on_kafka(kafka.bootstrap, topic_prefix) as subject:
        await connected(subject.log)
        full = subject.budget.max_bytes - 1000
        subject.budget.take(full)
        with pytest.raises(LogUnavailableError) as refused:
            await subject.log.append([received("a"), received("b")])
        assert refused.value.retry_after_seconds == 1
        subject.budget.give(full)
        await subject.log.append([received("c")])
    assert [found.source_id for found in await read_events(kafka.bootstrap, topic_prefix)] == ["c"]
