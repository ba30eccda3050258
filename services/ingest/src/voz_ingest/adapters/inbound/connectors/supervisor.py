"""Which connectors this process runs: those that configuration declares, and that nobody else runs."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import structlog

from voz_ingest.adapters.inbound.connections import Connections, ConnectionsInForce
from voz_ingest.adapters.inbound.connectors.declared import Connectors, connectors_of
from voz_ingest.adapters.inbound.connectors.runner import Parts, Runner
from voz_ingest.domain.connector import Key
from voz_streamkit.backoff import pause
from voz_streamkit.errors import is_transient

_log = structlog.get_logger(__name__)
HEARTBEATS = 4
"""Renewals in the time of a lease: one or two may fail."""
MARGIN = 0.9
"""Of its time a lease is used: clocks run differently."""


class Supervisor:
    """Holds leases and runs what it holds.

    A lease that can't be renewed in time is given up here before another process can have it there, so no connector
    runs twice; and if a process is halted for longer than that, what it writes afterwards is refused.
    """

    def __init__(
        self,
        connections: ConnectionsInForce,
        parts: Parts,
        *,
        owner: str,
        lease_seconds: float,
        max_connectors: int,
        drain_seconds: float,
    ) -> None:
        self._connections, self._parts, self._owner = connections, parts, owner
        self._lease_seconds, self._max_connectors = lease_seconds, max_connectors
        self._drain_seconds = drain_seconds
        self._running: dict[Key, tuple[Runner, asyncio.Task[None]]] = {}
        self._known: Connections | None = None
        self._declared = Connectors()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then finish what is under way and give all leases back."""
        heartbeat = min(2.0, self._lease_seconds / HEARTBEATS)
        try:
            while not stop.is_set():
                try:
                    await self._beat()
                except Exception as error:
                    if not is_transient(error):
                        raise
                    _log.warning("leases can't be renewed", error=str(error)[:300])
                await pause(heartbeat, stop)
        finally:
            await self._drain(heartbeat)

    async def _beat(self) -> None:
        await self._renew()
        declared = await self._declare()
        for key, (runner, _) in self._running.items():
            if declared.by_key.get(key) != runner.declared:  # it comes back with its new configuration
                runner.stop.set()
        wanted = declared.by_key.keys() - self._running.keys()
        room = self._max_connectors - len(self._running)
        began = time.monotonic()
        for lease in await self._parts.store.claim(wanted, self._owner, limit=room, seconds=self._lease_seconds):
            runner = Runner(declared.by_key[lease.key], lease, self._parts)
            runner.held_until = began + self._lease_seconds * MARGIN
            self._running[lease.key] = (runner, asyncio.create_task(self._run(runner)))
            _log.info("connector runs here", connection=lease.key[1], token=lease.token)

    async def _declare(self) -> Connectors:
        """The connectors of the configuration in force, known to the store."""
        if self._connections.value is not self._known:
            known = self._connections.value
            declared = connectors_of(known, datetime.now(UTC))
            for key, reason in declared.off.items():
                _log.info("connection is not asked", connection=key[1], reason=reason)
            await self._parts.store.declare({key: each.source.name for key, each in declared.by_key.items()})
            self._known, self._declared = known, declared
        return self._declared

    async def _renew(self) -> None:
        began = time.monotonic()
        tokens = {key: runner.lease.token for key, (runner, _) in self._running.items()}
        held = await self._parts.store.renew(tokens, seconds=self._lease_seconds)
        for key, (runner, task) in self._running.items():
            if key in held:
                runner.held_until = began + self._lease_seconds * MARGIN
            elif key in tokens:
                _log.info("connector is taken away", connection=key[1])
                self._parts.metrics.leases_lost.inc()
                task.cancel()

    async def _run(self, runner: Runner) -> None:
        """Run it while its lease is certain, whatever becomes of the heartbeat, and forget it at its end."""
        running = asyncio.create_task(runner.run(), name=runner.lease.key[1])
        try:
            while not running.done():
                left = runner.held_until - time.monotonic()
                if left <= 0:
                    _log.warning("a lease has run out here", connection=runner.lease.key[1])
                    break
                await asyncio.wait({running}, timeout=left)
        finally:
            running.cancel()
            (ended,) = await asyncio.gather(running, return_exceptions=True)
            if isinstance(ended, Exception):
                _log.error("connector ended", connection=runner.lease.key[1], exc_info=ended)
            self._running.pop(runner.lease.key, None)

    async def _drain(self, heartbeat: float) -> None:
        """Let all finish what they are at, and their leases with them; end what doesn't."""
        for runner, _ in self._running.values():
            runner.stop.set()
        until = time.monotonic() + self._drain_seconds
        while self._running and time.monotonic() < until:
            tasks = [task for _, task in self._running.values()]
            await asyncio.wait(tasks, timeout=min(heartbeat, max(until - time.monotonic(), 0.0)))
            try:
                await self._renew()
            except Exception as error:
                if not is_transient(error):
                    raise
                break
        left = list(self._running.values())
        for _, task in left:
            task.cancel()
        await asyncio.gather(*(task for _, task in left), return_exceptions=True)
