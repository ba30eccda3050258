"""Figures as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import Gauge

from voz_metrics_api.ports import Changes, UnavailableError

# Rolling windows move by themselves: events grow old and leave.
LOOK_AT_LEAST_EVERY = timedelta(seconds=5)
# Proxies close what is silent; this is well under their usual minute.
HEARTBEAT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the figures: the body to send, and what must differ for it to be sent."""

    body: str
    figures: str


@dataclass(slots=True)
class Streams:
    """Follows figures for as long as somebody listens."""

    changes: Changes
    stop: asyncio.Event
    interval_seconds: float
    limit: int
    gauge: Gauge
    _open: int = 0

    @property
    def full(self) -> bool:
        """Whether no more can be opened."""
        return self._open >= self.limit

    async def follow(self, tenant: str, first: Look, look: Callable[[], Awaitable[Look]]) -> AsyncIterator[str]:
        """`first`, then the figures whenever they change, until the service stops; in silence a comment at times."""
        self._open += 1
        self.gauge.set(self._open)
        loop = asyncio.get_running_loop()
        number, sent, sent_at = 1, first, loop.time()
        try:
            yield _event(number, first)
            async with aclosing(self.changes.watch(tenant, at_least_every=LOOK_AT_LEAST_EVERY)) as changes:
                async for _ in changes:
                    try:
                        seen = await look()
                    except UnavailableError:
                        seen = sent
                    if seen.figures != sent.figures:
                        number, sent, sent_at = number + 1, seen, loop.time()
                        yield _event(number, seen)
                    elif loop.time() - sent_at >= HEARTBEAT_SECONDS:
                        sent_at = loop.time()
                        yield ": nothing new\n\n"
                    await self._pause()
        finally:
            self._open -= 1
            self.gauge.set(self._open)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self.interval_seconds):
                await self.stop.wait()
        except TimeoutError:
            pass


def _event(number: int, look: Look) -> str:
    return f"event: kpis\nid: {number}\ndata: {look.body}\n\n"
