"""Apache Camel as the ready-made way from HTTP to Kafka: a route, no code. It parses the JSON, takes the key of it and
answers 202 when every in-sync replica has the record; nothing is checked, named or normalised.

From Maven's coordinates, as the stack's Kafka is (voz_devstack.jars); Java comes as a Python package.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import jgo
import psutil
from common import process

from voz_devstack.jars import java

CAMEL_VERSION = "4.18.0"
_COMPONENTS = ("main", "yaml-dsl", "platform-http-main", "kafka", "bean", "jackson")
COORDINATES = (
    *(f"org.apache.camel:camel-{name}:{CAMEL_VERSION}" for name in _COMPONENTS),
    "org.slf4j:slf4j-simple:2.0.17",
)
TOPIC = "camel.events"

_PROPERTIES = """\
camel.main.routes-include-pattern = file:routes.yaml
camel.server.enabled = true
camel.server.host = 127.0.0.1
camel.server.port = {port}
camel.component.kafka.brokers = {bootstrap}
camel.component.kafka.request-required-acks = all
camel.component.kafka.enable-idempotence = true
camel.component.kafka.linger-ms = 0
camel.component.kafka.value-serializer = org.apache.kafka.common.serialization.ByteArraySerializer
"""
_ROUTES = """\
- route:
    id: event
    from:
      uri: platform-http:/v1/events
      parameters: {{httpMethodRestrict: POST}}
      steps:
        - unmarshal: {{json: {{library: Jackson}}}}
        - setProperty: {{name: id, simple: "${{body[id]}}"}}
        - setHeader: {{name: kafka.KEY, simple: "bench/${{body[customer][id]}}"}}
        - marshal: {{json: {{library: Jackson}}}}
        - to: {{uri: "kafka:{topic}"}}
        - removeHeaders: {{pattern: "*"}}
        - setHeader: {{name: CamelHttpResponseCode, constant: "202"}}
        - setHeader: {{name: Content-Type, constant: application/json}}
        - setBody: {{simple: '{{"id":"${{exchangeProperty.id}}"}}'}}
- route:
    id: array
    from:
      uri: platform-http:/v1/arrays
      parameters: {{httpMethodRestrict: POST}}
      steps:
        - unmarshal: {{json: {{library: Jackson}}}}
        - setProperty: {{name: count, simple: "${{body.size}}"}}
        - split:
            simple: "${{body}}"
            aggregationStrategy: "#class:org.apache.camel.processor.aggregate.GroupedExchangeAggregationStrategy"
            steps:
              - setHeader: {{name: kafka.KEY, simple: "bench/${{body[customer][id]}}"}}
              - marshal: {{json: {{library: Jackson}}}}
        - to: {{uri: "kafka:{topic}"}}
        - removeHeaders: {{pattern: "*"}}
        - setHeader: {{name: CamelHttpResponseCode, constant: "202"}}
        - setHeader: {{name: Content-Type, constant: application/json}}
        - setBody: {{simple: '{{"accepted":${{exchangeProperty.count}}}}'}}
"""


def class_path() -> str:
    """Camel's jars, fetched when they aren't there. Raises what jgo raises where they can't be had."""
    return os.pathsep.join(sorted(str(jar) for jar in jgo.build("+".join(COORDINATES)).all_jars))


@contextmanager
def camel(folder: Path, jars: str, bootstrap: str, port: int) -> Iterator[psutil.Process]:
    """Camel serving `/v1/events` and `/v1/arrays`."""
    folder.mkdir()
    (folder / "application.properties").write_text(_PROPERTIES.format(port=port, bootstrap=bootstrap))
    (folder / "routes.yaml").write_text(_ROUTES.format(topic=TOPIC))
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    command = [str(java()), "-Xmx512m", quiet, "-cp", f"{folder}{os.pathsep}{jars}", "org.apache.camel.main.Main"]
    with process(*command, log=folder / "camel.log", cwd=folder) as server:
        deadline = time.monotonic() + 60
        event = {"id": "first", "customer": {"id": "c-0"}}
        while not _serves(f"http://127.0.0.1:{port}/v1/events", event):
            if time.monotonic() > deadline or not server.is_running():
                raise TimeoutError(f"Camel does not serve: {(folder / 'camel.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield server


def _serves(url: str, event: object) -> bool:
    try:
        return httpx.post(url, json=event, timeout=5).status_code == 202
    except httpx.HTTPError:
        return False
