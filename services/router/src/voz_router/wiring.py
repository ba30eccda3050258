"""How the router's processes are put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, cast

import structlog
from aiokafka import AIOKafkaProducer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from voz_contracts.topics import CASES, DEAD_LETTER, ENRICHED
from voz_router.adapters.inbound.effects import RoutingEffects
from voz_router.adapters.inbound.http.app import router_app
from voz_router.adapters.inbound.http.routes import Desk
from voz_router.adapters.inbound.http.views import case_json
from voz_router.adapters.inbound.live_policy import LivePolicy
from voz_router.adapters.inbound.policy_yaml import parse_policy
from voz_router.adapters.inbound.records import decode
from voz_router.adapters.outbound.messages import publisher
from voz_router.adapters.outbound.postgres_cases import PostgresCaseStore, PostgresRoutingStore
from voz_router.adapters.outbound.postgres_queries import PostgresCaseQueries
from voz_router.adapters.outbound.postgres_upkeep import Retention, keep_up
from voz_router.adapters.outbound.tables import SCHEMA
from voz_router.config import ConsumeSettings, RouterSettings, ServeSettings
from voz_router.domain.policy import Policy
from voz_router.metrics import RouterMetrics
from voz_router.use_cases import RouteEvents, WorkCases
from voz_streamkit.backoff import Backoff, persist, run_periodically
from voz_streamkit.consume import ConsumeLoop
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.dead_letters import DeadLetterLimit, DeadLetters
from voz_streamkit.errors import is_transient
from voz_streamkit.health import Health
from voz_streamkit.http.app import operations_app
from voz_streamkit.http.auth import parse_keys
from voz_streamkit.http.server import serve as serve_http
from voz_streamkit.kafka import create_consumer, create_producer, ping, start
from voz_streamkit.logs import configure_logging
from voz_streamkit.metrics import Metrics
from voz_streamkit.outbox import OutboxRelay
from voz_streamkit.reload import ReloadingFile
from voz_streamkit.sink import ExactlyOnceSink
from voz_streamkit.topics import ensure_topics
from voz_streamkit.tracing import configure_tracing

SERVICE = "router"
CONSUMER = "voz-router"
UPKEEP_SECONDS = 3600.0
_log = structlog.get_logger(__name__)


def clock() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


async def serve(settings: ServeSettings, stop: asyncio.Event) -> None:
    """The HTTP interface, until `stop`. Kafka may be away: what it would publish waits in the outbox."""
    async with _parts(settings, "voz-router-serve") as parts:
        keys = ReloadingFile(settings.keys_file, parse_keys, parts.metrics, poll_seconds=settings.reload_seconds)
        store = PostgresCaseStore(parts.engine, publisher(settings), parts.relay.nudge)
        work = WorkCases(store, parts.policies, clock, lambda case: case_json(case, clock()))
        desk = Desk(work, PostgresCaseQueries(parts.engine), parts.policies, clock)
        app = router_app(desk, parts.health, parts.metrics, version("voz-router"))
        app.state.api_keys = keys
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                serve_http(
                    app,
                    host=settings.host,
                    port=settings.port,
                    stop=stop,
                    health=parts.health,
                    drain_seconds=settings.drain_seconds,
                )
            )
            tasks.create_task(keys.watch(stop))
            tasks.create_task(parts.policies.follow(stop))
            if await parts.migrate(stop):
                tasks.create_task(parts.run_upkeep(stop))
                tasks.create_task(parts.run_relay(stop))


async def consume(settings: ConsumeSettings, stop: asyncio.Event) -> None:
    """The stream, until `stop`."""
    async with _parts(settings, "voz-router-consume") as parts:
        parts.health.add_readiness("kafka", parts.kafka_answers)
        operations = operations_app(parts.health, parts.metrics)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                serve_http(operations, host=settings.host, port=settings.ops_port, stop=stop, health=parts.health)
            )
            # A case's topic is there before the case is; so the policy comes first.
            if await parts.migrate(stop) and await parts.policies.make_ready(stop):
                tasks.create_task(parts.policies.follow(stop))
                tasks.create_task(parts.run_upkeep(stop))
                tasks.create_task(parts.run_relay(stop))
                if await parts.start_producer(stop):
                    await _loop(settings, parts).run(stop)


def _loop(settings: ConsumeSettings, parts: _Parts) -> ConsumeLoop[Any]:
    publish = publisher(settings)
    effects = RoutingEffects(
        RouteEvents(parts.policies, clock),
        lambda connection: PostgresRoutingStore(connection, publish),
        parts.router_metrics,
    )
    dead_letters = DeadLetters(parts.producer, settings.topic(DEAD_LETTER), SERVICE, DeadLetterLimit(), parts.metrics)
    sink = ExactlyOnceSink(parts.engine, SCHEMA, CONSUMER, decode, effects, dead_letters)
    consumer = create_consumer(settings, CONSUMER)
    topics = [settings.topic(ENRICHED)]
    return ConsumeLoop(consumer, topics, sink, parts.health, parts.metrics, max_batch=settings.max_batch)


def migrate_now(settings: RouterSettings) -> None:
    """Bring the schema up to date."""
    migrate(settings.postgres_dsn.get_secret_value(), "voz_router")


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document of the HTTP interface."""
    # The routes look at the desk when they are called, and here nobody calls.
    return router_app(cast(Desk, None), Health(), Metrics(SERVICE), version("voz-router")).openapi()


