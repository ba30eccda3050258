"""Values that may be used once: in this process, or in PostgreSQL for all of them."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from voz_ingest.domain.connection import Connection

MAX_KEPT = 100_000
_CLAIM = text(
    "insert into ingest.webhook_nonce as known (tenant, connection_id, nonce, digest)"
    " values (:tenant, :connection, :nonce, :digest)"
    " on conflict (tenant, connection_id, nonce) do update set digest = known.digest"
    " returning known.digest = :digest"
)
_FORGET = text("delete from ingest.webhook_nonce where seen_at < now() - interval '2 days'")
FORGET_EVERY = 1000


class ProcessNonces:
    """Nonces of one process, the newest hundred thousand: enough for one replica, none after a restart."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str, str], bytes] = {}

    async def claim(self, connection: Connection, nonce: str, digest: bytes) -> bool:
        """As the port says."""
        known = self._used.setdefault((connection.tenant, connection.id, nonce), digest)
        if len(self._used) > MAX_KEPT:
            del self._used[next(iter(self._used))]
        return known == digest


class PostgresNonces:
    """Nonces in PostgreSQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._claims = 0

    async def claim(self, connection: Connection, nonce: str, digest: bytes) -> bool:
        """As the port says."""
        values = {"tenant": connection.tenant, "connection": connection.id, "nonce": nonce, "digest": digest}
        async with self._engine.begin() as database:
            if self._claims % FORGET_EVERY == 0:
                await database.execute(_FORGET)
            self._claims += 1
            return bool(await database.scalar(_CLAIM, values))
