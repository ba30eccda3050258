"""Stand-ins for what connectors and announcements are kept in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from voz_ingest.domain.connection import Connection
from voz_ingest.domain.connector import ConnectorState, Key, Lease, Position
from voz_ingest.domain.evidence import without_credentials
from voz_ingest.ports import Announcement, LeaseLostError, UnknownConnectorError


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryAnnouncements:
    """Announcements in memory."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Announcement, datetime]] = {}
        self._count = 0

    async def add(self, connection: Connection, body: bytes, headers: Mapping[str, str]) -> None:
        """As the port says."""
        self._count += 1
        kept = {name: value.replace("\x00", "") for name, value in without_credentials(headers).items()}
        made = Announcement(
            connection.tenant, self._count, connection.id, connection.source, body, kept, _now(), attempts=0
        )
        self._kept[made.id] = (made, _now())

    async def take(self, limit: int, *, for_seconds: float) -> Sequence[Announcement]:
        """As the port says."""
        due = sorted((due, number) for number, (_, due) in self._kept.items() if due <= _now())[:limit]
        taken = [replace(self._kept[number][0], attempts=self._kept[number][0].attempts + 1) for _, number in due]
        for each in taken:
            self._kept[each.id] = (each, _now() + timedelta(seconds=for_seconds))
        return sorted(taken, key=lambda each: each.id)

    async def done(self, announcement: Announcement) -> None:
        """As the port says."""
        self._kept.pop(announcement.id, None)

    async def postpone(self, announcement: Announcement, error: str, *, seconds: float) -> None:
        """As the port says."""
        kept = self._kept.get(announcement.id)
        if kept:
            self._kept[announcement.id] = (kept[0], _now() + timedelta(seconds=seconds))

    async def pending(self) -> Mapping[str, int]:
        """As the port says."""
        return Counter(each.source for each, _ in self._kept.values())


@dataclass
class _Row:
    source: str
    position: Position = field(default_factory=dict)
    recent: bytes = b""
    paused: bool = False
    owner: str | None = None
    token: int = 0
    until: datetime | None = None
    due_at: datetime = field(default_factory=_now)
    failures: int = 0
    last_success_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None

    @property
    def free(self) -> bool:
        return self.until is None or self.until < _now()

    def take_away(self) -> None:
        self.token, self.owner, self.until = self.token + 1, None, None
        self.due_at, self.failures, self.last_error, self.last_error_at = _now(), 0, None, None


class MemoryConnectorStore:
    """ConnectorStore in memory."""

    def __init__(self) -> None:
        self.rows: dict[Key, _Row] = {}

    async def declare(self, connectors: Mapping[Key, str]) -> None:
        """As the port says."""
        for key, source in connectors.items():
            row = self.rows.setdefault(key, _Row(source))
            if row.source != source:
                row.source, row.position, row.recent = source, {}, b""
                row.take_away()

    async def claim(self, keys: Collection[Key], owner: str, *, limit: int, seconds: float) -> Sequence[Lease]:
        """As the port says."""
        found: list[Lease] = []
        for key in sorted(keys):
            row = self.rows.get(key)
            if row and row.free and not row.paused and len(found) < limit:
                row.owner, row.token, row.until = owner, row.token + 1, _now() + timedelta(seconds=seconds)
                due = max(0.0, (row.due_at - _now()).total_seconds())
                found.append(Lease(key, row.token, row.position, row.recent, row.failures, due))
        return found

    async def renew(self, tokens: Mapping[Key, int], *, seconds: float) -> Collection[Key]:
        """As the port says."""
        held = {key for key, token in tokens.items() if key in self.rows and self.rows[key].token == token}
        for key in held:
            self.rows[key].until = _now() + timedelta(seconds=seconds)
        return held

    async def save(self, lease: Lease, position: Position, recent: bytes | None, *, wait_seconds: float = 0.0) -> None:
        """As the port says."""
        row = self._held(lease)
        row.position, row.failures, row.last_success_at = position, 0, _now()
        row.recent = row.recent if recent is None else recent
        row.last_error, row.last_error_at, row.due_at = None, None, _now() + timedelta(seconds=wait_seconds)

    async def fail(self, lease: Lease, position: Position, error: str, *, failures: int, wait_seconds: float) -> None:
        """As the port says."""
        row = self._held(lease)
        row.position, row.failures, row.last_error = position, failures, error.replace("\x00", "")
        row.last_error_at, row.due_at = _now(), _now() + timedelta(seconds=wait_seconds)

    async def release(self, lease: Lease) -> None:
        """As the port says."""
        row = self.rows[lease.key]
        if row.token == lease.token:
            row.owner, row.until = None, None

    async def states(self) -> Sequence[ConnectorState]:
        """As the port says."""
        return [
            ConnectorState(
                tenant=tenant,
                connection_id=name,
                source=row.source,
                position=row.position,
                paused=row.paused,
                owner=None if row.free else row.owner,
                due_at=row.due_at,
                failures=row.failures,
                last_success_at=row.last_success_at,
                last_error=row.last_error,
                last_error_at=row.last_error_at,
            )
            for (tenant, name), row in sorted(self.rows.items())
        ]

    async def pause(self, key: Key, paused: bool) -> None:
        """As the port says."""
        row = self._known(key)
        row.paused = paused
        row.take_away()

    async def rewind(self, key: Key, position: Position) -> None:
        """As the port says."""
        row = self._known(key)
        row.position, row.recent = position, b""
        row.take_away()

    def _known(self, key: Key) -> _Row:
        if key not in self.rows:
            raise UnknownConnectorError(key[1])
        return self.rows[key]

    def _held(self, lease: Lease) -> _Row:
        row = self.rows[lease.key]
        if row.token != lease.token:
            raise LeaseLostError(lease.key[1])
        return row
