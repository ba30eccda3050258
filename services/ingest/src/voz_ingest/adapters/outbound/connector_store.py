"""Connectors' positions and leases in PostgreSQL.

Every write of a running connector is one statement that names its lease's token; whoever takes the connector over, or
sets its position, makes the token grow. So a stale owner changes nothing, whenever its statement arrives. Each
statement is a transaction of its own, which PostgreSQL ends by itself: a process that is halted leaves no lock behind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Update, bindparam, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from voz_ingest.adapters.outbound.tables import connector
from voz_ingest.domain.connector import ConnectorState, Key, Lease, Position
from voz_ingest.ports import LeaseLostError, UnknownConnectorError

MAX_ERROR_CHARS = 1000
_KEY = tuple_(connector.c.tenant, connector.c.connection_id)
_IN_SECONDS = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, bindparam("seconds"))
_FREE = (connector.c.lease_until.is_(None)) | (connector.c.lease_until < func.now())


class PostgresConnectorStore:
    """ConnectorStore over the table `ingest.connector`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def declare(self, connectors: Mapping[Key, str]) -> None:
        """As the port says."""
        if not connectors:
            return
        rows = [
            {"tenant": tenant, "connection_id": name, "source": source}
            for (tenant, name), source in sorted(connectors.items())
        ]
        statement = insert(connector).values(rows)
        changed = statement.on_conflict_do_update(
            index_elements=["tenant", "connection_id"],
            # Another source's position means nothing: it begins anew.
            set_={"source": statement.excluded.source, "position": {}, "recent": b"", **_TAKEN_AWAY},
            where=connector.c.source != statement.excluded.source,
        )
        async with self._engine.connect() as connection:
            await connection.execute(changed)

    async def claim(self, keys: Collection[Key], owner: str, *, limit: int, seconds: float) -> Sequence[Lease]:
        """As the port says."""
        if not keys or limit < 1:
            return []
        free = (
            select(connector.c.tenant, connector.c.connection_id)
            .where(_KEY.in_(sorted(keys)), _FREE, ~connector.c.paused)
            .order_by(connector.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        taken = (
            update(connector)
            .where(_KEY.in_(free))
            .values(lease_owner=owner, lease_token=connector.c.lease_token + 1, lease_until=_IN_SECONDS)
            .returning(
                connector.c.tenant,
                connector.c.connection_id,
                connector.c.lease_token,
                connector.c.position,
                connector.c.recent,
                connector.c.failures,
                func.extract("epoch", connector.c.due_at - func.now()).label("due_in"),
            )
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(taken, {"seconds": seconds})).all()
        return [
            Lease(
                key=(row.tenant, row.connection_id),
                token=row.lease_token,
                position=row.position,
                recent=bytes(row.recent),
                failures=row.failures,
                due_in_seconds=max(0.0, float(row.due_in)),
            )
            for row in rows
        ]

    async def renew(self, tokens: Mapping[Key, int], *, seconds: float) -> Collection[Key]:
        """As the port says."""
        if not tokens:
            return set()
        held = tuple_(connector.c.tenant, connector.c.connection_id, connector.c.lease_token)
        renewed = (
            update(connector)
            .where(held.in_([(*key, token) for key, token in sorted(tokens.items())]))
            .values(lease_until=_IN_SECONDS)
            .returning(connector.c.tenant, connector.c.connection_id)
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(renewed, {"seconds": seconds})
            return {(row.tenant, row.connection_id) for row in rows}

    async def save(self, lease: Lease, position: Position, recent: bytes | None, *, wait_seconds: float = 0.0) -> None:
        """As the port says."""
        values: dict[str, Any] = {"position": dict(position), "failures": 0, "last_success_at": func.now()}
        values |= {} if recent is None else {"recent": recent}
        await self._write(lease, {**values, "last_error": None, "last_error_at": None}, wait_seconds)

    async def fail(self, lease: Lease, position: Position, error: str, *, failures: int, wait_seconds: float) -> None:
        """As the port says."""
        said = error.replace("\x00", "")[:MAX_ERROR_CHARS]
        values = {"position": dict(position), "failures": failures, "last_error": said, "last_error_at": func.now()}
        await self._write(lease, values, wait_seconds)

    async def release(self, lease: Lease) -> None:
        """As the port says."""
        async with self._engine.connect() as connection:
            await connection.execute(_held(lease).values(lease_owner=None, lease_until=None))

    async def states(self) -> Sequence[ConnectorState]:
        """As the port says."""
        known = select(connector, (~_FREE).label("held")).order_by(connector.c.tenant, connector.c.connection_id)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(known)).all()
        return [
            ConnectorState(
                tenant=row.tenant,
                connection_id=row.connection_id,
                source=row.source,
                position=row.position,
                paused=row.paused,
                owner=row.lease_owner if row.held else None,
                due_at=row.due_at,
                failures=row.failures,
                last_success_at=row.last_success_at,
                last_error=row.last_error,
                last_error_at=row.last_error_at,
            )
            for row in rows
        ]

    async def pause(self, key: Key, paused: bool) -> None:
        """As the port says."""
        # Whoever runs it begins afresh: resumed, it is asked at once, whatever it was waiting for.
        await self._command(key, {"paused": paused, **_TAKEN_AWAY})

    async def rewind(self, key: Key, position: Position) -> None:
        """As the port says."""
        await self._command(key, {"position": dict(position), "recent": b"", **_TAKEN_AWAY})

    async def _write(self, lease: Lease, values: Mapping[str, Any], wait_seconds: float) -> None:
        statement = _held(lease).values(**values, due_at=_IN_SECONDS, updated_at=func.now())
        async with self._engine.connect() as connection:
            written = await connection.execute(statement, {"seconds": wait_seconds})
        if written.rowcount != 1:
            raise LeaseLostError(f"connector {lease.key[1]}: another one has it, or its position was set")

    async def _command(self, key: Key, values: Mapping[str, Any]) -> None:
        tenant, name = key
        this = (connector.c.tenant == tenant) & (connector.c.connection_id == name)
        async with self._engine.connect() as connection:
            changed = await connection.execute(update(connector).where(this).values(**values, updated_at=func.now()))
        if changed.rowcount != 1:
            raise UnknownConnectorError(name)


_TAKEN_AWAY: Mapping[str, Any] = {
    "lease_token": connector.c.lease_token + 1,
    "lease_owner": None,
    "lease_until": None,
    "due_at": text("now()"),
    "failures": 0,
    "last_error": None,
    "last_error_at": None,
}
"""What makes whoever runs it stop, and whoever takes it next begin afresh."""


def _held(lease: Lease) -> Update:
    tenant, name = lease.key
    this = (connector.c.tenant == tenant) & (connector.c.connection_id == name)
    return update(connector).where(this, connector.c.lease_token == lease.token)
