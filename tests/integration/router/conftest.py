"""A router on real PostgreSQL (and Kafka where a test asks), events to put in, and people to work its queues."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from voz.v1 import customer_event_pb2, labels_pb2
from voz.v1.enriched_event_pb2 import EnrichedEvent, Signals
from voz_contracts.identity import customer_key, event_id
from voz_contracts.words import number
from voz_router.adapters.inbound.policy_yaml import parse_policy
from voz_router.adapters.inbound.records import event_of
from voz_router.adapters.outbound.messages import publisher
from voz_router.adapters.outbound.postgres_cases import PostgresRoutingStore
from voz_router.config import ServeSettings
from voz_router.domain.events import Event
from voz_router.domain.policy import Policy
from voz_router.domain.routing import Plan
from voz_router.use_cases import RouteEvents
from voz_router.wiring import serve
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.http.auth import hash_key
from voz_streamkit.settings import DatabaseSettings

POLICY = """version: test
queues:
  - {name: retention, sla_minutes: 60}
  - {name: care, sla_minutes: 480, skills: [care], description: Everything else}
rules:
  - {id: churn, when: {intents: [churn_risk]}, act: true, queue: retention, reason: Leaving}
  - {id: complaint, when: {intents: [complaint]}, act: true, queue: care, reason: A complaint}
  - {id: idea, when: {intents: [suggestion]}, act: true, queue: care, reason: An idea, case_per: customer_topic}
  - {id: praise, when: {sentiment: positive}, act: false, reason: Happy}
"""
SCOPES = {"reader": ["queues:read"], "worker": ["queues:read", "queues:work"], "other": ["queues:read", "queues:work"]}


def enriched(customer: str = "c-42", *, tenant: str = "acme", **given: Any) -> EnrichedEvent:
    """An inbound message with these signals; by default a complaint."""
    said: dict[str, Any] = {"intents": ["complaint"], "direction": "inbound", "text": "No funciona"} | given
    source_id = said.get("source_id", "")
    event = customer_event_pb2.CustomerEvent(
        id=said.get("id") or (event_id(tenant, "api", source_id) if source_id else str(uuid.uuid4())),
        tenant=tenant,
        source="api",
        source_id=source_id,
        channel=labels_pb2.CHANNEL_SOCIAL,
        kind=labels_pb2.EVENT_KIND_MESSAGE,
        audience=labels_pb2.AUDIENCE_CUSTOMER,
        direction=number(labels_pb2.Direction, said["direction"]),  # type: ignore[arg-type]
        customer=customer_event_pb2.Customer(key=customer_key(tenant, "api", customer_id=customer), id=customer),
        text=said["text"],
        occurred_at=said.get("occurred_at") or datetime.now(UTC),
        attributes=said.get("attributes", {}),
    )
    if said.get("behaviour"):
        event.kind = labels_pb2.EVENT_KIND_BEHAVIOUR
        event.behaviour.type = said["behaviour"]
    signals = Signals(
        sentiment=number(labels_pb2.Sentiment, said.get("sentiment", "negative")),  # type: ignore[arg-type]
        intents=[number(labels_pb2.Intent, intent) for intent in said["intents"]],  # type: ignore[misc]
        topic=number(labels_pb2.Topic, said.get("topic", "technical")),  # type: ignore[arg-type]
        own_topic=said.get("own_topic", ""),
    )
    return EnrichedEvent(event=event, signals=signals)


def edit(original: str, version: int, customer: str = "c-42", **given: Any) -> EnrichedEvent:
    """A later version of the message whose source's id is `original`."""
    return enriched(customer, source_id=f"{original}:edit:{version}", attributes={"edit_of": original}, **given)


def deletion(original: str, customer: str = "c-42") -> EnrichedEvent:
    """The message whose source's id is `original` is taken back."""
    said: dict[str, Any] = {"behaviour": "message_deleted", "attributes": {"deletion_of": original}}
    return enriched(customer, source_id=f"{original}:deleted", intents=[], sentiment="", topic="", text="", **said)


@pytest.fixture
def make() -> Callable[..., EnrichedEvent]:
    """Makes enriched events."""
    return enriched


