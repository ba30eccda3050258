"""The connections file (VOZ_CONNECTIONS_FILE): which sources send here or are asked, and what each tenant may send.

```yaml
connections:
  - id: zendesk-es
    tenant: demo
    source: zendesk
    secrets: ["env:ZENDESK_SECRET", "env:ZENDESK_SECRET_OLD"]   # both valid while one rotates
    own: ["agente@acme.example"]
    options: {}
tenants:
  - id: demo
    events_per_second: 200
    burst_events: 1000
    events_per_day: 1000000
    pseudonym_key: "file:/run/secrets/pseudonyms"
```

A value `env:NAME` or `file:PATH` is read from there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from voz_ingest.adapters.inbound import sources
from voz_ingest.domain.connection import Connection, TenantLimits
from voz_streamkit.metrics import Metrics
from voz_streamkit.reload import ReloadingFile
from voz_streamkit.yaml_nodes import compose, mapping, number, open_mapping, refuse, scalar, sequence, text

_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_ID_MEANT = "an id of letters, digits, `.`, `_` and `-`, at most 64"
MAX_VALUE_BYTES = 1 << 20
"""The largest file that a `file:` value may name."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """What is said of one tenant. An empty `pseudonym_key`: handles are kept as they come."""

    events_per_second: float | None = None
    burst_events: float | None = None
    events_per_day: int | None = None
    pseudonym_key: str = field(default="", repr=False)

    def limits(self, default: TenantLimits) -> TenantLimits:
        """What the tenant may send, where nothing is said the installation's default."""
        return TenantLimits(
            self.events_per_second or default.events_per_second,
            self.burst_events or default.burst_events,
            self.events_per_day if self.events_per_day is not None else default.events_per_day,
        )


_NOTHING_SAID = Tenant()


@dataclass(frozen=True, slots=True)
class Connections:
    """The file's content."""

    by_id: Mapping[str, Connection] = field(default_factory=dict)
    tenants: Mapping[str, Tenant] = field(default_factory=dict)

    def tenant(self, name: str) -> Tenant:
        """What is said of a tenant, whether it is named or not."""
        return self.tenants.get(name, _NOTHING_SAID)


class NoConnections:
    """Stands for the file where none is named."""

    value = Connections()


ConnectionsInForce = ReloadingFile[Connections] | NoConnections


def connections_file(path: Path, metrics: Metrics) -> ReloadingFile[Connections]:
    """The file, read again when it changes. Raises FileError when it can't be used."""
    return ReloadingFile(path, partial(parse_connections, folder=path.parent), metrics)


def parse_connections(written: str, folder: Path = Path()) -> Connections:
    """Read the file's text; relative paths in it start at `folder`. Raises FileError with the line."""
    document = mapping(compose(written), ("connections", "tenants"))
    found: dict[str, Connection] = {}
    for node in _items(document.get("connections")):
        connection = _connection(node, folder)
        if connection.id in found:
            refuse(node, f"a second connection `{connection.id}`")
        found[connection.id] = connection
    tenants: dict[str, Tenant] = {}
    for node in _items(document.get("tenants")):
        name, tenant = _tenant(node, folder)
        if name in tenants:
            refuse(node, f"a second tenant `{name}`")
        tenants[name] = tenant
    return Connections(found, tenants)


def _items(node: yaml.Node | None) -> Sequence[yaml.Node]:
    """The items of a list; `connections: []` is one without any."""
    if node is None or (isinstance(node, yaml.SequenceNode) and not node.value):
        return ()
    return sequence(node)


def _connection(node: yaml.Node, folder: Path) -> Connection:
    fields = mapping(node, ("id", "tenant", "source", "secrets", "own", "options"), ("id", "tenant", "source"))
    name = text(fields["source"])
    if name not in sources.names():
        refuse(fields["source"], f"unknown source `{name}`; known: {', '.join(sources.names())}")
    source = sources.load(name)
    secrets = tuple(str(_value(each, folder)) for each in _items(fields.get("secrets")))
    if not secrets and not source.connects and not source.needs:
        refuse(node, "`secrets` are missing: what comes without a valid signature, or secret in its URL, is refused")
    connection = Connection(
        id=text(fields["id"], _ID, _ID_MEANT),
        tenant=text(fields["tenant"]),
        source=name,
        secrets=secrets,
        own=frozenset(str(_value(each, folder)) for each in _items(fields.get("own"))),
        options=_options(fields["options"], folder) if "options" in fields else {},
    )
    if source.check:
        try:
            source.check(connection.options)
        except ValueError as error:
            refuse(fields.get("options", node), f"{name} can't use these options: {error}")
    return connection


def _options(node: yaml.Node, folder: Path) -> dict[str, Any]:
    found = {name: _tree(value, folder) for name, value in open_mapping(node).items()}
    path = found.pop("mapping_file", None)
    if path is not None:
        found["mapping"] = _yaml_file(node, folder / str(path))
    return found


def _yaml_file(node: yaml.Node, path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        refuse(node, f"mapping_file: {error}")


def _tree(node: yaml.Node, folder: Path) -> Any:
    """A value of any shape, with what `env:` and `file:` name in place of them."""
    if isinstance(node, yaml.MappingNode):
        return {name: _tree(value, folder) for name, value in open_mapping(node).items()}
    if isinstance(node, yaml.SequenceNode):
        return [_tree(item, folder) for item in node.value]
    return _value(node, folder)


def _value(node: yaml.Node, folder: Path) -> Any:
    value = scalar(node)
    if not isinstance(value, str):
        return value
    kind, _, name = value.partition(":")
    if kind == "env":
        found = os.environ.get(name, "")
        if not found:
            refuse(node, f"the environment has no {name}")
        return found
    if kind == "file":
        return _secret_file(node, folder / name)
    return value


def _secret_file(node: yaml.Node, path: Path) -> str:
    try:
        if path.stat().st_size > MAX_VALUE_BYTES:
            refuse(node, f"{path} is larger than {MAX_VALUE_BYTES} bytes")
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        refuse(node, f"can't be read: {error}")
    if not found:
        refuse(node, f"{path} is empty")
    return found


def _tenant(node: yaml.Node, folder: Path) -> tuple[str, Tenant]:
    known = ("id", "events_per_second", "burst_events", "events_per_day", "pseudonym_key")
    fields = mapping(node, known, ("id",))
    for name in known[1:4]:
        if name in fields and number(fields[name]) <= 0:
            refuse(fields[name], "expected a number above 0")
    key = fields.get("pseudonym_key")
    return text(fields["id"]), Tenant(
        events_per_second=_optional(fields.get("events_per_second")),
        burst_events=_optional(fields.get("burst_events")),
        events_per_day=int(number(fields["events_per_day"])) if "events_per_day" in fields else None,
        pseudonym_key=str(_value(key, folder)) if key is not None else "",
    )


def _optional(node: yaml.Node | None) -> float | None:
    return None if node is None else number(node)
