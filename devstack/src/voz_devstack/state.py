"""What a stack leaves on disk for other programs and for its own next start: ports, development keys, `stack.json`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from voz_devstack.jars import checkout
from voz_devstack.places import PLACES, connections
from voz_devstack.ports import allocate_ports, is_free
from voz_devstack.stackfile import write_private
from voz_streamkit.http.auth import SCOPES, hash_key, new_key

TENANT = "demo"
# Ports by the name that also makes their variable: `router-ops` is VOZ_ROUTER_OPS_PORT.
PORTS = (
    "kafka",
    "kafka-controller",
    "postgres",
    "ingest",
    "ingest-connect",
    "enrich",
    "router",
    "router-ops",
    "metrics-api",
    "metrics-api-ops",
)


class StateError(Exception):
    """What was named can't be used. The text says what to change."""


@dataclass(frozen=True)
class StateFolder:
    """Everything that one stack keeps. Two checkouts have two of them."""

    path: Path

    @classmethod
    def default(cls, environment: Mapping[str, str]) -> StateFolder:
        """VOZ_STATE_DIR, or `.voz` of the checkout."""
        named = environment.get("VOZ_STATE_DIR")
        return cls(Path(named).absolute() if named else checkout() / ".voz")

    @property
    def stack_file(self) -> Path:
        return self.path / "stack.json"

    @property
    def supervisor(self) -> Path:
        return self.path / "supervisor"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def kafka(self) -> Path:
        return self.path / "kafka"

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def erased_by_clean(self) -> Sequence[Path]:
        """What holds data or speaks of them; downloads and ports stay."""
        names = ("stack.json", "keys.yaml", "api-key", "connections.yaml")
        return (self.kafka, self.postgres, self.logs, self.supervisor, *(self.path / name for name in names))

    def ports(self, environment: Mapping[str, str]) -> dict[str, int]:
        """A port for each name: the one that a variable names, else that of the last start, else a free one."""
        named = {name: port for name in PORTS if (port := _named_port(name, environment)) is not None}
        kept = self.path / "ports.json"
        known: dict[str, int] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        found = allocate_ports([name for name in PORTS if name not in named], {**known, **named}) | named
        self.path.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return found

    def keys(self, environment: Mapping[str, str]) -> tuple[Path, str | None]:
        """The keys file and a key with all scopes.

        VOZ_KEYS_FILE with VOZ_API_KEY (the key isn't known without it), or a development key of this stack's own.
        """
        named = environment.get("VOZ_KEYS_FILE")
        if named:
            if not Path(named).is_file():
                raise StateError(f"VOZ_KEYS_FILE names {named}, which is no file")
            return Path(named).absolute(), environment.get("VOZ_API_KEY")
        secret, file = self.path / "api-key", self.path / "keys.yaml"
        if not (secret.exists() and file.exists()):
            key = new_key()
            entry = {"id": "development", "tenant": TENANT, "sha256": hash_key(key), "scopes": [*SCOPES]}
            file.write_text(yaml.safe_dump({"keys": [entry]}, sort_keys=False), encoding="utf-8")
            write_private(secret, key + "\n")
        return file, secret.read_text(encoding="utf-8").strip()

    def connections(self, environment: Mapping[str, str]) -> tuple[Path, Mapping[str, str]]:
        """The connections file, and the secrets of the development connections in it, by connection.

        VOZ_CONNECTIONS_FILE, which has none of those, or one of this stack's own with a secret for each place where
        simulated customers speak.
        """
        named = environment.get("VOZ_CONNECTIONS_FILE")
        if named:
            if not Path(named).is_file():
                raise StateError(f"VOZ_CONNECTIONS_FILE names {named}, which is no file")
            return Path(named).absolute(), {}
        file = self.path / "connections.yaml"
        if not file.exists():
            fresh = {place.connection: secrets.token_urlsafe(24) for place in PLACES}
            write_private(file, yaml.safe_dump({"connections": connections(TENANT, fresh)}, sort_keys=False))
        written = yaml.safe_load(file.read_text(encoding="utf-8"))["connections"]
        return file, {each["id"]: each["secrets"][0] for each in written}


def _named_port(name: str, environment: Mapping[str, str]) -> int | None:
    variable = f"VOZ_{name.replace('-', '_').upper()}_PORT"
    said = environment.get(variable)
    if not said:
        return None
    if not said.isdecimal() or not 0 < int(said) < 65536:
        raise StateError(f"{variable} must be a port, 1 to 65535, not {said!r}")
    if not is_free(int(said)):
        raise StateError(f"{variable} names port {said}, on which something listens already")
    return int(said)
