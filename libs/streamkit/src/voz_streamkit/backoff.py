"""Trying again, with backoff, what fails for a transient reason."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential_jitter

from voz_streamkit.errors import is_transient

T = TypeVar("T")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between attempts: from `initial_seconds`, doubling up to `max_seconds`, with jitter."""

    initial_seconds: float = 0.1
    max_seconds: float = 5.0


async def persist(
    step: Callable[[], Awaitable[T]],
    backoff: Backoff,
    interrupt: asyncio.Event,
    before_retry: Callable[[int, BaseException], None],
) -> T:
    """Do `step` until it succeeds or `interrupt` is set; then its last error is raised, also out of a wait.

    An error that isn't transient is raised at once. `before_retry` is told the attempt's number and its error.
    """
    last: BaseException | None = None

    def say(state: RetryCallState) -> None:
        nonlocal last
        last = state.outcome.exception() if state.outcome else None
        if last is not None:
            before_retry(state.attempt_number, last)

    async def sleep(seconds: float) -> None:
        await pause(seconds, interrupt)
        if interrupt.is_set() and last is not None:
            raise last

    retrying = AsyncRetrying(
        retry=retry_if_exception(is_transient),
        wait=wait_exponential_jitter(
            multiplier=backoff.initial_seconds, max=backoff.max_seconds, jitter=backoff.initial_seconds
        ),
        stop=lambda _: interrupt.is_set(),
        sleep=sleep,
        before_sleep=say,
        reraise=True,
    )

    # tenacity awaits what is declared async only: of a lambda it would give back the coroutine, unawaited.
    async def attempt() -> T:
        return await step()

    return await retrying(attempt)


async def pause(seconds: float, interrupt: asyncio.Event) -> None:
    """Wait, no longer than until `interrupt` is set."""
    try:
        async with asyncio.timeout(seconds):
            await interrupt.wait()
    except TimeoutError:
        pass


async def run_periodically(
    stop: asyncio.Event, seconds: float, job: Callable[[], Awaitable[object]], *, backoff: Backoff | None = None
) -> None:
    """Do `job` now and then every `seconds` until `stop`.

    Transient errors are logged and the job is tried again with backoff; any other is raised.
    """
    while not stop.is_set():
        try:
            await persist(job, backoff or Backoff(1.0, 30.0), stop, _say_again)
        except Exception as error:
            if not (stop.is_set() and is_transient(error)):
                raise
        await pause(seconds, stop)


def _say_again(attempt: int, error: BaseException) -> None:
    _log.warning("periodic job is tried again", attempt=attempt, error=str(error)[:500])
