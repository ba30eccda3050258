"""A world for metrics-api: its database, its sink on real Kafka, its HTTP interface, and events to put in."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml
from aiokafka import TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from voz.v1 import case_pb2, customer_event_pb2, enriched_event_pb2
from voz_contracts import joins
from voz_contracts.identity import customer_key, event_id
from voz_contracts.topics import CASES, DEAD_LETTER, ENRICHED
from voz_devstack.testing import KafkaAddress, PostgresAddress
from voz_metrics_api import wiring
from voz_metrics_api.adapters.inbound.decode import Facts, decoder
from voz_metrics_api.adapters.outbound.effects import PostgresEffects
from voz_metrics_api.adapters.outbound.tables import CONSUMER, SCHEMA
from voz_metrics_api.config import ConsumeSettings, ServeSettings
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.dead_letters import DeadLetterLimit, DeadLetters
from voz_streamkit.http.auth import hash_key
from voz_streamkit.kafka import create_producer
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record
from voz_streamkit.sink import Applied, ExactlyOnceSink


def label(enum: str, word: str) -> str:
    """The enum value's name of a word: `label("EventKind", "message")` is EVENT_KIND_MESSAGE."""
    prefix = "".join(f"_{letter}" if letter.isupper() else letter for letter in enum).lstrip("_")
    return f"{prefix}_{word or 'unspecified'}".upper()


@dataclass(frozen=True)
class Build:
    """Makes messages. Times are aware; words are those of the labels."""

    tenant: str = "acme"

    def event(self, at: datetime, **given: Any) -> enriched_event_pb2.EnrichedEvent:
        """An enriched event; `given` overrides a plain inbound message."""
        said: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "tenant": self.tenant,
            "source": "api",
            "channel": "social",
            "kind": "message",
            "direction": "inbound",
            "audience": "customer",
            "customer": "c-1",
            "text": "",
            "sentiment": "",
            "score": None,
            "intents": (),
            "topic": "",
            "emotion": "",
            "effort": "",
            "stage": "",
            "language": "es",
            "survey": None,
            "attributes": {},
            "handle": "",
            "name": "",
            "source_id": "",
            "behaviour": "",
            **given,
        }
        if said["source_id"]:
            said["id"] = event_id(said["tenant"], said["source"], said["source_id"])
        customer = customer_event_pb2.Customer(
            key=customer_key(said["tenant"], said["source"], customer_id=said["customer"], handle=said["handle"]),
            id=said["customer"],
            handle=said["handle"],
            display_name=said["name"],
        )
        event = customer_event_pb2.CustomerEvent(
            id=said["id"],
            tenant=said["tenant"],
            source=said["source"],
            source_id=said["source_id"],
            channel=label("Channel", said["channel"]),
            kind=label("EventKind", said["kind"]),
            direction=label("Direction", said["direction"]),
            audience=label("Audience", said["audience"]),
            customer=customer,
            text=said["text"],
            occurred_at=at,
            attributes=said["attributes"],
        )
        if said["survey"]:
            metric, score, *scale = said["survey"]
            event.survey.CopyFrom(customer_event_pb2.Survey(metric=label("SurveyMetric", metric), score=score))
            if scale:
                event.survey.scale.min, event.survey.scale.max, event.survey.scale.inverted = scale
        if said["behaviour"]:
            event.behaviour.type = said["behaviour"]
        signals = enriched_event_pb2.Signals(
            language=said["language"],
            sentiment=label("Sentiment", said["sentiment"]),
            emotion=label("Emotion", said["emotion"]),
            intents=[label("Intent", intent) for intent in said["intents"]],
            topic=label("Topic", said["topic"]),
            effort=label("Effort", said["effort"]),
            sentiment_score=said["score"],
        )
        journey = enriched_event_pb2.Journey(stage=label("Stage", said["stage"]), since=at)
        return enriched_event_pb2.EnrichedEvent(event=event, signals=signals, journey=journey)

    def edit(self, at: datetime, original: str, version: int, **given: Any) -> enriched_event_pb2.EnrichedEvent:
        """A later version of the message whose source's id is `original`."""
        source_id, attributes = f"{original}:edit:{version}", {"edit_of": original, **given.pop("attributes", {})}
        return self.event(at, **{"source_id": source_id, "attributes": attributes, **given})

    def deletion(self, at: datetime, original: str, **given: Any) -> enriched_event_pb2.EnrichedEvent:
        """The message whose source's id is `original` is taken back."""
        said = {"kind": "behaviour", "behaviour": "message_deleted", "attributes": {"deletion_of": original}}
        return self.event(at, **{"source_id": f"{original}:deleted", **said, **given})

    def join(self, at: datetime, customer: str, other: str, number: int, *, joined: bool = True) -> Any:
        """Says that `other` is the customer now (or no longer); both are keys."""
        said = self.event(at, kind="profile", direction="outbound", source="voz", source_id=f"identity:{number}")
        join = joins.Join(other, joined, number)
        said.event.customer.Clear()
        said.event.customer.key = customer
        said.event.attributes.update(joins.attributes(join))
        said.event.profile.attributes.update(joins.profile(join))
        return said

    def case(self, case_id: str, sequence: int, opened_at: datetime, **given: Any) -> case_pb2.CaseEvent:
        """The case after its event number `sequence`."""
        said: dict[str, Any] = {"status": "open", "queue": "care", "topic": "", "tenant": self.tenant, **given}
        case = case_pb2.SupportCase(
            id=case_id,
            tenant=said["tenant"],
            queue=said["queue"],
            status=label("CaseStatus", said["status"]),
            channel=label("Channel", "social"),
            opened_at=opened_at,
            first_response_at=said.get("first_response_at"),
            first_resolved_at=said.get("first_resolved_at"),
            resolved_at=said.get("resolved_at"),
            signals=enriched_event_pb2.Signals(topic=label("Topic", said["topic"])),
        )
        id_ = str(uuid.uuid5(uuid.UUID(case_id), str(sequence)))
        return case_pb2.CaseEvent(id=id_, sequence=sequence, support_case=case, occurred_at=opened_at)


