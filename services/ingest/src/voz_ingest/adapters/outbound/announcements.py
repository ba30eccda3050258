"""Announcements in PostgreSQL: taken by moving the moment at which they are due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from voz_ingest.adapters.outbound.tables import announcement
from voz_ingest.domain.connection import Connection
from voz_ingest.domain.evidence import without_credentials
from voz_ingest.ports import Announcement

MAX_ERROR_CHARS = 1000
_IN_SECONDS = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, bindparam("seconds"))


class PostgresAnnouncements:
    """Announcements over the table `ingest.announcement`.

    Every call is one statement, a transaction of its own. Whoever takes one holds no lock while the source is asked:
    one that vanishes meanwhile gives it back by the clock, and two that have it bring the same events.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def add(self, connection: Connection, body: bytes, headers: Mapping[str, str]) -> None:
        """As the port says."""
        row = {
            "tenant": connection.tenant,
            "connection_id": connection.id,
            "source": connection.source,
            "body": body,
            "headers": {
                name: value.replace("\x00", "") for name, value in without_credentials(headers).items()
            },  # jsonb holds no NUL
        }
        async with self._engine.connect() as database:
            await database.execute(insert(announcement).values(row))

    async def take(self, limit: int, *, for_seconds: float) -> Sequence[Announcement]:
        """As the port says."""
        due = (
            select(announcement.c.tenant, announcement.c.id)
            .where(announcement.c.due_at <= func.now())
            .order_by(announcement.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        taken = (
            update(announcement)
            .where(tuple_(announcement.c.tenant, announcement.c.id).in_(due))
            .values(due_at=_IN_SECONDS, attempts=announcement.c.attempts + 1)
            .returning(announcement)
        )
        async with self._engine.connect() as database:
            rows = (await database.execute(taken, {"seconds": for_seconds})).all()
        found = [
            Announcement(
                tenant=row.tenant,
                id=row.id,
                connection_id=row.connection_id,
                source=row.source,
                body=bytes(row.body),
                headers=row.headers,
                received_at=row.received_at,
                attempts=row.attempts,
            )
            for row in rows
        ]
        return sorted(found, key=lambda each: each.id)

    async def done(self, announcement_: Announcement) -> None:
        """As the port says."""
        this = (announcement.c.tenant == announcement_.tenant) & (announcement.c.id == announcement_.id)
        async with self._engine.connect() as database:
            await database.execute(delete(announcement).where(this))

    async def postpone(self, announcement_: Announcement, error: str, *, seconds: float) -> None:
        """As the port says."""
        this = (announcement.c.tenant == announcement_.tenant) & (announcement.c.id == announcement_.id)
        said = error.replace("\x00", "")[:MAX_ERROR_CHARS]
        async with self._engine.connect() as database:
            await database.execute(
                update(announcement).where(this).values(due_at=_IN_SECONDS, last_error=said), {"seconds": seconds}
            )

    async def pending(self) -> Mapping[str, int]:
        """As the port says."""
        counted = select(announcement.c.source, func.count()).group_by(announcement.c.source)
        async with self._engine.connect() as database:
            return {str(source): int(count) for source, count in await database.execute(counted)}
