"""Micro-batches and working ahead: nothing is lost, nothing changes places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

import pytest

from voz_enrich.adapters.inbound.pipeline import ahead, micro_batches

T = TypeVar("T")


async def numbers(count: int, pause: float = 0.0, fail_at: int = -1) -> AsyncIterator[int]:
    for number in range(count):
        if number == fail_at:
            raise ConnectionError
        if pause:
            await asyncio.sleep(pause)
        yield number


async def collect(items: AsyncIterator[T], into: list[T]) -> None:
    async for item in items:
        into.append(item)  # noqa: PERF401  # what came before an error counts


async def test_batches_are_full_when_there_is_plenty() -> None:
    assert [batch async for batch in micro_batches(numbers(10), 4, 5.0)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_a_batch_does_not_wait_longer_than_said() -> None:
    batches = [batch async for batch in micro_batches(numbers(3, pause=0.2), 10, 0.01)]
    assert batches == [[0], [1], [2]]


async def test_an_error_comes_after_what_was_read_before_it() -> None:
    batches: list[list[int]] = []
    with pytest.raises(ConnectionError):
        await collect(micro_batches(numbers(9, fail_at=5), 4, 5.0), batches)
    assert batches == [[0, 1, 2, 3], [4]]


async def test_results_keep_the_order_however_long_each_takes() -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(0.02 * ((number * 7) % 3))
        return number * 10

    assert [pair async for pair in ahead(numbers(9), work, 3)] == [(n, n * 10) for n in range(9)]


async def test_no_more_than_depth_are_in_work() -> None:
    running, most = 0, 0

    async def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return number

    assert [number async for number, _ in ahead(numbers(20), work, 3)] == list(range(20))
    assert most == 3


async def test_an_error_of_the_work_is_raised_in_its_turn() -> None:
    async def work(number: int) -> int:
        if number == 2:
            raise ValueError(number)
        return number

    seen: list[tuple[int, int]] = []
    with pytest.raises(ValueError, match="2"):
        await collect(ahead(numbers(5), work, 3), seen)
    assert seen == [(0, 0), (1, 1)]


async def test_an_error_of_the_batches_is_raised_at_the_end() -> None:
    async def work(number: int) -> int:
        return number

    seen: list[tuple[int, int]] = []
    with pytest.raises(ConnectionError):
        await collect(ahead(numbers(5, fail_at=3), work, 2), seen)
    assert seen == [(0, 0), (1, 1), (2, 2)]


async def test_closing_early_ends_the_work() -> None:
    started = 0

    async def work(number: int) -> int:
        nonlocal started
        started += 1
        await asyncio.sleep(3600 if number else 0)
        return number

    results = ahead(numbers(100), work, 4)
    assert await anext(results) == (0, 0)
    await results.aclose()
    assert started <= 5
    assert asyncio.all_tasks() == {asyncio.current_task()}
