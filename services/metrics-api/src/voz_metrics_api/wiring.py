"""Puts the parts of each process together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import structlog
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from voz_contracts.topics import CASES, DEAD_LETTER, ENRICHED
from voz_metrics_api.adapters.inbound.board import board
from voz_metrics_api.adapters.inbound.decode import decoder
from voz_metrics_api.adapters.inbound.http import install_errors, routes
from voz_metrics_api.adapters.inbound.stream import Streams
from voz_metrics_api.adapters.outbound.changes import PostgresChanges
from voz_metrics_api.adapters.outbound.customers import PostgresCustomerStore
from voz_metrics_api.adapters.outbound.effects import PostgresEffects
from voz_metrics_api.adapters.outbound.figures import PostgresFigureStore
from voz_metrics_api.adapters.outbound.gauges import KpiGauges
from voz_metrics_api.adapters.outbound.reading import Reader
from voz_metrics_api.adapters.outbound.revisions import trim_message_states
from voz_metrics_api.adapters.outbound.tables import CONSUMER, SCHEMA
from voz_metrics_api.config import ConsumeSettings, MetricsApiSettings, ServeSettings
from voz_metrics_api.domain.windows import Kept
from voz_metrics_api.metrics import ServiceMetrics
from voz_metrics_api.use_cases import Questions
from voz_streamkit.backoff import Backoff, persist
from voz_streamkit.consume import ConsumeLoop
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.dead_letters import DeadLetterLimit, DeadLetters
from voz_streamkit.health import Health
from voz_streamkit.http.app import create_app, operations_app
from voz_streamkit.http.auth import parse_keys
from voz_streamkit.http.server import serve as serve_http
from voz_streamkit.kafka import create_consumer, create_producer, start
from voz_streamkit.metrics import Metrics
from voz_streamkit.partitions import PartitionPolicy, maintain_partitions, run_periodically
from voz_streamkit.reload import ReloadingFile
from voz_streamkit.sink import ExactlyOnceSink, trim_applied_events
from voz_streamkit.tracing import configure_tracing

SERVICE = "metrics-api"
_log = structlog.get_logger(__name__)
HOUSEKEEPING_SECONDS = 3600.0
# About 200 events: each of a larger batch would cost little less.
WORTHWHILE_BYTES = 128 * 1024
DESCRIPTION = (
    "Rolling KPIs, series, live updates, customers' timelines and the ranking of friction. "
    "Every answer says what it is made of; no data is null, never 0."
)


def migrate_schema(settings: MetricsApiSettings) -> None:
    """Bring schema `metrics` up to the newest revision."""
    migrate(settings.postgres_dsn.get_secret_value(), "voz_metrics_api")


async def _in_time(step: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    """Do what must come first, waiting for PostgreSQL if need be."""

    def say(attempt: int, error: BaseException) -> None:
        _log.warning("postgres can't do it yet, waiting", attempt=attempt, error=str(error)[:500])

    await persist(step, Backoff(0.5, 5.0), stop, say)


async def consume(settings: ConsumeSettings, stop: asyncio.Event) -> None:
    """Count until `stop`: voz.enriched and voz.cases into the rollups, profiles and timelines."""
    configure_tracing(SERVICE, settings.otlp_endpoint)
    await _in_time(lambda: asyncio.to_thread(migrate_schema, settings), stop)
    metrics, health = Metrics(SERVICE), Health()
    engine = create_engine(settings, application_name="metrics-api-consume")
    health.add_readiness("postgres", Reader(engine, timeout_seconds=2).check)
    producer = create_producer(settings)

    async def keep_house() -> None:
        await housekeeping(engine, settings, datetime.now(UTC))

    try:
        # Before anything is counted: a row on its way into a default partition is refused when its own appears.
        await _in_time(keep_house, stop)
        await start(producer, stop)
        topics = settings.topic(ENRICHED), settings.topic(CASES)
        dead_letters = DeadLetters(producer, settings.topic(DEAD_LETTER), SERVICE, DeadLetterLimit(), metrics)
        loop = ConsumeLoop(
            # The broker holds a fetch until it is worth a transaction, or for as long as freshness allows.
            create_consumer(
                settings,
                CONSUMER,
                fetch_min_bytes=WORTHWHILE_BYTES,
                fetch_max_wait_ms=int(settings.max_wait_seconds * 1000),
            ),
            topics,
            ExactlyOnceSink(engine, SCHEMA, CONSUMER, decoder(*topics), PostgresEffects(), dead_letters),
            health,
            metrics,
            max_batch=settings.max_batch_records,
        )
        app = operations_app(health, metrics)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(loop.run(stop))
            tasks.create_task(serve_http(app, host=settings.host, port=settings.ops_port, stop=stop, health=health))
            tasks.create_task(run_periodically(stop, HOUSEKEEPING_SECONDS, keep_house))
    finally:
        await producer.stop()
        await engine.dispose()


async def housekeeping(engine: AsyncEngine, settings: ConsumeSettings, now: datetime) -> None:
    """Make partitions ahead, drop those past their time, forget ids that Kafka can no longer deliver."""
    await maintain_partitions(engine, SCHEMA, partition_policies(settings), now)
    await trim_message_states(engine, now - timedelta(days=settings.timeline_kept_days))
    await trim_applied_events(engine, SCHEMA, now - timedelta(days=settings.ids_kept_days))


def partition_policies(settings: MetricsApiSettings) -> list[PartitionPolicy]:
    """How long each table keeps what; day rollups are kept for ever."""
    minutes, hours = timedelta(days=settings.minutes_kept_days), timedelta(days=settings.hours_kept_days)
    timeline = timedelta(days=settings.timeline_kept_days)
    return [
        PartitionPolicy("rollup_minute", "day", 3, minutes),
        PartitionPolicy("rollup_hour", "month", 2, hours),
        PartitionPolicy("rollup_day", "month", 2, None),
        PartitionPolicy("rollup_duration_minute", "day", 3, minutes),
        PartitionPolicy("rollup_duration_hour", "month", 2, hours),
        PartitionPolicy("rollup_duration_day", "month", 2, None),
        PartitionPolicy("touchpoint", "month", 2, timeline),
    ]


@dataclass(frozen=True, slots=True)
class Api:
    """The HTTP interface, and what runs beside it until the stop."""

    app: FastAPI
    engine: AsyncEngine
    jobs: tuple[Callable[[asyncio.Event], Coroutine[Any, Any, None]], ...]


async def serve(settings: ServeSettings, stop: asyncio.Event) -> None:
    """Answer until `stop`."""
    configure_tracing(SERVICE, settings.otlp_endpoint)
    health = Health()
    api = build_api(settings, Metrics(SERVICE), health, stop)
    try:
        await _in_time(lambda: asyncio.to_thread(migrate_schema, settings), stop)
        async with asyncio.TaskGroup() as tasks:
            for job in api.jobs:
                tasks.create_task(job(stop))
            await serve_http(
                api.app,
                host=settings.host,
                port=settings.port,
                stop=stop,
                health=health,
                drain_seconds=settings.drain_seconds,
            )
    finally:
        await api.engine.dispose()


def build_api(settings: ServeSettings, metrics: Metrics, health: Health, stop: asyncio.Event) -> Api:
    """The HTTP interface; connects to nothing before it is asked. Raises FileError for a bad keys file."""
    engine = create_engine(settings, application_name="metrics-api-serve")
    reader = Reader(engine, settings.query_timeout_seconds)
    kept = Kept(timedelta(days=settings.minutes_kept_days), timedelta(days=settings.hours_kept_days))
    questions = Questions(
        PostgresFigureStore(reader), PostgresCustomerStore(reader), kept, timedelta(days=settings.at_risk_days)
    )
    changes = PostgresChanges(settings.postgres_dsn.get_secret_value())
    service_metrics = ServiceMetrics(metrics.registry)
    streams = Streams(changes, stop, settings.stream_interval_seconds, settings.max_streams, service_metrics.streams)
    gauges = KpiGauges(questions, service_metrics, settings.gauge_tenants)
    keys = ReloadingFile(settings.keys_file, parse_keys, metrics)
    health.add_readiness("postgres", reader.check)
    app = create_app(
        title="Voz metrics-api",
        version=version("voz-metrics-api"),
        description=DESCRIPTION,
        health=health,
        metrics=metrics,
    )
    app.state.api_keys = keys
    install_errors(app)
    app.include_router(routes(questions, streams))
    app.include_router(board())

    async def refresh_gauges(stop: asyncio.Event) -> None:
        await run_periodically(stop, settings.gauge_interval_seconds, gauges.refresh)

    async def refresh_customers(stop: asyncio.Event) -> None:
        await run_periodically(stop, settings.customer_gauge_interval_seconds, gauges.refresh_customers)

    return Api(app, engine, (changes.run, keys.watch, refresh_gauges, refresh_customers))
