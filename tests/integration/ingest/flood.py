"""Clients that send as fast as they are answered, over plain sockets: many at a time, and little beside the sending."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Requests = Callable[[int, int], bytes]


@dataclass
class Flood:
    """So many connections; `request` gives the bytes of each one's next request, by the connection and how many it has
    sent. A connection that is closed is opened again."""

    port: int
    connections: int
    request: Requests
    statuses: Counter[int] = field(default_factory=Counter)
    answers: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    """Connection, number, status, body."""
    closed: int = 0
    _running: bool = True

    async def __aenter__(self) -> Flood:
        self._tasks = [asyncio.create_task(self._flow(number)) for number in range(self.connections)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Wait for the answers to what has been sent, and send no more."""
        self._running = False
        await asyncio.gather(*self._tasks)

    async def until(self, answers: int) -> None:
        """Until so many more answers have come."""
        goal = self.statuses.total() + answers
        async with asyncio.timeout(60):
            while self.statuses.total() < goal:
                await asyncio.sleep(0.02)

    async def _flow(self, connection: int) -> None:
        number = 0
        while self._running:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return
            try:
                while self._running:
                    writer.write(self.request(connection, number))
                    status, body = await _answer(reader)
                    self.statuses[status] += 1
                    self.answers.append((connection, number, status, body))
                    number += 1
            except (asyncio.IncompleteReadError, ConnectionError):
                self.closed += 1
            finally:
                writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    return int(head[9:12]), await reader.readexactly(length)


def post(key: str, body: bytes, headers: Sequence[str] = (), kind: str = "application/json") -> bytes:
    """A request to /v1/events."""
    more = "".join(f"{line}\r\n" for line in headers)
    head = f"POST /v1/events HTTP/1.1\r\nHost: voz\r\nAuthorization: Bearer {key}\r\nContent-Type: {kind}\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
