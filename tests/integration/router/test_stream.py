"""From `voz.enriched` to cases, decisions, `voz.cases` and `voz.queue.*`, on real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from voz.v1.case_pb2 import CaseEvent, CaseEventType, SupportCase
from voz.v1.dead_letter_pb2 import DeadLetter
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts.cloudevents import header
from voz_contracts.identity import partition_key
from voz_contracts.topics import CASES, DEAD_LETTER, ENRICHED
from voz_contracts.words import word
from voz_devstack.testing import KafkaAddress, postgres_server
from voz_router.config import ConsumeSettings
from voz_router.wiring import consume
from voz_streamkit.database import create_engine
from voz_streamkit.kafka import create_producer
from voz_streamkit.settings import DatabaseSettings
from voz_streamkit.topics import ensure_topics

Make = Callable[..., EnrichedEvent]


@dataclass
class Stream:
    """An installation of its own on the shared Kafka."""

    settings: ConsumeSettings
    engine: AsyncEngine

    async def send(self, *messages: EnrichedEvent | bytes, key: bytes | None = None) -> None:
        """Put records on voz.enriched; bytes go as they are."""
        producer = create_producer(self.settings)
        await producer.start()
        try:
            sent = [
                await producer.send(
                    self.settings.topic(ENRICHED),
                    message if isinstance(message, bytes) else message.SerializeToString(),
                    key=key
                    if isinstance(message, bytes)
                    else partition_key(message.event.tenant, message.event.customer.key),
                )
                for message in messages
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def scalar(self, statement: str) -> Any:
        """One value of the database."""
        async with self.engine.connect() as connection:
            return await connection.scalar(text(statement))

    async def until(self, statement: str, wanted: object, seconds: float = 60) -> None:
        """Return when the statement's value is the wanted one."""
        found: object = None
        try:
            async with asyncio.timeout(seconds):
                while found != wanted:
                    await asyncio.sleep(0.05)
                    found = await self.scalar(statement)
        except TimeoutError:
            pytest.fail(f"{statement}: {found}, wanted {wanted}")

    async def until_refused(self, seconds: float = 30) -> None:
        """Return when the consumer has refused a policy file."""
        async with asyncio.timeout(seconds), httpx.AsyncClient() as client:
            url = f"http://127.0.0.1:{self.settings.ops_port}/metrics"
            while 'outcome="refused"' not in (await client.get(url)).text:
                await asyncio.sleep(0.05)

    async def read(self, topic: str) -> list[Any]:
        """All records of a topic as it stands, each partition in its order."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.settings.kafka_bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, each) for each in range(CASES.partitions)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            for each in partitions:
                consumer.seek(each, 0)
            found: dict[TopicPartition, list[Any]] = {each: [] for each in partitions}
            async with asyncio.timeout(30):
                while any([await consumer.position(each) < ends[each] for each in partitions]):
                    for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                        found[partition] += records
            return [record for partition in partitions for record in found[partition]]
        finally:
            await consumer.stop()

    async def case_events(self) -> list[CaseEvent]:
        """All of voz.cases."""
        await self.until("select count(*) from router.outbox", 0)
        return [CaseEvent.FromString(record.value) for record in await self.read(self.settings.topic(CASES))]


@pytest.fixture
async def stream(
    kafka: KafkaAddress, engine: AsyncEngine, database: str, topic_prefix: str, files: Any, ops_port: int
) -> Stream:
    """Topics and a database that nobody else uses."""
    settings = ConsumeSettings(
        kafka_bootstrap=kafka.bootstrap,
        topic_prefix=topic_prefix,
        postgres_dsn=database,
        policy_file=files.policy,
        ops_port=ops_port,
        reload_seconds=0.05,
        relay_poll_seconds=0.02,
    )
    await ensure_topics(settings, [ENRICHED, DEAD_LETTER, CASES])
    return Stream(settings, engine)


@asynccontextmanager
async def consuming(settings: ConsumeSettings) -> AsyncIterator[asyncio.Task[None]]:
    """`voz-router consume` in this process until the block ends."""
    stop = asyncio.Event()
    running = asyncio.create_task(consume(settings, stop))
    try:
        yield running
    finally:
        stop.set()
        await running


def types(events: Sequence[CaseEvent]) -> list[str]:
    """What happened, in words."""
    return [word(CaseEventType, event.type) for event in events]


async def test_unhappy_customers_reach_their_queue(stream: Stream, make: Make) -> None:
    first = make(text="No funciona")
    second = make(intents=["question"], text="¿Hay alguien?")
    answer = make(direction="outbound", intents=["other"], text="Ahora mismo", occurred_at=datetime.now(UTC))
    leaving = make(intents=["churn_risk"], text="Me voy")
    happy = make("c-7", sentiment="positive", intents=["praise"])
    async with consuming(stream.settings):
        await stream.send(first, second, answer, leaving, happy)
        await stream.until("select count(*) from router.decision", 5)
        events = await stream.case_events()
        assert types(events) == ["opened", "message_added", "replied", "message_added", "transferred"]
        assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
        case = events[-1].support_case
        assert (case.queue, case.rule, case.message_count) == ("retention", "churn", 3)
        assert case.HasField("first_response_at")
        [in_care] = await stream.read(stream.settings.queue_topic("care"))
        assert SupportCase.FromString(in_care.value).text == "No funciona"
        assert header(in_care.headers, "ce_type") == "voz.v1.SupportCase"
        assert in_care.key == partition_key("acme", first.event.customer.key)
        [in_retention] = await stream.read(stream.settings.queue_topic("retention"))
        assert SupportCase.FromString(in_retention.value).id == case.id
    assert await stream.scalar("select count(*) from router.support_case") == 1
    assert await stream.scalar("select count(*) from router.case_message") == 4
    assert await stream.scalar("select effect from router.decision where not act and rule = 'praise'") == "none"


async def test_a_second_delivery_changes_nothing(stream: Stream, make: Make) -> None:
    messages = [make(f"c-{each % 5}") for each in range(40)]
    async with consuming(stream.settings):
        await stream.send(*messages)
        await stream.until("select count(*) from router.decision", 40)
        before = [event.id for event in await stream.case_events()]
        shuffled = [*messages, *messages]
        random.Random(3).shuffle(shuffled)
        marker = make("marker")
        await stream.send(*shuffled, marker)
        await stream.until("select sum(next_offset)::int from router.consumed_offset", 121)
        after = [event.id for event in await stream.case_events()]
    assert len(set(after)) == len(after) == len(before) + 1
    assert await stream.scalar("select count(*) from router.decision") == 41
    assert await stream.scalar("select count(*) from router.support_case") == 6
    assert await stream.scalar("select count(*) from router.case_message") == 41


async def test_a_poisoned_record_is_put_aside_and_the_good_ones_go_on(stream: Stream, make: Make) -> None:
    nul = make(text="a")
    nul.event.text = "a\0b"
    bad_id = make(id="not-a-uuid")
    async with consuming(stream.settings):
        await stream.send(make("c-1"), b"\xff\xff", nul, bad_id, make("c-2"), key=b"acme/x")
        await stream.until("select count(*) from router.decision", 2)
        await stream.until("select sum(next_offset)::int from router.consumed_offset", 5)
    letters = [DeadLetter.FromString(record.value) for record in await stream.read(stream.settings.topic(DEAD_LETTER))]
    assert sorted((letter.service, letter.reason) for letter in letters) == [
        ("router", "invalid"),
        ("router", "invalid"),
        ("router", "undecodable"),
    ]
    assert {letter.value for letter in letters} == {b"\xff\xff", nul.SerializeToString(), bad_id.SerializeToString()}
    assert await stream.scalar("select count(*) from router.support_case") == 2


async def test_a_new_policy_takes_force_and_a_broken_one_does_not(stream: Stream, make: Make, files: Any) -> None:
    good = files.policy.read_text()
    async with consuming(stream.settings):
        await stream.send(make("c-1"))
        await stream.until("select count(*) from router.decision", 1)
        files.policy.write_text(good.replace("queue: care, reason: A complaint", "queue: nowhere, reason: x"))
        await stream.until_refused()
        await stream.send(make("c-2"))
        await stream.until("select count(*) from router.decision where queue = 'care'", 2)
        better = good.replace("version: test", "version: better").replace(
            "  - {name: care,", "  - {name: vip, sla_minutes: 5}\n  - {name: care,"
        )
        files.policy.write_text(
            better.replace("act: true, queue: care, reason: A c", "act: true, queue: vip, reason: A c")
        )
        async with asyncio.timeout(60):
            for number in range(3, 10_000):
                await stream.send(make(f"c-{number}"))
                await stream.until("select count(*) from router.decision", number)
                if await stream.scalar("select count(*) from router.decision where queue = 'vip'"):
                    break
        await stream.until("select count(*) from router.outbox", 0)
        assert len(await stream.read(stream.settings.queue_topic("vip"))) == 1
    version = "select policy_version from router.decision where queue = 'vip'"
    assert str(await stream.scalar(version)).startswith("better+")


async def test_killed_at_any_moment_no_case_is_doubled(
    stream: Stream, make: Make, run_consumer: Callable[[ConsumeSettings], Awaitable[asyncio.subprocess.Process]]
) -> None:
    rng = random.Random(11)
    total, customers = 3000, 150
    settings = stream.settings.model_copy(update={"max_batch": 50})
    process = await run_consumer(settings)
    sending = asyncio.create_task(
        stream.send(*(make(f"c-{each % customers}", intents=["complaint"]) for each in range(total)))
    )
    for _ in range(3):
        position = await stream.scalar("select count(*) from router.decision")
        target = min(total - 200, int(position) + rng.randrange(100, 600))
        await stream.until(f"select count(*) >= {target} from router.decision", True)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        process = await run_consumer(settings)
    await sending
    await stream.until("select count(*) from router.decision", total)
    events = await stream.case_events()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert await stream.scalar("select count(*) from router.support_case") == customers
    assert await stream.scalar("select sum(message_count)::int from router.support_case") == total
    # Published again after a kill is allowed, with the same id; nothing is missing, and order holds within a case.
    by_case: dict[str, list[int]] = {}
    for event in {event.id: event for event in events}.values():
        by_case.setdefault(event.support_case.id, []).append(event.sequence)
    assert len(by_case) == customers
    assert all(found == list(range(1, total // customers + 1)) for found in by_case.values())


async def test_a_reply_says_how_long_it_took(stream: Stream, make: Make) -> None:
    now = datetime.now(UTC)
    early = make(direction="outbound", intents=["other"], occurred_at=now - timedelta(days=1))
    async with consuming(stream.settings):
        await stream.send(make(occurred_at=now), early)
        await stream.until("select count(*) from router.decision", 2)
    assert await stream.scalar("select first_response_at from router.support_case") is None
    assert await stream.scalar("select reason from router.decision where not act") == "The company's own post"


async def test_postgres_goes_and_comes_back(
    kafka: KafkaAddress, topic_prefix: str, tmp_path: Path, make: Make, files: Any, ops_port: int, people: Any
) -> None:
    with postgres_server(tmp_path / "pg") as server:
        settings = ConsumeSettings(
            kafka_bootstrap=kafka.bootstrap,
            topic_prefix=topic_prefix,
            postgres_dsn=server.create_database("voz_test"),
            policy_file=files.policy,
            ops_port=ops_port,
        )
        await ensure_topics(settings, [ENRICHED, DEAD_LETTER, CASES])
        dsn = settings.postgres_dsn.get_secret_value()
        stream = Stream(settings, create_engine(DatabaseSettings(postgres_dsn=dsn)))
        async with people(dsn, files) as team, consuming(settings):
            await stream.send(make("c-1"))
            await stream.until("select count(*) from router.decision", 1)
            server.stop()
            ready = await team.reader.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (503, "failing")
            assert (await team.reader.get("/livez")).status_code == 200
            refused = await team.reader.get("/v1/queues")
            assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
            assert refused.headers["retry-after"]
            await stream.send(make("c-2"))
            server.start()
            await stream.until("select count(*) from router.support_case", 2)
            assert (await team.reader.get("/readyz")).status_code == 200
            assert (await team.reader.get("/v1/queues")).status_code == 200
        await stream.engine.dispose()


@pytest.fixture
async def run_consumer() -> AsyncIterator[Callable[[ConsumeSettings], Awaitable[asyncio.subprocess.Process]]]:
    """Starts `voz-router consume` as a process of its own; what is left of them is killed at the end."""
    started: list[asyncio.subprocess.Process] = []

    async def start(settings: ConsumeSettings) -> asyncio.subprocess.Process:
        environment = os.environ | {
            "VOZ_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
            "VOZ_TOPIC_PREFIX": settings.topic_prefix,
            "VOZ_POSTGRES_DSN": settings.postgres_dsn.get_secret_value(),
            "VOZ_POLICY_FILE": str(settings.policy_path),
            "VOZ_ROUTER_OPS_PORT": str(settings.ops_port),
            "VOZ_ROUTER_MAX_BATCH": str(settings.max_batch),
        }
        command = [sys.executable, "-m", "voz_router.main", "consume"]
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.DEVNULL)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()
