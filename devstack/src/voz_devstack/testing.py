"""Real servers for tests, as plain child processes that can be killed and started again.

    with kafka_server(folder, nodes=3) as kafka:
        kafka.kill(2)
        kafka.start(2)

They stop with the context manager, and at the latest with the process that started them.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from voz_devstack import postgres
from voz_devstack.jars import kafka_jars
from voz_devstack.kafka import KafkaCluster, KafkaError, KafkaNode, make_aot_cache
from voz_devstack.ports import allocate_ports
from voz_devstack.postgres import PostgresCluster, PostgresError
from voz_devstack.reaper import reap_at_end


@dataclass(frozen=True)
class KafkaAddress:
    """A Kafka that somebody runs."""

    bootstrap: str


@dataclass(frozen=True)
class PostgresAddress:
    """A PostgreSQL that somebody runs; the DSN's user may make databases."""

    dsn: str

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, as a copy of `template` if named, and return its DSN."""
        return postgres.create_database(self.dsn, name, template)

    def drop_database(self, name: str) -> None:
        """Drop it, if it is there, under whoever is still connected."""
        postgres.drop_database(self.dsn, name)


class KafkaServer(KafkaAddress):
    """A cluster of our own. Nodes count from 1."""

    def __init__(self, cluster: KafkaCluster) -> None:
        super().__init__(cluster.bootstrap)
        self._cluster = cluster
        self._processes = {
            node.id: _Process(cluster.command(node), cluster.folder / f"node{node.id}.log") for node in cluster.nodes
        }

    @property
    def pids(self) -> Mapping[int, int]:
        """Process ids of the nodes that run."""
        return {node: process.pid for node, process in self._processes.items() if process.runs}

    def start(self, *nodes: int) -> None:
        """Start these nodes (all, if none are named) and return when they serve. Those that run are left alone."""
        wanted = nodes or tuple(self._processes)
        for node in wanted:
            self._processes[node].start()
        self._cluster.wait_until_serving(
            [self._cluster.node(node) for node in wanted], check=lambda: self._check(wanted)
        )

    def kill(self, *nodes: int) -> None:
        """SIGKILL to these nodes (all, if none are named); they are gone when this returns."""
        for node in nodes or tuple(self._processes):
            self._processes[node].end(signal.SIGKILL)

    def stop(self, *nodes: int) -> None:
        """Stop these nodes (all, if none are named) cleanly, one after the other."""
        stopping = nodes or tuple(self._processes)
        for node in stopping:
            # The last controllers of a cluster wait in vain for a quorum, which there won't be.
            self._processes[node].end(signal.SIGTERM, seconds=30 if len(stopping) == 1 else 5)

    def _check(self, nodes: Sequence[int]) -> None:
        for node in nodes:
            if not self._processes[node].runs:
                raise KafkaError(f"Kafka node {node} ended while it started:\n{self._processes[node].last_words()}")


class PostgresServer(PostgresAddress):
    """A server of our own, with its own data."""

    def __init__(self, cluster: PostgresCluster) -> None:
        super().__init__(cluster.dsn())
        self._cluster = cluster
        self._process = _Process(cluster.command(), cluster.folder / "postgres.log")

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Start it, if it doesn't run, and return when it takes connections."""
        self._process.start()
        self._cluster.wait_until_serving(check=self._check)

    def kill(self) -> None:
        """SIGKILL to the server; it is gone when this returns, its children are within moments."""
        self._process.end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it cleanly; open transactions are rolled back."""
        self._process.end(signal.SIGINT)

    def _check(self) -> None:
        if self._process.runs:
            return
        # The children of a killed server hold its shared memory until they have noticed.
        if "pre-existing shared memory block" in self._process.last_words(lines=3):
            self._process.start()
        else:
            raise PostgresError(f"PostgreSQL ended while it started:\n{self._process.last_words()}")


@contextmanager
def kafka_server(folder: Path, nodes: int = 1, **overrides: str) -> Iterator[KafkaServer]:
    """A serving cluster in this folder: each topic in min(3, nodes) copies. `overrides` are broker settings, with
    underscores for dots. What the folder holds from an earlier run is kept, except for the ports.
    """
    jars = kafka_jars(report=print)
    with TemporaryDirectory(prefix="voz-kafka-") as scratch:
        make_aot_cache(jars, allocate_ports(("broker", "controller")), Path(scratch), report=print)
    ids = range(1, nodes + 1)
    ports = allocate_ports([f"{role}{node}" for node in ids for role in ("broker", "controller")])
    members = tuple(KafkaNode(node, ports[f"broker{node}"], ports[f"controller{node}"]) for node in ids)
    settings = {name.replace("_", "."): value for name, value in overrides.items()}
    cluster = KafkaCluster(folder, members, jars, overrides=settings)
    cluster.prepare()
    server = KafkaServer(cluster)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def postgres_server(folder: Path) -> Iterator[PostgresServer]:
    """A serving PostgreSQL in this folder, with the user and the database `voz`."""
    cluster = PostgresCluster(folder, allocate_ports(["postgres"])["postgres"])
    cluster.prepare()
    server = PostgresServer(cluster)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class _Process:
    """One child process at a time of one command."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command = command
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        if self._child is None:
            raise ProcessLookupError("not started")
        return self._child.pid

    def start(self) -> None:
        if self.runs:
            return
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal ends the test run first, and that its servers.
            self._child = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        reap_at_end(self._child.pid)

    def end(self, number: signal.Signals, *, seconds: float = 30) -> None:
        """Signal the process and wait for its end; SIGKILL after `seconds`."""
        if self._child is None or not self.runs:
            return
        os.kill(self._child.pid, number)
        try:
            self._child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def last_words(self, *, lines: int = 15) -> str:
        """The end of what it said."""
        said = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        return "\n".join(said.splitlines()[-lines:])
