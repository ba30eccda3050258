"""What ingest needs from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from voz_ingest.domain.event import ReceivedEvent


class LogUnavailableError(Exception):
    """The log did not acknowledge in time, or has no room: nothing is promised, the caller tries again later.

    Events that were on their way may still arrive; they keep their ids, so a second delivery is the same event.
    """

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.detail, self.retry_after_seconds = detail, retry_after_seconds


class EventLog(Protocol):
    """Where events are kept, in order within a customer."""

    async def append(self, events: Sequence[ReceivedEvent]) -> None:
        """Return when every one of `events` is replicated; one customer's stand in the order given.

        Raises LogUnavailableError when that isn't certain.
        """
        ...
