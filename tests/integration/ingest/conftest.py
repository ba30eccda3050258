"""ingest as a process of its own, and what it has put on Kafka."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from tests.integration.ingest.reading import make_topic

from voz_devstack.ports import allocate_ports
from voz_devstack.testing import KafkaServer, kafka_server
from voz_streamkit.http.auth import ADMIN, EVENTS_WRITE, hash_key, new_key

KEYS = {"acme": new_key(), "globex": new_key()}


@dataclass
class Ingest:
    """A running `voz-ingest serve`, and a client with acme's key."""

    process: subprocess.Popen[bytes]
    client: httpx.AsyncClient
    output: Path

    async def listens(self) -> bool:
        """Whether it answers at all."""
        try:
            await self.client.get("/livez")
        except httpx.TransportError:
            assert self.process.poll() is None, self.output.read_text()
            return False
        return True

    async def ready(self) -> bool:
        """Whether it says that it can serve."""
        return (await self.client.get("/readyz")).status_code == 200

    async def wait_until_ready(self, ready: bool = True) -> None:
        """Until it says so (or, if `ready` is false, until it doesn't)."""
        async with asyncio.timeout(60):
            while await self.ready() is not ready:
                await asyncio.sleep(0.05)

    async def metric(self, name: str) -> float:
        """A figure without labels."""
        lines = (await self.client.get("/metrics")).text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 30)


StartIngest = Callable[..., Awaitable[Ingest]]


@pytest.fixture
async def start_ingest(tmp_path: Path, topic_prefix: str) -> AsyncIterator[StartIngest]:
    """Starts ingest on a Kafka; keyword arguments are settings of ingest, `environment` any others. Waits until it
    listens."""
    keys = tmp_path / "keys.yaml"
    entries = [
        {"id": tenant, "tenant": tenant, "sha256": hash_key(key), "scopes": [EVENTS_WRITE, ADMIN]}
        for tenant, key in KEYS.items()
    ]
    keys.write_text(yaml.safe_dump({"keys": entries}))
    running: list[Ingest] = []
    async with AsyncExitStack() as stack:

        async def start(bootstrap: str, *, environment: Mapping[str, str] | None = None, **settings: object) -> Ingest:
            port = allocate_ports(("ingest",))["ingest"]
            variables = {
                **os.environ,
                "VOZ_KAFKA_BOOTSTRAP": bootstrap,
                "VOZ_TOPIC_PREFIX": topic_prefix,
                "VOZ_KEYS_FILE": str(keys),
                "VOZ_INGEST_PORT": str(port),
                **{f"VOZ_INGEST_{name.upper()}": str(value) for name, value in settings.items()},
                **(environment or {}),
            }
            output = tmp_path / f"ingest-{port}.log"
            with output.open("wb") as written:
                process = subprocess.Popen(
                    [sys.executable, "-m", "voz_ingest.main", "serve"],
                    env=variables,
                    stdout=written,
                    stderr=subprocess.STDOUT,
                )
            client = httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {KEYS['acme']}", "Content-Type": "application/json"},
                timeout=30,
                limits=httpx.Limits(max_connections=200),
            )
            ingest = Ingest(process, await stack.enter_async_context(client), output)
            running.append(ingest)
            async with asyncio.timeout(60):
                while not await ingest.listens():
                    await asyncio.sleep(0.05)
            return ingest

        yield start
    for ingest in running:
        if ingest.process.poll() is None:
            ingest.process.kill()
            ingest.process.wait()


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A Kafka for tests that kill and freeze it; every test leaves it serving."""
    with kafka_server(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture
async def own_topic(own_kafka: KafkaServer, topic_prefix: str) -> None:
    """`voz.events` of this test on its own Kafka."""
    await make_topic(own_kafka.bootstrap, topic_prefix)
