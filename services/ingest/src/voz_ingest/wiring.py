"""Puts the parts together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from voz_contracts.topics import EVENTS
from voz_ingest.adapters.inbound.connections import ConnectionsInForce, NoConnections, connections_file
from voz_ingest.adapters.inbound.http.app import build_app
from voz_ingest.adapters.outbound.kafka import KafkaEventLog
from voz_ingest.config import Settings
from voz_ingest.domain.budget import ByteBudget
from voz_ingest.metrics import IngestMetrics
from voz_streamkit.health import Health
from voz_streamkit.http.auth import parse_keys
from voz_streamkit.http.server import serve
from voz_streamkit.kafka import create_producer
from voz_streamkit.metrics import Metrics
from voz_streamkit.reload import ReloadingFile


@dataclass(frozen=True, slots=True)
class Ingest:
    """The service, made and not started."""

    settings: Settings
    app: FastAPI
    log: KafkaEventLog
    files: Sequence[ReloadingFile[Any]]
    health: Health

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; then finish what was begun, deliver it, and leave."""
        served = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.log.run(served))
            for file in self.files:
                tasks.create_task(file.watch(stop))
            try:
                await serve(
                    self.app,
                    host=self.settings.host,
                    port=self.settings.port,
                    stop=stop,
                    health=self.health,
                    drain_seconds=self.settings.drain_seconds,
                )
            finally:
                served.set()


def build(settings: Settings) -> Ingest:
    """Make the service. Raises FileError when one of its files can't be used."""
    shared = Metrics("ingest")
    connections = connections_file(settings.connections_file, shared) if settings.connections_file else NoConnections()
    app, log, health = _parts(settings, shared, connections)
    app.state.api_keys = keys = ReloadingFile(settings.keys_file, parse_keys, shared)
    files: list[ReloadingFile[Any]] = [keys]
    if isinstance(connections, ReloadingFile):
        files.append(connections)
    return Ingest(settings, app, log, files, health)


def openapi() -> dict[str, Any]:
    """The OpenAPI document, which no setting changes."""
    settings = Settings.model_validate({"keys_file": "none", "connections_file": None})
    return _parts(settings, Metrics("ingest"), NoConnections())[0].openapi()


def _parts(
    settings: Settings, shared: Metrics, connections: ConnectionsInForce
) -> tuple[FastAPI, KafkaEventLog, Health]:
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
    return build_app(settings, log, health, budget, metrics, connections), log, health
