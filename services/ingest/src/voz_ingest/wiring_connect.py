"""Puts the parts of `voz-ingest connect` together."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import uuid
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from voz_contracts.topics import DEAD_LETTER, EVENTS, RAW
from voz_ingest.adapters.inbound.connections import Connections, connections_file
from voz_ingest.adapters.inbound.connectors.announced import Fetcher
from voz_ingest.adapters.inbound.connectors.delivery import Delivery
from voz_ingest.adapters.inbound.connectors.runner import Parts
from voz_ingest.adapters.inbound.connectors.supervisor import Supervisor
from voz_ingest.adapters.inbound.sources import has_phone_ids
from voz_ingest.adapters.outbound.announcements import PostgresAnnouncements
from voz_ingest.adapters.outbound.connector_store import PostgresConnectorStore
from voz_ingest.adapters.outbound.guard import Guard
from voz_ingest.adapters.outbound.identities import Identities
from voz_ingest.adapters.outbound.kafka import KafkaEventLog
from voz_ingest.adapters.outbound.kafka_evidence import KafkaEvidence
from voz_ingest.adapters.outbound.kafka_raw import KafkaRawPayloads
from voz_ingest.adapters.outbound.transports import Transports
from voz_ingest.adapters.outbound.web import READ_SECONDS, Web
from voz_ingest.config import ConnectSettings
from voz_ingest.domain.budget import ByteBudget
from voz_ingest.metrics import ConnectMetrics, IngestMetrics
from voz_streamkit.backoff import Backoff, persist
from voz_streamkit.database import create_engine, migrate, ping
from voz_streamkit.errors import is_transient
from voz_streamkit.health import Health
from voz_streamkit.http.app import operations_app
from voz_streamkit.http.server import serve
from voz_streamkit.kafka import create_producer
from voz_streamkit.metrics import Metrics
from voz_streamkit.reload import ReloadingFile

_log = structlog.get_logger(__name__)


async def connect(settings: ConnectSettings, stop: asyncio.Event) -> None:
    """Run connectors and fetch what is announced, until `stop`. Raises FileError when its file can't be used."""
    await build(settings).run(stop)


@dataclass(slots=True)
class Connect:
    """The process, made and not started."""

    settings: ConnectSettings
    shared: Metrics
    connections: ReloadingFile[Connections]
    log: KafkaEventLog
    evidence: KafkaEvidence
    raw: KafkaRawPayloads
    engine: AsyncEngine
    identities: Identities
    parts: Parts
    web: Web
    health: Health = field(default_factory=Health)
    migrated: bool = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then what is under way is finished, delivered, and the leases are given back."""
        self.health.add_readiness("kafka", self.log.check)
        self.health.add_readiness("postgres", self._postgres_answers)
        delivered = asyncio.Event()
        try:
            async with self.web, asyncio.TaskGroup() as tasks:
                tasks.create_task(self._operations(stop))
                tasks.create_task(self.log.run(delivered))
                tasks.create_task(self.connections.watch(stop))
                try:
                    if await self._migrate(stop):
                        tasks.create_task(self.identities.run(delivered))
                        await self.identities.loaded(stop)
                        await self._work(stop)
                finally:
                    delivered.set()
        finally:
            await self.evidence.close()
            await self.raw.close()
            await self.engine.dispose()

    async def _work(self, stop: asyncio.Event) -> None:
        settings = self.settings
        supervisor = Supervisor(
            self.connections,
            self.parts,
            owner=f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
            lease_seconds=settings.connect_lease_seconds,
            max_connectors=settings.connect_max_connectors,
            drain_seconds=settings.connect_drain_seconds,
        )
        fetcher = Fetcher(
            PostgresAnnouncements(self.engine),
            self.connections,
            self.parts,
            max_attempts=settings.announcement_attempts,
            poll_seconds=settings.announcement_poll_seconds,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(supervisor.run(stop))
            tasks.create_task(fetcher.run(stop))

    async def _operations(self, stop: asyncio.Event) -> None:
        """Health and metrics."""
        app, settings = operations_app(self.health, self.shared), self.settings
        await serve(app, host=settings.host, port=settings.connect_port, stop=stop, health=self.health)

    async def _postgres_answers(self) -> None:
        if not self.migrated:
            raise RuntimeError("the schema is not up to date yet")
        await ping(self.engine)

    async def _migrate(self, stop: asyncio.Event) -> bool:
        """Bring the schema up to date, waiting for PostgreSQL as long as it takes; False when `stop` came first."""

        def say(attempt: int, error: BaseException) -> None:
            _log.warning("waiting for PostgreSQL", attempt=attempt, error=str(error)[:500])

        dsn = self.settings.postgres_dsn.get_secret_value()
        try:
            await persist(lambda: asyncio.to_thread(migrate, dsn, "voz_ingest"), Backoff(0.2, 5.0), stop, say)
        except Exception as error:
            if not (stop.is_set() and is_transient(error)):
                raise
            return False
        self.migrated = True
        return not stop.is_set()


def build(settings: ConnectSettings) -> Connect:
    """Make the process. Raises FileError when its file can't be used."""
    shared, budget = Metrics("ingest"), ByteBudget(settings.max_in_flight_bytes)
    connections = connections_file(settings.connections_file, shared)
    metrics, connect_metrics = IngestMetrics(shared, budget), ConnectMetrics(shared)
    log = KafkaEventLog(
        lambda: create_producer(settings, linger_ms=0),
        settings.topic(EVENTS),
        budget,
        metrics,
        delivery_timeout_seconds=settings.delivery_timeout_seconds,
    )
    evidence = KafkaEvidence(lambda: create_producer(settings), settings.topic(DEAD_LETTER), shared)
    raw = KafkaRawPayloads(lambda: create_producer(settings), settings.topic(RAW))
    engine = create_engine(settings, application_name="voz-ingest-connect")
    identities = Identities(settings, engine, shared, has_phone_ids)
    delivery = Delivery(
        identities.over(log),
        evidence,
        raw,
        connections,
        metrics,
        connect_metrics,
        max_text_bytes=settings.max_text_bytes,
    )
    seconds = settings.connect_request_seconds
    web = Web(Guard(settings.private_hosts), whole_seconds=seconds, read_seconds=min(READ_SECONDS, seconds))
    parts = Parts(
        PostgresConnectorStore(engine),
        Transports(web),
        delivery,
        connect_metrics,
        random.random,
        settings.connect_max_backoff_seconds,
    )
    return Connect(settings, shared, connections, log, evidence, raw, engine, identities, parts, web)
