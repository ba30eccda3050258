"""The HTTP service over a log in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI
from tests.unit.ingest.fakes import MemoryEventLog, MemoryEvidence, MemoryRawPayloads, MemoryWeb
from tests.unit.ingest.short_way import ShortWay

from voz_ingest.adapters.inbound.connections import connections_file
from voz_ingest.adapters.inbound.http.app import build_app
from voz_ingest.adapters.inbound.http.webhooks import WebhookPorts
from voz_ingest.adapters.outbound.nonces import ProcessNonces
from voz_ingest.config import Settings
from voz_ingest.domain.budget import ByteBudget
from voz_ingest.metrics import IngestMetrics
from voz_streamkit.health import Health
from voz_streamkit.http.auth import hash_key, new_key, parse_keys
from voz_streamkit.metrics import Metrics
from voz_streamkit.reload import ReloadingFile

KEYS = {"acme": new_key(), "globex": new_key(), "reader": new_key(), "admin": new_key()}
SCOPES = {"reader": "metrics:read", "admin": "admin"}
TENANTS = {"admin": "acme"}


@dataclass
class Service:
    """A service under test, with a client that has acme's key."""

    app: FastAPI
    client: httpx.AsyncClient
    log: MemoryEventLog
    budget: ByteBudget
    evidence: MemoryEvidence
    raw: MemoryRawPayloads
    web: MemoryWeb

    async def post(self, content: Any, content_type: str = "application/json", **headers: str) -> httpx.Response:
        """Send a body to /v1/events; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/v1/events", content=content, headers={"Content-Type": content_type, **named})


Serve = Callable[..., Any]


@pytest.fixture(params=["framework", "short way"])
async def serve(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Serve]:
    """Makes services; keyword arguments are settings. Small requests go either way."""
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> Service:
            log, shared = MemoryEventLog(), Metrics("ingest")
            chosen = Settings.model_validate({"keys_file": "none", **settings})
            budget = ByteBudget(chosen.max_in_flight_bytes)
            connections = connections_file(chosen.connections_file, shared) if chosen.connections_file else None
            evidence, raw, web = MemoryEvidence(), MemoryRawPayloads(), MemoryWeb()
            ports = WebhookPorts(evidence, raw, web, ProcessNonces())
            app = build_app(chosen, log, Health(), budget, IngestMetrics(shared, budget), ports, connections)
            keys = tmp_path / "keys.yaml"
            entries = [
                {
                    "id": name,
                    "tenant": TENANTS.get(name, name),
                    "sha256": hash_key(key),
                    "scopes": [SCOPES.get(name, "events:write")],
                }
                for name, key in KEYS.items()
            ]
            keys.write_text(yaml.safe_dump({"keys": entries}))
            app.state.api_keys = ReloadingFile(keys, parse_keys, shared)
            framework = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            client = httpx.AsyncClient(
                transport=framework if request.param == "framework" else ShortWay(app),
                base_url="http://voz",
                headers={"Authorization": f"Bearer {KEYS['acme']}"},
            )
            return Service(app, await stack.enter_async_context(client), log, budget, evidence, raw, web)

        yield make


@pytest.fixture
async def service(serve: Serve) -> Service:
    """A service with the default settings."""
    made: Service = await serve()
    return made
