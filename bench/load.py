"""HTTP load in a closed loop: each connection sends its next request when its answer is there.

Runs as a process of its own (`python load.py`, parameters as JSON on standard input), so that making the load does not
share a core's interpreter with what is measured. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import cast
from urllib.parse import urlsplit

import uvloop


@dataclass(frozen=True)
class Load:
    """What came back: requests a second, share that wasn't 2xx, latency in milliseconds."""

    rate: float
    failed: int
    p50_ms: float
    p99_ms: float


class Connection(asyncio.Protocol):
    """One keep-alive HTTP/1.1 connection that never waits for anything but its answer."""

    def __init__(self, requests: Sequence[bytes], first: int, step: int) -> None:
        self.requests, self.next, self.step = requests, first, step
        self.latencies: list[float] = []
        self.failed = 0
        self.buffer = bytearray()
        self.running = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's isn't a subclass
        self.send()

    def send(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.requests[self.next % len(self.requests)])
        self.next += self.step

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        lower = bytes(self.buffer[:head]).lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.buffer) < head + 4 + length:
            return
        self.latencies.append(time.perf_counter() - self.began)
        self.failed += self.buffer[9:10] != b"2"
        self.buffer.clear()
        if self.running:
            self.send()


def _same(connection: Connection) -> Connection:
    return connection


async def _run(url: str, requests: list[bytes], connections: int, seconds: float) -> Load:
    where = urlsplit(url)
    loop = asyncio.get_running_loop()
    made = [Connection(requests, number, connections) for number in range(connections)]
    for connection in made:
        await loop.create_connection(partial(_same, connection), str(where.hostname), int(where.port or 80))
    began, before = time.perf_counter(), sum(len(c.latencies) for c in made)
    await asyncio.sleep(seconds)
    elapsed, after = time.perf_counter() - began, sum(len(c.latencies) for c in made)
    for connection in made:
        connection.running = False
    await asyncio.sleep(0.2)
    for connection in made:
        connection.transport.close()
    latencies = sorted(latency for c in made for latency in c.latencies)
    return Load(
        (after - before) / elapsed,
        sum(c.failed for c in made),
        latencies[len(latencies) // 2] * 1e3,
        latencies[int(len(latencies) * 0.99)] * 1e3,
    )


def closed_loop(
    url: str, bodies: Sequence[bytes], *, content_type: str, key: str = "", connections: int = 64, seconds: float = 5.0
) -> Load:
    """Post the bodies round and round for `seconds`."""
    where = urlsplit(url)
    head = f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: {content_type}\r\n"
    head += f"Authorization: Bearer {key}\r\n" if key else ""
    with NamedTemporaryFile("wb", suffix=".requests", delete=False) as file:
        for body in bodies:
            request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
            file.write(len(request).to_bytes(4, "big") + request)
    parameters = {"url": url, "file": file.name, "connections": connections, "seconds": seconds}
    try:
        done = subprocess.run(
            [sys.executable, __file__], input=json.dumps(parameters), capture_output=True, text=True, check=True
        )
    finally:
        Path(file.name).unlink()
    return Load(**json.loads(done.stdout))


def main() -> None:
    parameters = json.loads(sys.stdin.read())
    data, requests, at = Path(parameters["file"]).read_bytes(), [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        requests.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    load = uvloop.run(_run(parameters["url"], requests, parameters["connections"], parameters["seconds"]))
    print(json.dumps(load.__dict__))


if __name__ == "__main__":
    main()
