"""The HTTP server against clients that are slow, greedy or idle, on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request

from voz_devstack.ports import allocate_ports
from voz_streamkit.health import Health
from voz_streamkit.http.app import create_app
from voz_streamkit.http.protocol import Limits
from voz_streamkit.http.server import serve
from voz_streamkit.metrics import Metrics

pytestmark = pytest.mark.integration
LIMITS = Limits(
    max_connections=4,
    head_seconds=0.3,
    max_head_bytes=4096,
    body_seconds=0.3,
    min_body_bytes_per_second=1000.0,
    idle_seconds=0.6,
    sweep_seconds=0.05,
)


def make_app() -> FastAPI:
    app = create_app(title="t", version="1", description="d", health=Health(), metrics=Metrics("t"))

    @app.post("/echo")
    async def echo(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    return app


@pytest.fixture
async def port() -> AsyncIterator[int]:
    number, stop = allocate_ports(("http",))["http"], asyncio.Event()
    serving = asyncio.create_task(
        serve(make_app(), host="127.0.0.1", port=number, stop=stop, health=Health(), limits=LIMITS)
    )
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", number)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                break
    yield number
    stop.set()
    await serving


async def said(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """What the server answers to parts sent with pauses between, until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = asyncio.create_task(reader.read())
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
    except ConnectionError:
        pass
    async with asyncio.timeout(20):
        answer = await answered
    writer.close()
    return answer


HEAD = b"POST /echo HTTP/1.1\r\nHost: voz\r\nContent-Type: text/plain\r\n"


async def test_headers_that_trickle_in_are_ended(port: int) -> None:
    answer = await said(port, HEAD, *[b"X-More: 1\r\n"] * 8, pause=0.1)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer


async def test_a_body_that_trickles_in_is_ended(port: int) -> None:
    answer = await said(port, HEAD + b"Content-Length: 1000\r\n\r\n", *[b"x"] * 10, pause=0.1)
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_long_body_that_keeps_coming_is_taken(port: int) -> None:
    parts = [b"x" * 400] * 6  # longer than a body may take that does not come
    answer = await said(port, HEAD + b"Connection: close\r\nContent-Length: 2400\r\n\r\n", *parts, pause=0.1)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'{"size":2400}' in answer


async def test_headers_without_end_are_refused(port: int) -> None:
    answer = await said(port, HEAD + b"X-Long: " + b"x" * 8000)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_an_idle_connection_is_closed(port: int) -> None:
    assert await said(port) == b""


async def test_idle_connections_make_room_for_those_who_ask(port: int) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
    answer = await said(port, HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok")
    assert answer.startswith(b"HTTP/1.1 200 ")
    for _, writer in idle:
        writer.close()
