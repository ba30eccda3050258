"""Alive is not ready. Alive: progress is being made. Ready: Kafka and the database answer, and we want traffic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of a health question: `checks` maps a name to `ok` or to what is wrong."""

    checks: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(result == "ok" for result in self.checks.values())


@dataclass(slots=True)
class _Watched:
    position: int
    lag: int
    moved_at: float
    lag_then: int


@dataclass(slots=True)
class ProgressMonitor:
    """Notices a consumer whose lag grows while its position stands still, for longer than `patience_seconds`.

    Times are monotonic seconds and come in as arguments. A consumer with nothing to do is not stalled.
    """

    patience_seconds: float = 60.0
    _watched: dict[str, _Watched] = field(default_factory=dict)

    def observe(self, now: float, name: str, position: int, end: int) -> None:
        """Take in that `name` has applied everything below `position`, and the log ends at `end`."""
        lag = max(0, end - position)
        known = self._watched.get(name)
        if known is None or position != known.position or lag == 0:
            self._watched[name] = _Watched(position, lag, now, lag)
        else:
            known.lag = lag

    def forget(self, keep: set[str]) -> None:
        """Stop watching what is no longer ours: everything but `keep`."""
        self._watched = {name: watched for name, watched in self._watched.items() if name in keep}

    def stalled(self, now: float) -> list[str]:
        """Names that stand still while their lag grows."""
        return sorted(
            name
            for name, watched in self._watched.items()
            if now - watched.moved_at > self.patience_seconds and watched.lag > watched.lag_then
        )


class Health:
    """What `/livez` and `/readyz` answer from."""

    def __init__(self, *, check_timeout_seconds: float = 2.0, patience_seconds: float = 60.0) -> None:
        self.progress = ProgressMonitor(patience_seconds)
        self._checks: dict[str, Check] = {}
        self._timeout_seconds = check_timeout_seconds
        self._draining = False

    def add_readiness(self, name: str, check: Check) -> None:
        """Add a check: it returns when all is well and raises otherwise."""
        self._checks[name] = check

    def drain(self) -> None:
        """Say not ready from now on, so that a load balancer sends no more."""
        self._draining = True

    def live(self) -> Report:
        """Whether progress is being made; asks nothing of anybody."""
        stalled = self.progress.stalled(time.monotonic())
        return Report({"progress": "ok"} if not stalled else dict.fromkeys(stalled, "stands still while its lag grows"))

    async def ready(self) -> Report:
        """Whether what this process depends on answers, each check within the time limit."""
        if self._draining:
            return Report({"draining": "this process is stopping"})
        results = await asyncio.gather(*(self._result(check) for check in self._checks.values()))
        return Report(dict(zip(self._checks, results, strict=True)))

    async def _result(self, check: Check) -> str:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await check()
        except TimeoutError:
            return f"no answer within {self._timeout_seconds:g} s"
        except Exception as error:  # any failure of a check is an answer: not ready
            return f"{type(error).__name__}: {error}"[:200]
        return "ok"
