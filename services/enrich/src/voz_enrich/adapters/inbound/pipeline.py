"""Work ahead, in order: while one batch is being written, the next ones are already being analysed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def ahead(
    batches: AsyncIterator[T], work: Callable[[T], Awaitable[R]], depth: int
) -> AsyncGenerator[tuple[T, R], None]:
    """Each batch with its result, in the order of the batches, at most `depth` of them in work or waiting.

    An error of `work` or of `batches` is raised when its turn comes. Closing the iterator early cancels the rest.
    """
    slots = asyncio.Semaphore(depth)
    queue: asyncio.Queue[tuple[T, asyncio.Future[R]] | None] = asyncio.Queue()

    async def fill() -> None:
        try:
            await slots.acquire()
            async for batch in batches:
                queue.put_nowait((batch, asyncio.ensure_future(work(batch))))
                await slots.acquire()
        finally:
            queue.put_nowait(None)

    filling = asyncio.create_task(fill())
    try:
        while (item := await queue.get()) is not None:
            batch, result = item
            yield batch, await result
            slots.release()
        await filling
    finally:
        filling.cancel()
        await asyncio.wait({filling})
        rest = [item[1] for item in _emptied(queue) if item is not None]
        for result in rest:
            result.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


async def micro_batches(items: AsyncIterator[T], size: int, within_seconds: float) -> AsyncGenerator[list[T], None]:
    """Lists of at most `size` items; a list is closed `within_seconds` after its first item.

    The pending read is kept from one list to the next and never cancelled, so no item is lost. Ends when `items` ends.
    """
    loop = asyncio.get_running_loop()
    following = asyncio.ensure_future(_following(items))
    try:
        while True:
            try:
                batch = [await following]
            except EndOfItems:
                return
            following = asyncio.ensure_future(_following(items))
            deadline = loop.time() + within_seconds
            while len(batch) < size:
                if not following.done():
                    remaining = deadline - loop.time()
                    if remaining <= 0 or not (await asyncio.wait({following}, timeout=remaining))[0]:
                        break
                if following.exception() is not None:
                    break  # raised, or the end, after this list
                batch.append(following.result())
                following = asyncio.ensure_future(_following(items))
            yield batch
    finally:
        following.cancel()


class EndOfItems(Exception):  # noqa: N818  # an end, not an error; StopAsyncIteration can't cross a task
    """The items have ended."""


async def _following(items: AsyncIterator[T]) -> T:
    try:
        return await anext(items)
    except StopAsyncIteration:
        raise EndOfItems from None


def _emptied(queue: asyncio.Queue[T]) -> list[T]:
    return [queue.get_nowait() for _ in range(queue.qsize())]
