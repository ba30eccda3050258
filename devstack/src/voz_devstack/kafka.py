"""A Kafka cluster on loopback (KRaft, every node broker and controller): configuration, storage, command lines.

Who runs the command lines is somebody else's business: the supervisor for the stack, plain child processes for tests.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voz_devstack.jars import KafkaJars, exclusive, java

_LOGGING = Path(__file__).with_name("log4j2.properties")
_TRAINING_PORTS = ("broker", "controller")
_METADATA_KEY, _METADATA_VERSION = 3, 1


class KafkaError(Exception):
    """Kafka can't be prepared or doesn't serve. The text names the node and holds what it said."""


@dataclass(frozen=True)
class KafkaNode:
    """One node: its id (from 1), the port for clients and the port for the other controllers."""

    id: int
    port: int
    controller_port: int


@dataclass(frozen=True)
class KafkaCluster:
    """Where a cluster lives and what it is made of. Nothing happens before `prepare`."""

    folder: Path
    nodes: tuple[KafkaNode, ...]
    jars: KafkaJars
    heap_megabytes: int = 256
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def node(self, node_id: int) -> KafkaNode:
        return next(node for node in self.nodes if node.id == node_id)

    def home(self, node: KafkaNode) -> Path:
        """The node's own folder: its configuration and its log."""
        return self.folder / f"node{node.id}"

    def prepare(self) -> None:
        """Write every node's configuration and format the storage of new ones. What is formatted keeps its data."""
        for node in self.nodes:
            self.home(node).mkdir(parents=True, exist_ok=True)
            lines = (f"{name}={value}\n" for name, value in self.properties(node).items())
            self._configuration(node).write_text("".join(lines), encoding="utf-8")
        new = [node for node in self.nodes if not (self.home(node) / "log" / "meta.properties").exists()]
        formatting = {node: self._format(node) for node in new}
        for node, process in formatting.items():
            output, _ = process.communicate()
            if process.returncode != 0:
                raise KafkaError(f"Kafka node {node.id}: its storage can't be formatted: {output.strip()}")

    def command(self, node: KafkaNode) -> list[str]:
        """The node's command line, to be run in any folder."""
        return java_command(
            self.jars,
            "kafka.Kafka",
            str(self._configuration(node)),
            heap_megabytes=self.heap_megabytes,
            flags=("-XX:+ExitOnOutOfMemoryError",),
        )

    def wait_until_serving(
        self,
        nodes: Iterable[KafkaNode] | None = None,
        *,
        seconds: float = 120,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Return when each of the nodes (all, if none are named) says that all of them take part in the cluster.

        `check` is called while waiting and may raise, for a process that has ended. Raises KafkaError after `seconds`.
        """
        wanted = tuple(nodes) if nodes is not None else self.nodes
        ids = {node.id for node in wanted}
        deadline = time.monotonic() + seconds
        for node in wanted:
            while not ids <= live_brokers(node.port):
                check()
                if time.monotonic() > deadline:
                    raise KafkaError(f"Kafka node {node.id} does not serve on port {node.port} after {seconds:g} s")
                time.sleep(0.05)

    def properties(self, node: KafkaNode) -> dict[str, str]:
        """server.properties: production's durability, a small machine's sizes."""
        copies = min(3, len(self.nodes))
        in_sync = max(1, copies - 1)
        return {
            "process.roles": "broker,controller",
            "node.id": str(node.id),
            "controller.quorum.voters": ",".join(f"{n.id}@127.0.0.1:{n.controller_port}" for n in self.nodes),
            "listeners": f"PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{node.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.home(node) / "log"),
            "default.replication.factor": str(copies),
            "min.insync.replicas": str(in_sync),
            "offsets.topic.replication.factor": str(copies),
            "transaction.state.log.replication.factor": str(copies),
            "transaction.state.log.min.isr": str(in_sync),
            "share.coordinator.state.topic.replication.factor": str(copies),
            "share.coordinator.state.topic.min.isr": str(in_sync),
            # A misspelt topic is an error, not a new topic.
            "auto.create.topics.enable": "false",
            "num.partitions": "8",
            "offsets.topic.num.partitions": "8",
            "transaction.state.log.num.partitions": "8",
            "share.coordinator.state.topic.num.partitions": "1",
            # The default of 128 MB is half of this heap.
            "log.cleaner.dedupe.buffer.size": str(4 * 1024 * 1024),
            "log.cleaner.threads": "1",
            "log.index.size.max.bytes": str(1024 * 1024),
            "num.network.threads": "2",
            "num.io.threads": "4",
            "num.replica.fetchers": "1",
            "background.threads": "2",
            # The first consumer of a group starts at once; the default waits 3 s for others.
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            # A killed broker is noticed in 3 s instead of 9.
            "broker.heartbeat.interval.ms": "500",
            "broker.session.timeout.ms": "3000",
            "controller.quorum.election.timeout.ms": "500",
            "controller.quorum.fetch.timeout.ms": "1000",
            **self.overrides,
        }

    def _configuration(self, node: KafkaNode) -> Path:
        return self.home(node) / "server.properties"

    def _format(self, node: KafkaNode) -> subprocess.Popen[str]:
        return subprocess.Popen(
            java_command(
                self.jars,
                "kafka.tools.StorageTool",
                *("format", f"--cluster-id={self._cluster_id()}", "--config", str(self._configuration(node))),
                "--ignore-formatted",
                heap_megabytes=128,
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _cluster_id(self) -> str:
        """The same for all nodes, also for those formatted later."""
        kept = self.folder / "cluster-id"
        if not kept.exists():
            kept.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("="), encoding="ascii")
        return kept.read_text(encoding="ascii")


def java_command(
    jars: KafkaJars, main: str, *arguments: str, heap_megabytes: int = 256, flags: tuple[str, ...] = ()
) -> list[str]:
    """The command line of one of Kafka's programs; with the ahead-of-time cache where there is one."""
    cache = aot_cache(jars)
    return [
        str(java()),
        "-Xms32m",
        f"-Xmx{heap_megabytes}m",
        "-Xss512k",
        # The quick compiler and the serial collector: a broker for tests and laptops is never hot for long enough to
        # win back what the optimising compiler costs while it starts.
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",
        "-Djava.awt.headless=true",
        # kafka-clients unmaps files by sun.misc.Unsafe, of which Java 25 would warn at every start.
        "--sun-misc-unsafe-memory-access=allow",
        # Adapters kept in Java 25's cache don't match those it needs, of which it warns; classes are what counts.
        "-XX:+UnlockDiagnosticVMOptions",
        "-XX:-AOTAdapterCaching",
        "-XX:-AOTStubCaching",
        *([f"-XX:AOTCache={cache}"] if cache.exists() else []),
        *flags,
        f"-Dlog4j2.configurationFile={_LOGGING}",
        "-cp",
        jars.class_path,
        main,
        *arguments,
    ]


def aot_cache(jars: KafkaJars) -> Path:
    """Where the ahead-of-time cache for these jars and this Java belongs, whether it exists or not."""
    key = hashlib.sha256(f"{java()}\n{jars.class_path}".encode()).hexdigest()[:12]
    return jars.folder / f"kafka-{key}.aot"


def make_aot_cache(
    jars: KafkaJars, ports: Mapping[str, int], scratch: Path, report: Callable[[str], None] = lambda _: None
) -> None:
    """Let a broker start once and keep its loaded classes, which halves the time and work of every later start.

    `ports` are free ones for "broker" and "controller"; `scratch` is an empty folder. Kafka runs without the cache,
    too: when Java can't make one, nothing is kept and nothing fails.
    """
    cache = aot_cache(jars)
    if cache.exists():
        return
    with exclusive(jars.folder):
        if cache.exists():
            return
        report("Kafka: preparing quick starts (15 seconds, once)")
        broker, controller = (ports[name] for name in _TRAINING_PORTS)
        cluster = KafkaCluster(scratch, (KafkaNode(1, broker, controller),), jars)
        cluster.prepare()
        fresh = cache.with_suffix(f".{os.getpid()}")
        main, configuration = "kafka.Kafka", str(cluster.home(cluster.nodes[0]) / "server.properties")
        command = java_command(jars, main, configuration, flags=(f"-XX:AOTCacheOutput={fresh}",))
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            cluster.wait_until_serving(check=lambda: _running(process))
            process.terminate()
            process.wait(timeout=120)
            if fresh.exists():
                fresh.replace(cache)
        except (KafkaError, subprocess.TimeoutExpired):
            report("Kafka: no quick starts, Java could not prepare them")
        finally:
            process.kill()
            process.wait()
            for left in jars.folder.glob(f"{fresh.name}*"):
                left.unlink()


def _running(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise KafkaError(f"Kafka ended with {process.returncode}")


def live_brokers(port: int, *, seconds: float = 1.0) -> frozenset[int]:
    """Ids of the brokers that take part in the cluster, by the node on this port; empty when it doesn't answer.

    One Metadata request without a topic, on a plain socket: it can be asked from anywhere, inside an event loop or not.
    """
    client = b"voz-devstack"
    header = struct.pack(">hhih", _METADATA_KEY, _METADATA_VERSION, 1, len(client)) + client
    request = header + struct.pack(">i", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), seconds) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = _exactly(connection, struct.unpack(">i", _exactly(connection, 4))[0])
        return frozenset(_broker_ids(answer))
    except (OSError, struct.error):
        return frozenset()


def _broker_ids(answer: bytes) -> Iterable[int]:
    """The answer: correlation id, then an array of brokers (id, host, port, rack or -1 as its length)."""
    (count,) = struct.unpack_from(">i", answer, 4)
    at = 8
    for _ in range(count):
        broker_id, host_length = struct.unpack_from(">ih", answer, at)
        at += 6 + host_length + 4
        (rack_length,) = struct.unpack_from(">h", answer, at)
        at += 2 + max(0, rack_length)
        yield broker_id


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise OSError("the connection was closed")
        received += chunk
    return received
