"""A repair of Faust: what it fetches while a Table's recovery ends must not be lost.

faust-streaming 0.15.3 (`tables/recovery.py`, `on_recovery_completed`) resumes the source partitions and only then
seeks them to the committed offsets. What the consumer loop fetched and handed out in between has moved its read offset
ahead, so after the seek the events in front are taken for a gap in the log, that is for acknowledged, and what is
fetched again is dropped as read already. No error, no warning. Stopping the flow first closes that window;
`on_recovery_completed` itself resumes it at its end.

The sequence guard is right without this repair; with it there is nothing to heal.
"""

from __future__ import annotations

from typing import Any

from faust.tables.recovery import Recovery

_original = Recovery.on_recovery_completed


async def _with_stopped_flow(self: Any, generation_id: int = 0) -> None:
    self.app.consumer.stop_flow()
    await _original(self, generation_id)


def repair_recovery() -> None:
    """Install the repair for every Faust app of this process. Harmless when repeated."""
    setattr(Recovery, "on_recovery_completed", _with_stopped_flow)  # noqa: B010  # a plain assignment isn't typed