@dataclass(frozen=True)
class Fixed:
    """A policy that doesn't change."""

    policy: Policy = field(default_factory=lambda: parse_policy(POLICY))


Route = Callable[..., Awaitable[Plan]]


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    """The router's schema in a fresh database."""
    await asyncio.to_thread(migrate, database, "voz_router")
    made = create_engine(DatabaseSettings(postgres_dsn=database))
    yield made
    await made.dispose()


@pytest.fixture
async def route(engine: AsyncEngine) -> Route:
    """Routes events as the consumer does, in one transaction."""
    routing = RouteEvents(Fixed(), lambda: datetime.now(UTC))

    async def run(*messages: EnrichedEvent) -> Plan:
        events: list[Event] = [event_of(message) for message in messages]
        async with engine.begin() as connection:
            return await routing.route(events, PostgresRoutingStore(connection, publisher(DATABASE_ONLY)))

    return run


DATABASE_ONLY = DatabaseSettings(postgres_dsn="postgresql://nobody@nowhere/")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Files:
    """A policy and keys on disk, with the keys' plain text by name."""

    policy: Path
    keys: Path
    key: dict[str, str]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """`reader` and `worker` are of acme, `other` of another tenant."""
    key = {name: f"voz_{name}" for name in SCOPES}
    entries = [
        f"  - {{id: {name}, tenant: {'rival' if name == 'other' else 'acme'}, sha256: {hash_key(key[name])}, "
        f"scopes: {scopes}}}\n"
        for name, scopes in SCOPES.items()
    ]
    policy, keys = tmp_path / "policy.yaml", tmp_path / "keys.yaml"
    policy.write_text(POLICY)
    keys.write_text("keys:\n" + "".join(entries))
    return Files(policy, keys, key)


@dataclass
class People:
    """HTTP clients of a router that serves, by the name of their key."""

    url: str
    clients: dict[str, httpx.AsyncClient]

    @property
    def worker(self) -> httpx.AsyncClient:
        return self.clients["worker"]

    @property
    def reader(self) -> httpx.AsyncClient:
        return self.clients["reader"]

    @property
    def other(self) -> httpx.AsyncClient:
        return self.clients["other"]


@asynccontextmanager
async def serving_people(dsn: str, files: Files, **given: Any) -> AsyncIterator[People]:
    """`voz-router serve` until the block ends. Kafka is away unless it is named."""
    settings = ServeSettings(
        postgres_dsn=dsn,
        keys_file=files.keys,
        policy_file=files.policy,
        port=free_port(),
        reload_seconds=0.05,
        **({"kafka_bootstrap": f"127.0.0.1:{free_port()}"} | given),
    )
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(settings, stop))
    url = f"http://127.0.0.1:{settings.port}"
    clients = {
        name: httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        for name, key in files.key.items()
    }
    try:
        await until_ready(clients["reader"], serving)
        yield People(url, clients)
    finally:
        stop.set()
        await asyncio.gather(*(client.aclose() for client in clients.values()))
        await serving


async def until_ready(client: httpx.AsyncClient, process: asyncio.Task[None] | None = None) -> None:
    """Return when /readyz answers 200."""
    async with asyncio.timeout(60):
        while True:
            if process is not None and process.done():
                process.result()
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


@pytest.fixture
async def team(database: str, engine: AsyncEngine, files: Files) -> AsyncIterator[People]:
    """People at a router whose Kafka is away: queues work all the same."""
    async with serving_people(database, files) as found:
        yield found


@pytest.fixture
def only_case(engine: AsyncEngine) -> Callable[[], Awaitable[str]]:
    """The id of the one case that there is."""

    async def find() -> str:
        async with engine.connect() as connection:
            return str((await connection.execute(text("select id from router.support_case"))).scalar_one())

    return find


@pytest.fixture
def people() -> Callable[..., AbstractAsyncContextManager[People]]:
    """Opens a router's HTTP interface on a database."""
    return serving_people


@pytest.fixture
def ops_port() -> int:
    """A port for a consumer's health and metrics."""
    return free_port()
