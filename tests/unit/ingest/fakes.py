"""Stand-ins for ingest's ports, and events to speak of."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from voz_ingest.domain.connection import Connection
from voz_ingest.domain.event import ReceivedEvent
from voz_ingest.ports import LogUnavailableError, Part

PLAIN: dict[str, Any] = {
    "id": "tweet-841",
    "source": "mastodon",
    "channel": "social",
    "kind": "message",
    "audience": "customer",
    "direction": "inbound",
    "customer": {"id": "c-42", "handle": "@ana", "name": "Ana", "reach": 1200},
    "conversation": {"id": "conv-9", "reply_to": "tweet-840"},
    "text": "Tercera vez que se cae la app al pagar",
    "language": "es",
    "occurred_at": "2026-11-20T10:00:00Z",
    "attributes": {"product": "fibra-600", "campaign": "otono", "segment": "premium"},
}


def event(**fields: Any) -> dict[str, Any]:
    """A small valid event; a field that is None is left out."""
    small = {"channel": "chat", "customer": {"id": "c-1"}, "text": "hello"} | fields
    return {name: value for name, value in small.items() if value is not None}


class MemoryEventLog:
    """EventLog in memory. `away`: it acknowledges nothing."""

    def __init__(self) -> None:
        self.events: list[ReceivedEvent] = []
        self.away = False
        self.after_parts: int | None = None
        """Be away after so many appends."""
        self.parts: list[int] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def append(self, events: Sequence[ReceivedEvent]) -> None:
        """As the port says."""
        if self.away or (self.after_parts is not None and len(self.parts) >= self.after_parts):
            raise LogUnavailableError("It is away.", retry_after_seconds=5)
        await asyncio.sleep(0)
        self.parts.append(len(events))
        self.events.extend(events)

    def begin(self, parts: Sequence[Part]) -> None:
        """As the port says."""
        for part in parts:
            task = asyncio.create_task(self._begin(part))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _begin(self, part: Part) -> None:
        try:
            await self.append(part.events)
        except LogUnavailableError as error:
            part.settled(error)
        else:
            part.settled(None)


class MemoryEvidence:
    """Evidence in memory. `away`: it takes nothing."""

    def __init__(self) -> None:
        self.put_aside: list[tuple[str, bytes, str, str]] = []
        """Connection, body, reason, detail."""
        self.away = False

    async def put(
        self,
        connection: Connection,
        body: bytes,
        headers: Mapping[str, str],
        *,
        reason: str,
        detail: str,
        attempts: int = 1,
    ) -> None:
        """As the port says."""
        if self.away:
            raise LogUnavailableError("It is away.", retry_after_seconds=5)
        self.put_aside.append((connection.id, body, reason, detail))


class MemoryRawPayloads:
    """RawPayloads in memory."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes, list[str]]] = []

    async def put(
        self,
        connection: Connection,
        body: bytes,
        headers: Mapping[str, str],
        *,
        received_at: datetime,
        ids: Sequence[str],
    ) -> None:
        """As the port says."""
        self.kept.append((connection.id, body, [*ids]))


class MemoryWeb:
    """Fetch of what is laid into `pages`; whatever else is asked for isn't there."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    async def fetch(self, url: str, *, hosts: Collection[str]) -> bytes:
        """As the port says."""
        self.asked.append((url, tuple(hosts)))
        if url not in self.pages:
            raise ConnectionError("nothing is there")
        return self.pages[url]
