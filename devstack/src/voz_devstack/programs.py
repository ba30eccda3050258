"""The programs of the pipeline: what each is started with and how one sees that it is ready."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voz_devstack.kafka import KafkaCluster, KafkaNode
from voz_devstack.postgres import PostgresCluster
from voz_devstack.stackfile import STACK_FILE
from voz_devstack.state import StateFolder
from voz_devstack.supervise import Program

KAFKA, POSTGRES = "kafka", "postgres"
INFRASTRUCTURE, SERVICES = "infrastructure", "services"
_BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Service:
    """One process of one service. `port` is the name of its port, `variable` the setting that takes it."""

    name: str
    command: tuple[str, ...]
    port: str
    variable: str


ALL_SERVICES: Sequence[Service] = (
    Service("ingest", ("voz-ingest", "serve"), "ingest", "VOZ_INGEST_PORT"),
    Service("ingest-connect", ("voz-ingest", "connect"), "ingest-connect", "VOZ_INGEST_CONNECT_PORT"),
    Service("enrich", ("voz-enrich", "worker"), "enrich", "VOZ_ENRICH_PORT"),
    Service("router-serve", ("voz-router", "serve"), "router", "VOZ_ROUTER_PORT"),
    Service("router-consume", ("voz-router", "consume"), "router-ops", "VOZ_ROUTER_OPS_PORT"),
    Service("metrics-serve", ("voz-metrics-api", "serve"), "metrics-api", "VOZ_METRICS_API_PORT"),
    Service("metrics-consume", ("voz-metrics-api", "consume"), "metrics-api-ops", "VOZ_METRICS_API_OPS_PORT"),
)
TOPICS: tuple[str, ...] = ("voz-topics", "apply")


def command_line(command: Sequence[str]) -> list[str]:
    """A command of this installation, whatever the PATH says."""
    return [str(_BIN / command[0]), *command[1:]]


def url(ports: Mapping[str, int], name: str) -> str:
    return f"http://127.0.0.1:{ports[name]}"


def kafka_program(cluster: KafkaCluster, node: KafkaNode, state: StateFolder) -> Program:
    """One broker."""
    return Program(KAFKA, tuple(cluster.command(node)), state.logs / "kafka.log", group=INFRASTRUCTURE, stop_seconds=20)


def postgres_program(cluster: PostgresCluster, state: StateFolder) -> Program:
    """The database server; SIGINT makes it stop at once and cleanly."""
    command, log = tuple(cluster.command()), state.logs / "postgres.log"
    return Program(POSTGRES, command, log, _known(state), group=INFRASTRUCTURE, stop_signal="INT", stop_seconds=20)


def service_program(
    service: Service, ports: Mapping[str, int], environment: Mapping[str, str], state: StateFolder
) -> Program:
    """One service process with its own port and what all of them share."""
    return Program(
        service.name,
        tuple(command_line(service.command)),
        state.logs / f"{service.name}.log",
        {**_known(state), **environment, service.variable: str(ports[service.port])},
        group=SERVICES,
    )


def shared_environment(
    *, kafka_bootstrap: str, postgres_dsn: str, keys_file: Path, connections_file: Path, policy_file: str | None
) -> dict[str, str]:
    """What every service of the stack is told; all else comes from the caller's environment or is a default."""
    found = {
        "VOZ_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "VOZ_POSTGRES_DSN": postgres_dsn,
        "VOZ_KEYS_FILE": str(keys_file),
        "VOZ_CONNECTIONS_FILE": str(connections_file),
        # A killed worker comes back under its name and gets its partitions at once.
        "VOZ_ENRICH_INSTANCE_ID": "devstack-1",
    }
    return found | ({"VOZ_POLICY_FILE": str(Path(policy_file).absolute())} if policy_file else {})


def _known(state: StateFolder) -> dict[str, str]:
    """Every process stands in `stack.json`, also after a restart."""
    return {STACK_FILE: str(state.stack_file)}