@dataclass
class World:
    """The database and the sink. Records are given offsets as they come; everything is in partition 0."""

    dsn: str
    engine: AsyncEngine
    sink: ExactlyOnceSink[Facts]
    topics: tuple[str, str]
    offsets: dict[str, int] = field(default_factory=dict)

    async def apply(self, *messages: Any) -> Applied:
        """Apply messages as one batch of new records."""
        batch: dict[TopicPartition, list[Record]] = {}
        expected: dict[TopicPartition, int] = {}
        for message in messages:
            topic = self.topics[isinstance(message, case_pb2.CaseEvent)]
            partition = TopicPartition(topic, 0)
            offset = self.offsets.get(topic, 0)
            self.offsets[topic] = offset + 1
            expected.setdefault(partition, offset)
            value = message if isinstance(message, bytes) else message.SerializeToString()
            batch.setdefault(partition, []).append(Record(topic, 0, offset, b"k", value, (), 0))
        return await self.sink.apply(batch, expected)

    async def tables(self) -> dict[str, Sequence[Any]]:
        """Everything that the effects wrote, for comparing."""
        found: dict[str, Sequence[Any]] = {}
        async with self.engine.connect() as connection:
            for table in (
                *(f"rollup_{level}" for level in ("minute", "hour", "day")),
                *(f"rollup_duration_{level}" for level in ("minute", "hour", "day")),
                "dimension_set",
                "case_state",
                "message_state",
                "customer_profile",
                "customer_join",
                "touchpoint",
            ):
                rows = await connection.execute(text(f"select * from {SCHEMA}.{table}"))
                found[table] = sorted(map(str, rows.all()))
        return found


