"""Puts the parts together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from voz_contracts.topics import DEAD_LETTER, EVENTS, RAW
from voz_ingest.adapters.inbound.connections import ConnectionsInForce, NoConnections, connections_file
from voz_ingest.adapters.inbound.http.app import build_app
from voz_ingest.adapters.inbound.http.webhooks import WebhookPorts
from voz_ingest.adapters.inbound.sources import has_phone_ids
from voz_ingest.adapters.outbound.announcements import PostgresAnnouncements
from voz_ingest.adapters.outbound.guard import Guard
from voz_ingest.adapters.outbound.identities import Identities
from voz_ingest.adapters.outbound.kafka import KafkaEventLog
from voz_ingest.adapters.outbound.kafka_evidence import KafkaEvidence
from voz_ingest.adapters.outbound.kafka_raw import KafkaRawPayloads
from voz_ingest.adapters.outbound.nonces import PostgresNonces, ProcessNonces
from voz_ingest.adapters.outbound.usage import PostgresUsage, share_usage
from voz_ingest.adapters.outbound.web import Web
from voz_ingest.config import Settings
from voz_ingest.domain.budget import ByteBudget
from voz_ingest.domain.quota import DailyUsage
from voz_ingest.metrics import IngestMetrics
from voz_streamkit.backoff import Backoff, persist
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.errors import is_transient
from voz_streamkit.health import Health
from voz_streamkit.http.auth import parse_keys
from voz_streamkit.http.hot import HotRoutes
from voz_streamkit.http.protocol import Limits
from voz_streamkit.http.server import serve
from voz_streamkit.kafka import create_producer
from voz_streamkit.metrics import Metrics
from voz_streamkit.reload import ReloadingFile

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ingest:
    """The service, made and not started."""

    settings: Settings
    app: FastAPI
    log: KafkaEventLog
    files: Sequence[ReloadingFile[Any]]
    health: Health
    beside: Beside

    @property
    def _hot(self) -> HotRoutes | None:
        """Spans are made in the framework's way."""
        hot: HotRoutes = self.app.state.hot
        return None if self.settings.otlp_endpoint else hot

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; then finish what was begun, deliver it, and leave."""
        served = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.log.run(served))
            tasks.create_task(self.beside.run(served))
            for file in self.files:
                tasks.create_task(file.watch(stop))
            if self.beside.identities:
                await self.beside.identities.loaded(stop)
            try:
                await serve(
                    self.app,
                    host=self.settings.host,
                    port=self.settings.port,
                    stop=stop,
                    health=self.health,
                    drain_seconds=self.settings.drain_seconds,
                    hot=self._hot,
                    limits=Limits(
                        max_connections=self.settings.max_connections,
                        head_seconds=self.settings.head_timeout_seconds,
                        body_seconds=self.settings.body_timeout_seconds,
                    ),
                )
            finally:
                served.set()


@dataclass(frozen=True, slots=True)
class Beside:
    """What is needed beside the log: for webhooks, and for what processes tell each other."""

    evidence: KafkaEvidence
    raw: KafkaRawPayloads
    web: Web
    usage: DailyUsage
    engine: AsyncEngine | None
    dsn: str
    identities: Identities | None

    @classmethod
    def make(cls, settings: Settings, shared: Metrics) -> Beside:
        database = settings.database()
        engine = create_engine(database) if database else None
        return cls(
            KafkaEvidence(lambda: create_producer(settings), settings.topic(DEAD_LETTER), shared),
            KafkaRawPayloads(lambda: create_producer(settings), settings.topic(RAW)),
            Web(Guard(settings.private_hosts)),
            DailyUsage(),
            engine,
            database.postgres_dsn.get_secret_value() if database else "",
            Identities(settings, engine, shared, has_phone_ids) if engine else None,
        )

    @property
    def webhooks(self) -> WebhookPorts:
        announcements = PostgresAnnouncements(self.engine) if self.engine else None
        nonces = PostgresNonces(self.engine) if self.engine else ProcessNonces()
        return WebhookPorts(self.evidence, self.raw, self.web, nonces, announcements)

    async def run(self, stop: asyncio.Event) -> None:
        """Share what is counted, and who is who, until `stop`; then deliver and close."""
        try:
            if self.engine and self.identities and await self._migrate(stop):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(share_usage(self.usage, PostgresUsage(self.engine), stop))
                    tasks.create_task(self.identities.run(stop))
            await stop.wait()
        finally:
            await self.evidence.close()
            await self.raw.close()
            async with self.web:
                pass
            if self.engine:
                await self.engine.dispose()

    async def _migrate(self, stop: asyncio.Event) -> bool:
        """Bring the schema up to date, waiting for PostgreSQL as long as it takes; False when `stop` came first."""

        def say(attempt: int, error: BaseException) -> None:
            _log.warning("waiting for PostgreSQL", attempt=attempt, error=str(error)[:500])

        try:
            await persist(lambda: asyncio.to_thread(migrate, self.dsn, "voz_ingest"), Backoff(), stop, say)
        except Exception as error:
            if not (stop.is_set() and is_transient(error)):
                raise
        return not stop.is_set()


def build(settings: Settings) -> Ingest:
    """Make the service. Raises FileError when one of its files can't be used."""
    shared = Metrics("ingest")
    connections = connections_file(settings.connections_file, shared) if settings.connections_file else NoConnections()
    app, log, health, beside = _parts(settings, shared, connections)
    app.state.api_keys = keys = ReloadingFile(settings.keys_file, parse_keys, shared)
    files: list[ReloadingFile[Any]] = [keys]
    if isinstance(connections, ReloadingFile):
        files.append(connections)
    return Ingest(settings, app, log, files, health, beside)


def openapi() -> dict[str, Any]:
    """The OpenAPI document, which no setting changes."""
    settings = Settings.model_validate({"keys_file": "none", "connections_file": None, "postgres_dsn": None})
    return _parts(settings, Metrics("ingest"), NoConnections())[0].openapi()


def _parts(
    settings: Settings, shared: Metrics, connections: ConnectionsInForce
) -> tuple[FastAPI, KafkaEventLog, Health, Beside]:
    budget = ByteBudget(settings.max_in_flight_bytes)
    metrics = IngestMetrics(shared, budget)
    log = KafkaEventLog(
        # A lone record doesn't wait for company: whatever comes while one is on its way makes the next batch. A broker
        # that is silent for as long as a request may take is asked again, or its successor.
        lambda: create_producer(
            settings, linger_ms=0, request_timeout_ms=max(1000, int(settings.delivery_timeout_seconds * 1000))
        ),
        settings.topic(EVENTS),
        budget,
        metrics,
        delivery_timeout_seconds=settings.delivery_timeout_seconds,
    )
    health = Health()
    health.add_readiness("kafka", log.check)
    beside = Beside.make(settings, shared)
    linked, desk = (beside.identities.over(log), beside.identities) if beside.identities else (log, None)
    app = build_app(settings, linked, health, budget, metrics, beside.webhooks, connections, beside.usage, desk)
    return app, log, health, beside
