"""The policy in force. A new one takes force when its queues have topics, so that no case enters a queue unheard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from voz_router.domain.policy import Policy
from voz_router.metrics import RouterMetrics
from voz_streamkit.backoff import Backoff, pause, persist
from voz_streamkit.errors import is_transient
from voz_streamkit.reload import ReloadingFile

_log = structlog.get_logger(__name__)


class LivePolicy:
    """PolicySource over a file that may change. `prepare(policy, stop)` makes the topics of its queues."""

    def __init__(
        self,
        file: ReloadingFile[Policy],
        prepare: Callable[[Policy, asyncio.Event], Awaitable[object]],
        metrics: RouterMetrics,
        *,
        poll_seconds: float,
    ) -> None:
        self._file, self._prepare, self._metrics, self._poll_seconds = file, prepare, metrics, poll_seconds
        self._prepared: Policy | None = None
        self._take(file.value)

    @property
    def policy(self) -> Policy:
        """The policy in force now."""
        return self._policy

    async def make_ready(self, stop: asyncio.Event) -> bool:
        """Prepare the file's policy, waiting for Kafka, and put it in force. False when `stop` came first."""
        policy = self._file.value

        def say(attempt: int, error: BaseException) -> None:
            _log.warning("the queues' topics can't be made yet", attempt=attempt, error=str(error)[:300])

        try:
            await persist(lambda: self._prepare(policy, stop), Backoff(0.5, 10.0), stop, say)
        except Exception as error:
            if not (stop.is_set() and is_transient(error)):
                raise
            return False
        self._prepared = policy
        self._take(policy)
        _log.info("policy in force", version=policy.version)
        return True

    async def follow(self, stop: asyncio.Event) -> None:
        """Take new versions of the file until `stop`. One with an error is refused and logged with its line."""
        while not stop.is_set():
            self._file.refresh()
            if self._file.value is not self._prepared:
                await self.make_ready(stop)
            await pause(self._poll_seconds, stop)

    def _take(self, policy: Policy) -> None:
        self._policy = policy
        self._metrics.policy.clear()
        self._metrics.policy.labels(policy.version).set(1)
