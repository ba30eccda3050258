"""Load, made by a process of its own (`python load.py`, parameters as JSON on standard input), so that making it shares
no interpreter with what is measured. Prints one JSON object.

Closed loop: each connection sends its next request when its answer is there; the server is never idle. Open loop:
requests are due at a fixed rate, whatever becomes of those before; latency counts from when a request was due, so a
stall is seen by all that it delays. `acknowledgements` does the same to Kafka without a server between.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop
from aiokafka import AIOKafkaProducer

TICK_SECONDS = 0.001
"""How often an open loop looks at what is due."""
LAST_ANSWERS_SECONDS = 2.0


@dataclass(frozen=True)
class Load:
    """What came back: requests a second, all that were answered, those not with 2xx, latency in milliseconds."""

    rate: float
    answered: int
    failed: int
    p50_ms: float
    p99_ms: float


class Connection(asyncio.Protocol):
    """One keep-alive HTTP/1.1 connection with one request on its way at a time."""

    def __init__(self, answered: Callable[[Connection, float, bool], None]) -> None:
        self._answered = answered
        self._buffer = bytearray()
        self._since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's isn't a subclass

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None or self._since:
            self._answered(self, 0.0, False)

    def send(self, request: bytes, since: float) -> None:
        self._since = since
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        lower = bytes(self._buffer[:head]).lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < head + 4 + length:
            return
        fine = self._buffer[9:10] == b"2"
        self._buffer.clear()
        since, self._since = self._since, 0.0
        self._answered(self, time.perf_counter() - since, fine)


class Answers:
    """Counts what comes back."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.failed = 0

    def note(self, latency: float, fine: bool) -> None:
        self.latencies.append(latency)
        self.failed += not fine

    def load(self, elapsed: float) -> Load:
        ordered = sorted(self.latencies) or [0.0]
        count = len(self.latencies)
        p50, p99 = ordered[len(ordered) // 2] * 1e3, ordered[int(len(ordered) * 0.99)] * 1e3
        return Load(count / elapsed, count, self.failed, p50, p99)


async def _connect(url: str, made: Sequence[Connection]) -> None:
    where = urlsplit(url)
    loop = asyncio.get_running_loop()
    for connection in made:
        await loop.create_connection(partial(_same, connection), str(where.hostname), int(where.port or 80))


def _same(connection: Connection) -> Connection:
    return connection


async def _closed(url: str, requests: list[bytes], connections: int, seconds: float) -> Load:
    answers, position, running = Answers(), 0, True

    def send(connection: Connection) -> None:
        nonlocal position
        connection.send(requests[position % len(requests)], time.perf_counter())
        position += 1

    def answered(connection: Connection, latency: float, fine: bool) -> None:
        answers.note(latency, fine)
        if running:
            send(connection)

    made = [Connection(answered) for _ in range(connections)]
    await _connect(url, made)
    began = time.perf_counter()
    for connection in made:
        send(connection)
    await asyncio.sleep(seconds)
    running = False
    while any(connection._since for connection in made):
        await asyncio.sleep(0.005)
    elapsed = time.perf_counter() - began
    for connection in made:
        connection.transport.close()
    return answers.load(elapsed)


async def _open(
    due: Callable[[float], None], rate: float, seconds: float, answers: Answers, pending: Callable[[], int]
) -> Load:
    """Call `due` for each request when its time has come."""
    began = time.perf_counter()
    sent = 0
    while sent < rate * seconds:
        while sent < rate * seconds and began + sent / rate <= time.perf_counter():
            due(began + sent / rate)
            sent += 1
        await asyncio.sleep(TICK_SECONDS)
    deadline = time.perf_counter() + LAST_ANSWERS_SECONDS
    while pending() and time.perf_counter() < deadline:
        await asyncio.sleep(0.005)
    answers.failed += pending()
    return answers.load(time.perf_counter() - began)


async def _open_http(url: str, requests: list[bytes], connections: int, seconds: float, rate: float) -> Load:
    answers, waiting, position = Answers(), deque[float](), 0

    def send(connection: Connection, since: float) -> None:
        nonlocal position
        connection.send(requests[position % len(requests)], since)
        position += 1

    def answered(connection: Connection, latency: float, fine: bool) -> None:
        answers.note(latency, fine)
        if waiting:
            send(connection, waiting.popleft())
        else:
            free.append(connection)

    def due(since: float) -> None:
        if free:
            send(free.popleft(), since)
        else:
            waiting.append(since)

    made = [Connection(answered) for _ in range(connections)]
    free = deque(made)
    await _connect(url, made)
    load = await _open(due, rate, seconds, answers, lambda: len(waiting) + connections - len(free))
    for connection in made:
        connection.transport.close()
    return load


async def _open_kafka(bootstrap: str, topic: str, records: list[bytes], seconds: float, rate: float) -> Load:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    answers, position, tasks = Answers(), 0, set[asyncio.Task[None]]()

    async def send(since: float, number: int) -> None:
        key = b"bench/%d" % (number % 500)
        await producer.send_and_wait(topic, records[number % len(records)], key=key)
        answers.note(time.perf_counter() - since, True)

    def due(since: float) -> None:
        nonlocal position
        task = asyncio.create_task(send(since, position))
        position += 1
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    try:
        return await _open(due, rate, seconds, answers, lambda: len(tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await producer.stop()


def requests_of(
    url: str, bodies: Sequence[bytes], headers: Mapping[str, str], own: Sequence[Mapping[str, str]] = ()
) -> list[bytes]:
    """The bodies as POST requests, byte for byte. `own`: further headers of each."""
    where = urlsplit(url)
    shared = f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\n{_lines(headers)}"
    return [
        f"{shared}{_lines(own[number]) if own else ''}Content-Length: {len(body)}\r\n\r\n".encode() + body
        for number, body in enumerate(bodies)
    ]


def closed_loop(url: str, requests: Sequence[bytes], *, connections: int = 64, seconds: float = 4.0) -> Load:
    """Send the requests round and round for `seconds`."""
    return _in_process(requests, mode="closed", url=url, connections=connections, seconds=seconds)


def open_loop(url: str, requests: Sequence[bytes], *, rate: float, connections: int = 64, seconds: float = 4.0) -> Load:
    """Send the requests at `rate` a second."""
    return _in_process(requests, mode="open", url=url, connections=connections, seconds=seconds, rate=rate)


def acknowledgements(
    bootstrap: str, topic: str, records: Sequence[bytes], *, rate: float, seconds: float = 4.0
) -> Load:
    """Send records straight to Kafka at `rate` a second, with the same durability."""
    return _in_process(records, mode="kafka", bootstrap=bootstrap, topic=topic, seconds=seconds, rate=rate)


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _in_process(blobs: Sequence[bytes], **parameters: Any) -> Load:
    with NamedTemporaryFile("wb", suffix=".requests", delete=False) as file:
        for blob in blobs:
            file.write(len(blob).to_bytes(4, "big") + blob)
    try:
        done = subprocess.run(
            [sys.executable, __file__],
            input=json.dumps({"file": file.name, **parameters}),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    finally:
        Path(file.name).unlink()
    return Load(**json.loads(done.stdout))


def _blobs(path: Path) -> list[bytes]:
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def main() -> None:
    parameters = json.loads(sys.stdin.read())
    blobs, mode = _blobs(Path(parameters.pop("file"))), parameters.pop("mode")
    match mode:
        case "closed":
            work = _closed(requests=blobs, **parameters)
        case "open":
            work = _open_http(requests=blobs, **parameters)
        case _:
            work = _open_kafka(records=blobs, **parameters)
    print(json.dumps(asdict(uvloop.run(work))))


if __name__ == "__main__":
    main()
