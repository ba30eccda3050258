"""Whatever fits the OpenAPI document, or nearly does, is answered; nothing is a server error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import schemathesis
import yaml
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from tests.unit.ingest.fakes import MemoryEventLog, MemoryEvidence, MemoryRawPayloads, MemoryWeb

from voz_ingest import wiring
from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.inbound.connections import connections_file
from voz_ingest.adapters.inbound.http.app import build_app
from voz_ingest.adapters.inbound.http.webhooks import WebhookPorts
from voz_ingest.adapters.outbound.nonces import ProcessNonces
from voz_ingest.config import Settings
from voz_ingest.domain.budget import ByteBudget
from voz_ingest.metrics import IngestMetrics
from voz_streamkit.health import Health
from voz_streamkit.http.auth import SCOPES, hash_key, new_key, parse_keys
from voz_streamkit.metrics import Metrics
from voz_streamkit.reload import ReloadingFile

pytestmark = pytest.mark.contract
KEY = new_key()
CONNECTIONS = {
    "connections": [
        {"id": name, "tenant": "acme", "source": name, "secrets": ["secret"]}
        for name in sources.names()
        if name not in ("mapped", "ses")
    ]
}


def make_app(folder: Path) -> FastAPI:
    shared = Metrics("ingest")
    chosen = Settings.model_validate({"keys_file": "none", "postgres_dsn": None})
    budget = ByteBudget(chosen.max_in_flight_bytes)
    (folder / "connections.yaml").write_text(yaml.safe_dump(CONNECTIONS))
    (folder / "keys.yaml").write_text(
        yaml.safe_dump({"keys": [{"id": "k", "tenant": "acme", "sha256": hash_key(KEY), "scopes": [*SCOPES]}]})
    )
    ports = WebhookPorts(MemoryEvidence(), MemoryRawPayloads(), MemoryWeb(), ProcessNonces())
    connections = connections_file(folder / "connections.yaml", shared)
    app = build_app(chosen, MemoryEventLog(), Health(), budget, IngestMetrics(shared, budget), ports, connections)
    app.state.api_keys = ReloadingFile(folder / "keys.yaml", parse_keys, shared)
    return app


@pytest.fixture(scope="module")
def document() -> Iterator[schemathesis.BaseSchema]:
    with TemporaryDirectory(prefix="voz-test-") as folder:
        yield schemathesis.openapi.from_asgi("/openapi.json", make_app(Path(folder)))


OPERATIONS = [
    (method.upper(), path)
    for path, item in wiring.openapi()["paths"].items()
    for method in ("get", "post", "put", "delete")
    if method in item
]
NOT_HERE = 503
"""PostgreSQL isn't there in this test: what needs it is to come again, which is no error of the server."""


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_nothing_is_a_server_error(document: schemathesis.BaseSchema, method: str, path: str) -> None:
    operation = document[path][method]

    @given(case=operation.as_strategy())
    @settings(max_examples=60, deadline=None, suppress_health_check=[*HealthCheck])
    def ask(case: schemathesis.Case[Any]) -> None:
        response = case.call(headers={"Authorization": f"Bearer {KEY}"})
        if response.status_code != NOT_HERE:
            case.validate_response(response, checks=[not_a_server_error])

    ask()


@pytest.mark.parametrize("source", [each["id"] for each in CONNECTIONS["connections"]])
def test_no_source_makes_a_server_error_of_anything(document: schemathesis.BaseSchema, source: str) -> None:
    operation = document["/v1/webhooks/{connection}"]["POST"]

    @given(case=operation.as_strategy())
    @settings(max_examples=15, deadline=None, suppress_health_check=[*HealthCheck])
    def ask(case: schemathesis.Case[Any]) -> None:
        case.path_parameters = {"connection": source}
        case.query = {"secret": "secret"}
        response = case.call()
        if response.status_code != NOT_HERE:
            case.validate_response(response, checks=[not_a_server_error])

    ask()
