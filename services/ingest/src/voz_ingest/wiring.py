"""Puts the parts together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from voz_contracts.topics import EVENTS
from voz_ingest.adapters.inbound.http.app import build_app
from voz_ingest.adapters.outbound.kafka import KafkaEventLog
from voz_ingest.config import Settings
from voz_ingest.domain.budget import ByteBudget
from voz_ingest.metrics import IngestMetrics
from voz_streamkit.health import Health
from voz_streamkit.http.auth import ApiKeys, parse_keys
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
    keys: ReloadingFile[ApiKeys]
    health: Health

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; then finish what was begun, deliver it, and leave."""
        served = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.log.run(served))
            tasks.create_task(self.keys.watch(stop))
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
    """Make the service. Raises FileError when the keys file can't be used."""
    app, log, health, shared = _parts(settings)
    app.state.api_keys = keys = ReloadingFile(settings.keys_file, parse_keys, shared)
    return Ingest(settings, app, log, keys, health)


def openapi() -> dict[str, Any]:
    """The OpenAPI document, which no setting changes."""
    return _parts(Settings.model_validate({"keys_file": "none"}))[0].openapi()


def _parts(settings: Settings) -> tuple[FastAPI, KafkaEventLog, Health, Metrics]:
    shared = Metrics("ingest")
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
    return build_app(settings, log, health, budget, metrics), log, health, shared
