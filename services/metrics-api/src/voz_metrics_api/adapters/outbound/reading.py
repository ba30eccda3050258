"""Connections for reading: bounded in time, and clear about a database that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voz_metrics_api.ports import UnavailableError
from voz_streamkit.errors import is_transient


@dataclass(frozen=True, slots=True)
class Reader:
    """Gives connections of `engine`, each for at most `timeout_seconds`."""

    engine: AsyncEngine
    timeout_seconds: float

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection. Raises UnavailableError when PostgreSQL is away or takes too long, within the block as well."""
        try:
            async with asyncio.timeout(self.timeout_seconds), self.engine.connect() as connection:
                yield connection
        except Exception as error:
            if is_transient(error):
                raise UnavailableError(f"{type(error).__name__}: {error}") from error
            raise

    async def check(self) -> None:
        """Returns when the database answers."""
        async with self.connection() as connection:
            await connection.execute(text("select 1"))