@pytest.fixture
def now() -> datetime:
    """When this test began, by the minute: every event lies before."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


@pytest.fixture
def build() -> Build:
    return Build()


@pytest.fixture(scope="session")
def metrics_template(postgres: PostgresAddress) -> Iterator[str]:
    """A migrated database to copy: the migrations run once."""
    name = f"metrics_template_{uuid.uuid4().hex[:8]}"
    migrate(postgres.create_database(name), "voz_metrics_api")
    yield name
    postgres.drop_database(name)


@pytest.fixture
def metrics_database(postgres: PostgresAddress, metrics_template: str) -> Iterator[str]:
    name = f"metrics_{uuid.uuid4().hex[:12]}"
    yield postgres.create_database(name, template=metrics_template)
    postgres.drop_database(name)


@pytest.fixture
def consume_settings(kafka: KafkaAddress, metrics_database: str, topic_prefix: str) -> ConsumeSettings:
    return ConsumeSettings.model_validate(
        {
            "kafka_bootstrap": kafka.bootstrap,
            "postgres_dsn": metrics_database,
            "topic_prefix": topic_prefix,
            "ops_port": free_port(),
        }
    )


@pytest_asyncio.fixture
async def world(consume_settings: ConsumeSettings) -> AsyncIterator[World]:
    settings = consume_settings
    engine = create_engine(settings)
    producer = create_producer(settings)
    await producer.start()
    topics = settings.topic(ENRICHED), settings.topic(CASES)
    limit = DeadLetterLimit(max_ratio=1.0)
    letters = DeadLetters(producer, settings.topic(DEAD_LETTER), "metrics-api", limit, Metrics("metrics-api"))
    sink = ExactlyOnceSink(engine, SCHEMA, CONSUMER, decoder(*topics), PostgresEffects(), letters)
    yield World(settings.postgres_dsn.get_secret_value(), engine, sink, topics)
    await producer.stop()
    await engine.dispose()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


KEYS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "reader": ("acme", ("metrics:read", "customers:read")),
    "other": ("globex", ("metrics:read", "customers:read")),
    "poor": ("acme", ("events:write",)),
}


@dataclass
class Api:
    """The HTTP interface, served on a port of its own."""

    url: str
    stop: asyncio.Event
    serving: asyncio.Task[None]

    def client(self, key: str = "reader") -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers={"authorization": f"Bearer {key}"}, timeout=20)

    async def get(self, path: str, key: str = "reader", **params: Any) -> Any:
        """The JSON of a 200."""
        async with self.client(key) as client:
            response = await client.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    async def kpi(self, kpi: str, **params: Any) -> Any:
        """One KPI of the one group."""
        report = await self.get("/v1/kpis", kpi=kpi, **params)
        assert len(report["groups"]) == 1
        return report["groups"][0]["kpis"][kpi]


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., Any]:
    """Serves the HTTP interface over a database for as long as the block runs."""

    @asynccontextmanager
    async def serving(dsn: str, **settings: Any) -> AsyncIterator[Api]:
        keys = tmp_path / "keys.yaml"
        entries = [
            {"id": key, "tenant": tenant, "sha256": hash_key(key), "scopes": list(scopes)}
            for key, (tenant, scopes) in KEYS.items()
        ]
        keys.write_text(yaml.safe_dump({"keys": entries}))
        port = free_port()
        given = {"postgres_dsn": dsn, "keys_file": keys, "port": port, "stream_interval_seconds": 0.05, **settings}
        stop = asyncio.Event()
        task = asyncio.create_task(wiring.serve(ServeSettings.model_validate(given), stop))
        api = Api(f"http://127.0.0.1:{port}", stop, task)
        await until_serving(api)
        try:
            yield api
        finally:
            stop.set()
            await task

    return serving


async def until_serving(api: Api) -> None:
    async with httpx.AsyncClient(base_url=api.url) as client:
        while True:
            try:
                await client.get("/livez")
            except httpx.TransportError:
                assert not api.serving.done(), api.serving.result()
                await asyncio.sleep(0.05)
            else:
                return


@pytest_asyncio.fixture
async def api(world: World, serve: Callable[..., Any]) -> AsyncIterator[Api]:
    async with serve(world.dsn) as found:
        yield found
