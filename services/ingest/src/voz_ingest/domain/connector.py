"""A connector: a connection that is asked from here, where it stands, and whose it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Position = Mapping[str, Any]
"""Where a connector stands, as JSON; empty at the very beginning."""
Key = tuple[str, str]
"""A connector's tenant and connection id."""

REMEMBERED = 10_000
"""Events of which a connector knows that it brought them: more than the pages that a source shows again."""
_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run a connector, for as long as nobody else has a newer `token`."""

    key: Key
    token: int
    position: Position
    recent: bytes
    failures: int
    due_in_seconds: float
    """How long the source is still to be left alone."""


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """What is known of a connector, for people."""

    tenant: str
    connection_id: str
    source: str
    position: Position
    paused: bool
    owner: str | None
    """Who holds its lease now."""
    due_at: datetime
    failures: int
    last_success_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None


class Recent:
    """The newest events that a connector brought, in eight bytes each: what a source shows again isn't sent again, and
    what its author takes back is known to have been here. The oldest are forgotten."""

    def __init__(self, packed: bytes = b"", *, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        self._digests = dict.fromkeys(
            packed[at : at + _DIGEST_BYTES] for at in range(0, len(packed) - _DIGEST_BYTES + 1, _DIGEST_BYTES)
        )
        self.changed = False

    def __contains__(self, event_id: str) -> bool:
        return _digest(event_id) in self._digests

    def add(self, event_ids: Iterable[str]) -> None:
        """Remember them as the newest."""
        for event_id in event_ids:
            digest = _digest(event_id)
            self._digests.pop(digest, None)
            self._digests[digest] = None
            self.changed = True
        for digest in list(self._digests)[: max(0, len(self._digests) - self._capacity)]:
            del self._digests[digest]

    def packed(self) -> bytes:
        """All of them, oldest first."""
        return b"".join(self._digests)


def _digest(event_id: str) -> bytes:
    return hashlib.blake2b(event_id.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).digest()
