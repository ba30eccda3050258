"""News of changed figures, from the consumers to the streams, by PostgreSQL's NOTIFY: PostgresChanges."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import asyncpg
import structlog
from sqlalchemy import text

_CHANNEL = "voz_metrics_changed"
# Within the consumer's transaction: heard when it is committed, and only then.
NOTIFY = text("select pg_notify(:channel, tenant) from unnest(cast(:tenants as text[])) as tenant").bindparams(
    channel=_CHANNEL
)
_RECONNECT_SECONDS = 1.0
_log = structlog.get_logger(__name__)


class PostgresChanges:
    """Listens on one connection for everybody who watches. Without it, watchers look every second."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._ended = False

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop`, connecting again whenever the connection is lost. Then every watch ends."""
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await self._listen(stopped)
                self._changed_all()
                await asyncio.wait({stopped}, timeout=_RECONNECT_SECONDS)
        finally:
            stopped.cancel()
            self._ended = True
            self._changed_all()

    async def watch(self, tenant: str, *, at_least_every: timedelta) -> AsyncGenerator[None, None]:
        """See Changes."""
        changed = asyncio.Event()
        self._watchers[tenant].add(changed)
        try:
            while not self._ended:
                changed.clear()
                yield
                try:
                    async with asyncio.timeout(at_least_every.total_seconds()):
                        await changed.wait()
                except TimeoutError:
                    pass
        finally:
            self._watchers[tenant].discard(changed)
            if not self._watchers[tenant]:
                del self._watchers[tenant]

    async def _listen(self, stopped: asyncio.Task[Any]) -> None:
        lost = asyncio.Event()
        try:
            connection = await asyncpg.connect(
                self._dsn, timeout=10, server_settings={"application_name": "voz-stream"}
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            _log.warning("changes can't be listened to, looking every second instead", error=str(error))
            return
        waiting = asyncio.create_task(lost.wait())
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(_CHANNEL, self._heard)
            self._changed_all()
            await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            _log.warning("changes are no longer heard, connecting again", error=str(error))
        finally:
            waiting.cancel()
            connection.terminate()

    def _heard(self, _connection: object, _pid: int, _channel: str, tenant: object) -> None:
        for changed in self._watchers.get(str(tenant), ()):
            changed.set()

    def _changed_all(self) -> None:
        for watchers in self._watchers.values():
            for changed in watchers:
                changed.set()