@dataclass(slots=True)
class _Parts:
    """What both processes have."""

    settings: RouterSettings
    metrics: Metrics
    router_metrics: RouterMetrics
    health: Health
    engine: AsyncEngine
    producer: AIOKafkaProducer
    relay: OutboxRelay
    policies: LivePolicy
    migrated: bool = False
    producer_started: asyncio.Task[bool] | None = None

    async def migrate(self, stop: asyncio.Event) -> bool:
        """Bring the schema up to date, waiting for PostgreSQL. False when `stop` came first."""
        dsn = self.settings.postgres_dsn.get_secret_value()

        async def step() -> None:
            await asyncio.to_thread(migrate, dsn, "voz_router")
            await self._upkeep()

        self.migrated = await _insist(step, "postgres", stop)
        return self.migrated

    async def start_producer(self, stop: asyncio.Event) -> bool:
        """Start the producer, waiting for Kafka. False when `stop` came first. Whoever asks first starts it."""
        if self.producer_started is None:
            starting = _insist(lambda: start(self.producer, stop), "kafka", stop)
            self.producer_started = asyncio.create_task(starting)
        return await self.producer_started

    async def run_relay(self, stop: asyncio.Event) -> None:
        """Publish the outbox until `stop`. Every process of the router does, one at a time: any alive suffices."""
        if await self.start_producer(stop):
            await self.relay.run(stop)

    async def run_upkeep(self, stop: asyncio.Event) -> None:
        """Partitions and retention, hourly."""
        await run_periodically(stop, UPKEEP_SECONDS, self._upkeep)

    async def postgres_answers(self) -> None:
        """A readiness check."""
        if not self.migrated:
            raise RuntimeError("the schema is not up to date yet")
        async with self.engine.connect() as connection:
            await connection.execute(text("select 1"))

    async def kafka_answers(self) -> None:
        """A readiness check."""
        await ping(self.producer)

    async def _upkeep(self) -> None:
        settings = self.settings
        retention = Retention(settings.decisions_keep_days, settings.cases_keep_days, settings.applied_ids_keep_days)
        await keep_up(self.engine, retention, clock())


@asynccontextmanager
async def _parts(settings: RouterSettings, name: str) -> AsyncIterator[_Parts]:
    configure_logging(SERVICE, settings.log_level)
    configure_tracing(SERVICE, settings.otlp_endpoint)
    metrics, health = Metrics(SERVICE), Health()
    router_metrics = RouterMetrics(metrics.registry)
    file = ReloadingFile(settings.policy_path, parse_policy, metrics, poll_seconds=settings.reload_seconds)

    async def make_topics(policy: Policy, stop: asyncio.Event) -> None:
        await ensure_topics(settings, [CASES, *policy.queues], stop=stop)

    engine = create_engine(settings, application_name=name)
    producer = create_producer(settings)
    relay = OutboxRelay(engine, SCHEMA, producer, poll_seconds=settings.relay_poll_seconds, metrics=metrics)
    policies = LivePolicy(file, make_topics, router_metrics, poll_seconds=settings.reload_seconds)
    parts = _Parts(settings, metrics, router_metrics, health, engine, producer, relay, policies)
    health.add_readiness("postgres", parts.postgres_answers)
    try:
        yield parts
    finally:
        await producer.stop()
        await engine.dispose()


async def _insist(step: Callable[[], Awaitable[object]], what: str, stop: asyncio.Event) -> bool:
    """Do `step`, again and again while it fails for transient reasons. False when `stop` came first."""

    def say(attempt: int, error: BaseException) -> None:
        _log.warning("waiting for what is away", what=what, attempt=attempt, error=str(error)[:300])

    try:
        await persist(step, Backoff(0.2, 5.0), stop, say)
    except Exception as error:
        if not (stop.is_set() and is_transient(error)):
            raise
        return False
    return True
