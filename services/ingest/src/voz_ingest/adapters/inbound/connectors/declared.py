"""Which connections are connectors, and where each may ask."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.inbound.connections import Connections
from voz_ingest.adapters.inbound.sources import MissingOptionError, PullState, Source
from voz_ingest.adapters.outbound.guard import host_of
from voz_ingest.domain.connection import Connection
from voz_ingest.domain.connector import Key

OWN_URLS = ("base_url", "streaming_url")


@dataclass(frozen=True, slots=True)
class Declared:
    """A connection that is to be asked."""

    connection: Connection
    source: Source

    @property
    def key(self) -> Key:
        """Under which its position is kept."""
        return (self.connection.tenant, self.connection.id)

    @property
    def hosts(self) -> Collection[str]:
        """Hosts that may be asked for it."""
        return allowed_hosts(self.connection, self.source)

    @property
    def poll_seconds(self) -> float:
        """How long to wait before the source is asked again."""
        said = self.connection.options.get("poll_seconds")
        usable = isinstance(said, (int, float)) and not isinstance(said, bool) and said > 0
        return float(said) if usable and isinstance(said, (int, float)) else self.source.poll_seconds


@dataclass(frozen=True, slots=True)
class Connectors:
    """The connectors that configuration declares, and why other connections that could be asked aren't."""

    by_key: Mapping[Key, Declared] = field(default_factory=dict)
    off: Mapping[Key, str] = field(default_factory=dict)


def connectors_of(connections: Connections, now: datetime) -> Connectors:
    """Every connection whose source can be asked, and which says enough to be asked, unless its option `pull` is
    false."""
    found: dict[Key, Declared] = {}
    off: dict[Key, str] = {}
    for connection in connections.by_id.values():
        source = sources.load(connection.source)
        if not source.connects:
            continue
        declared = Declared(connection, source)
        reason = _reason_to_leave(declared, now)
        if reason is None:
            found[declared.key] = declared
        else:
            off[declared.key] = reason
    return Connectors(found, off)


def allowed_hosts(connection: Connection, source: Source) -> Collection[str]:
    """The hosts that the source's module pins, and those of the connection's own URLs."""
    own = {host_of(connection.options.get(name)) for name in OWN_URLS}
    return source.hosts | {host for host in own if host}


def _reason_to_leave(declared: Declared, now: datetime) -> str | None:
    connection, source = declared.connection, declared.source
    if connection.options.get("pull") is False:
        return "its option `pull` is false"
    state = PullState({}, connection.options, connection.secrets, now, connection.own)
    try:
        for ask in (source.streams, source.pull, source.authorise):
            if ask is not None:
                ask(state)
    except MissingOptionError as error:
        return error.detail
    except ValueError as error:
        return f"its options can't be used: {error}"
    return None
