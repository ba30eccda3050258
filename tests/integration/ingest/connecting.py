"""`voz-ingest connect` as tests run it, and what it has brought."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.integration.ingest.reading import read_events, settings

from voz.v1.customer_event_pb2 import CustomerEvent
from voz.v1.dead_letter_pb2 import DeadLetter
from voz_contracts.topics import DEAD_LETTER
from voz_devstack.ports import allocate_ports
from voz_ingest import connectors_cli
from voz_ingest.adapters.outbound.connector_store import PostgresConnectorStore
from voz_ingest.config import ConnectSettings
from voz_ingest.domain.connector import ConnectorState
from voz_ingest.wiring_connect import connect
from voz_streamkit.database import create_engine


@dataclass
class Connecting:
    """An installation: its file of connections, its database, its topics."""

    bootstrap: str
    dsn: str
    prefix: str
    folder: Path
    private_hosts: str = "127.0.0.1"
    chosen: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.folder / "connections.yaml"

    def declare(self, *connections: dict[str, Any]) -> None:
        """The file says these."""
        said = [{"tenant": "acme", **each} for each in connections]
        fresh = self.folder / "connections.new"
        fresh.write_text(yaml.safe_dump({"connections": said}))
        fresh.replace(self.file)

    def settings(self, **chosen: Any) -> ConnectSettings:
        values = {
            "kafka_bootstrap": self.bootstrap,
            "topic_prefix": self.prefix,
            "postgres_dsn": self.dsn,
            "connections_file": self.file,
            "private_hosts": self.private_hosts,
            "connect_port": allocate_ports(("ops",))["ops"],
            "connect_lease_seconds": 2,
            "connect_max_backoff_seconds": 0.1,
            "connect_request_seconds": 1.0,
            "announcement_poll_seconds": 0.05,
        }
        return ConnectSettings.model_validate({**values, **self.chosen, **chosen})

    @asynccontextmanager
    async def running(self, **chosen: Any) -> AsyncIterator[ConnectSettings]:
        """The process, within this one. At the end it is stopped as by SIGTERM."""
        stop, made = asyncio.Event(), self.settings(**chosen)
        task = asyncio.create_task(connect(made, stop))
        try:
            yield made
        finally:
            stop.set()
            await task

    def environment(self, **chosen: Any) -> dict[str, str]:
        made = self.settings(**chosen)
        return {
            **os.environ,
            "VOZ_KAFKA_BOOTSTRAP": self.bootstrap,
            "VOZ_TOPIC_PREFIX": self.prefix,
            "VOZ_POSTGRES_DSN": self.dsn,
            "VOZ_CONNECTIONS_FILE": str(self.file),
            "VOZ_INGEST_PRIVATE_HOSTS": self.private_hosts,
            "VOZ_INGEST_CONNECT_PORT": str(made.connect_port),
            "VOZ_INGEST_CONNECT_LEASE_SECONDS": str(made.connect_lease_seconds),
            "VOZ_INGEST_CONNECT_MAX_BACKOFF_SECONDS": str(made.connect_max_backoff_seconds),
        }

    def process(self) -> subprocess.Popen[bytes]:
        """The process, as one of its own."""
        number = len(list(self.folder.glob("connect-*.log")))
        with (self.folder / f"connect-{number}.log").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "voz_ingest.main", "connect"],
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    async def program(self, *arguments: str) -> tuple[int, str]:
        """What `voz-ingest connectors …` gives and says, as a program of its own."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voz_ingest.main", "connectors", *arguments),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def command(self, *arguments: str, code: int = 0, **chosen: Any) -> str:
        """What it says, run in here, which is much quicker."""
        parser = argparse.ArgumentParser()
        connectors_cli.add_arguments(parser)
        out = io.StringIO()
        given = await asyncio.to_thread(connectors_cli.run, parser.parse_args(arguments), self.settings(**chosen), out)
        assert given == code, out.getvalue()
        return out.getvalue()

    async def listed(self) -> dict[str, dict[str, Any]]:
        """What `list --json` says, by connection."""
        return {each["id"]: each for each in json.loads(await self.command("--json"))["items"]}

    async def states(self, engine: AsyncEngine) -> dict[str, ConnectorState]:
        return {each.connection_id: each for each in await PostgresConnectorStore(engine).states()}

    async def events(self) -> list[CustomerEvent]:
        return await read_events(self.bootstrap, self.prefix)

    async def ids(self) -> list[str]:
        """Source ids of everything on the topic, sorted."""
        return sorted(each.source_id for each in await self.events())

    async def until_ids(self, expected: Sequence[str]) -> list[CustomerEvent]:
        """Wait until all of these are on the topic. Returns everything that is."""
        missing = set(expected)
        try:
            async with asyncio.timeout(30):
                while True:
                    found = await self.events()
                    missing = set(expected) - {each.source_id for each in found}
                    if not missing:
                        return found
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not on the topic: {sorted(missing)}") from None

    async def dead_letters(self) -> list[DeadLetter]:
        topic = settings(self.bootstrap, self.prefix).topic(DEAD_LETTER)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, number) for number in range(DEAD_LETTER.partitions)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, 0)
            found: list[DeadLetter] = []
            while [each for each in partitions if await consumer.position(each) < ends[each]]:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [DeadLetter.FromString(record.value) for record in records if record.value]
            return found
        finally:
            await consumer.stop()


@asynccontextmanager
async def engine_of(connecting: Connecting) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(connecting.settings())
    try:
        yield engine
    finally:
        await engine.dispose()


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


async def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
    """End a process. Returns its exit code."""
    process.send_signal(number)
    return await asyncio.to_thread(process.wait, 30)
