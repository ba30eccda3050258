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
) -> None:
    """Serve until `stop`. Then: not ready, `drain_seconds` for load balancers to notice, open requests end.

    Raises OSError when the address can't be bound.
    """
    listener = socket.create_server((host, port), backlog=2048, reuse_port=False)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        loop="none",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=timeout_seconds,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
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
        listener.close()
