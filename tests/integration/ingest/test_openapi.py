"""What the OpenAPI document of a running ingest allows, and what it forbids, breaks nothing; answers are as it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from tests.integration.ingest.conftest import KEYS, Ingest, StartIngest
from tests.integration.ingest.reading import make_topic

from voz_devstack.testing import KafkaAddress

pytestmark = pytest.mark.integration
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
CONNECTIONS = "connections: [{id: hook, tenant: acme, source: api, secrets: [right]}]\n"
EXAMPLES = 25
ALLOWED, FORBIDDEN = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
# What takes no parameters has nothing forbidden.
OPERATIONS = [
    (ALLOWED, "POST", "/v1/events"),
    (FORBIDDEN, "POST", "/v1/events"),
    (ALLOWED, "POST", "/v1/webhooks/{connection}"),
    (ALLOWED, "GET", "/v1/webhooks/{connection}"),
    (ALLOWED, "GET", "/livez"),
    (ALLOWED, "GET", "/readyz"),
    (ALLOWED, "GET", "/metrics"),
    (ALLOWED, "GET", "/voz.js"),
]


@pytest.fixture
async def ingest(kafka: KafkaAddress, topic_prefix: str, start_ingest: StartIngest, tmp_path: Path) -> Ingest:
    await make_topic(kafka.bootstrap, topic_prefix)
    connections = tmp_path / "connections.yaml"
    connections.write_text(CONNECTIONS)
    started = await start_ingest(kafka.bootstrap, environment={"VOZ_CONNECTIONS_FILE": str(connections)})
    await started.wait_until_ready()
    return started


def test_no_request_breaks_it(ingest: Ingest) -> None:
    url, headers = str(ingest.client.base_url), {"Authorization": f"Bearer {KEYS['acme']}"}
    schema = schemathesis.openapi.from_dict(httpx.get(f"{url}/openapi.json").json())
    for mode, method, path in OPERATIONS:

        @given(schema[path][method].as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def answers_well(case: schemathesis.Case[Any]) -> None:
            case.validate_response(case.call(base_url=url, headers=headers), checks=CHECKS)

        answers_well()
    assert httpx.get(f"{url}/readyz").status_code == 200
