"""Trying again: only what is transient, and no longer than wanted."""

from __future__ import annotations

import asyncio

import pytest

from voz_streamkit.backoff import Backoff, persist, run_periodically
from voz_streamkit.errors import TransientError

pytestmark = pytest.mark.unit
QUICK = Backoff(0.001, 0.002)


class Flaky:
    """Fails as often as told, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_transient_errors_are_outlasted_and_told() -> None:
    step, told = Flaky(TransientError("one"), ConnectionError("two")), list[str]()
    result = await persist(step, QUICK, asyncio.Event(), lambda number, error: told.append(f"{number} {error}"))
    assert (result, told) == ("done", ["1 one", "2 two"])


async def test_a_step_may_be_any_callable() -> None:
    step = Flaky(TransientError("one"))
    assert await persist(lambda: step(), QUICK, asyncio.Event(), lambda *_: None) == "done"
    assert step.calls == 2


async def test_any_other_error_is_raised_at_once() -> None:
    step = Flaky(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        await persist(step, QUICK, asyncio.Event(), lambda *_: None)
    assert step.calls == 1


async def test_an_interruption_ends_even_a_long_wait() -> None:
    interrupt = asyncio.Event()
    with pytest.raises(TransientError):
        await persist(Flaky(TransientError("away")), Backoff(3600, 3600), interrupt, lambda *_: interrupt.set())


async def test_a_periodic_job_runs_at_once_and_outlasts_transient_errors() -> None:
    stop = asyncio.Event()
    runs: list[int] = []

    async def job() -> None:
        runs.append(len(runs))
        if len(runs) == 2:
            raise TransientError("away")
        if len(runs) == 4:
            stop.set()

    await run_periodically(stop, 0.001, job, backoff=QUICK)
    assert runs == [0, 1, 2, 3]


async def test_a_periodic_job_stops_in_the_middle_of_trying_again() -> None:
    stop = asyncio.Event()

    async def job() -> None:
        stop.set()
        raise TransientError("away")

    await run_periodically(stop, 3600, job)


async def test_a_periodic_job_that_is_broken_is_heard_of() -> None:
    with pytest.raises(ValueError, match="a bug"):
        await run_periodically(asyncio.Event(), 3600, Flaky(ValueError("a bug")))
