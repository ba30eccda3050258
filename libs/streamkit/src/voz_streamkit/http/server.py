"""Serving HTTP inside a process that also does other work, with a drain before the end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from voz_streamkit.health import Health
from voz_streamkit.http.hot import HotRoutes
from voz_streamkit.http.protocol import BoundedProtocol, Limits

_log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """Signals belong to the process (`run_service`), not to one of its servers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    stop: asyncio.Event,
    health: Health,
    drain_seconds: float = 0.0,
    timeout_seconds: int = 15,
    hot: HotRoutes | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve until `stop`. Then: not ready, `drain_seconds` for load balancers to notice, open requests end.

    `hot`: routes of the app that go the short way. Raises OSError when the address can't be bound.
    """
    listener = socket.create_server((host, port), backlog=2048, reuse_port=False)
    bounds = limits or Limits()
    protocol = type("Protocol", (BoundedProtocol,), {"limits": bounds, "hot": hot})
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        loop="none",
        timeout_graceful_shutdown=timeout_seconds,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    sweeping = asyncio.create_task(_sweep(server, bounds.sweep_seconds))
    stopped = asyncio.create_task(stop.wait())
    _log.info("serving", host=host, port=port)
    try:
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            health.drain()
            await asyncio.sleep(drain_seconds)
            server.should_exit = True
        await serving
    finally:
        stopped.cancel()
        sweeping.cancel()
        listener.close()


async def _sweep(server: uvicorn.Server, every_seconds: float) -> None:
    """Look at every connection's limits, again and again."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    while True:
        await asyncio.sleep(every_seconds)
        now = loop.time()
        for connection in list(server.server_state.connections):
            if isinstance(connection, BoundedProtocol):
                connection.sweep(now - before)
        before = now
