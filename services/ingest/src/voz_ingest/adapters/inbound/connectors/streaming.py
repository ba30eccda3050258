"""Several streams heard as one, in batches, no faster than what they bring is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from voz_ingest.adapters.inbound.connectors.declared import Declared
from voz_ingest.adapters.inbound.sources import Payload, Pull
from voz_ingest.adapters.outbound.transports import Transports
from voz_streamkit.errors import TransientError

HELD_MESSAGES = 1000


class Streams:
    """What open streams bring. While nobody takes it, it waits here, and then at the sources."""

    def __init__(self, count: int) -> None:
        self._queue: asyncio.Queue[Payload | Exception] = asyncio.Queue(HELD_MESSAGES)
        self._opened = [asyncio.get_running_loop().create_future() for _ in range(count)]

    async def opened(self) -> None:
        """Return when all of them are open. Raises what kept one from it."""
        for each in self._opened:
            await asyncio.shield(each)

    async def batch(self, limit: int, *, seconds: float) -> Sequence[Payload]:
        """The next messages, in order; none when nothing came for so long. Raises what ended a stream, once everything
        that came before was given."""
        try:
            async with asyncio.timeout(seconds):
                first = await self._queue.get()
        except TimeoutError:
            return []
        found: list[Payload] = []
        while not isinstance(first, Exception):
            found.append(first)
            if len(found) == limit or self._queue.empty():
                return found
            first = self._queue.get_nowait()
        if found:  # it is raised when it is asked for next; there is room: it has just been taken out
            self._queue.put_nowait(first)
            return found
        raise first

    async def read(self, number: int, pull: Pull, declared: Declared, transports: Transports) -> None:
        """Bring one stream's messages, until it ends."""
        opened = self._opened[number]
        try:
            async with transports.listen(pull, declared.connection, declared.hosts) as payloads:
                opened.set_result(None)
                async for payload in payloads:
                    await self._queue.put(payload)
            raise TransientError("the stream ended")
        except Exception as error:
            if opened.done():
                await self._queue.put(error)
            else:
                opened.set_exception(error)

    def close(self) -> None:
        """Nobody waits for it any more."""
        for each in self._opened:
            if each.done():
                each.exception()
            else:
                each.cancel()


@asynccontextmanager
async def listening(pulls: Sequence[Pull], declared: Declared, transports: Transports) -> AsyncIterator[Streams]:
    """Streams that are being opened; closed at the end."""
    streams = Streams(len(pulls))
    readers = [
        asyncio.create_task(streams.read(number, pull, declared, transports)) for number, pull in enumerate(pulls)
    ]
    try:
        yield streams
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        streams.close()
