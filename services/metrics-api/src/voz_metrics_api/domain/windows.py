"""Windows of time, half-open `[start, end)`, on the grid of the rollups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

# Nothing that Voz counts happened before or will after: ingest refuses it, and so does a rollup.
EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Level(StrEnum):
    """How fine a rollup is. Hours and days are UTC's."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def width(self) -> timedelta:
        """The length of one bucket."""
        return _WIDTHS[self]


_WIDTHS: Final = {
    Level.MINUTE: timedelta(minutes=1),
    Level.HOUR: timedelta(hours=1),
    Level.DAY: timedelta(days=1),
}
# The windows that end now.
ROLLING: Final[Mapping[str, timedelta]] = {
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
_STEP: Final = re.compile(r"([1-9][0-9]{0,3})(m|h|d)")
_STEP_UNITS: Final = {"m": Level.MINUTE, "h": Level.HOUR, "d": Level.DAY}


@dataclass(frozen=True, slots=True)
class Window:
    """`[start, end)`, both aware."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a window that one level of rollups answers exactly."""

    level: Level
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """For how long the finer rollups are kept; days are kept for ever."""

    minutes: timedelta
    hours: timedelta

    def finest(self, at: datetime, now: datetime) -> Level:
        """The finest level that still holds `at`. One day's margin: partitions are dropped in the background."""
        age = now - at + timedelta(days=1)
        return Level.MINUTE if age <= self.minutes else Level.HOUR if age <= self.hours else Level.DAY


def floor(at: datetime, width: timedelta) -> datetime:
    """The start of the bucket that `at` lies in."""
    return at - (at - _EPOCH) % width


def ceil(at: datetime, width: timedelta) -> datetime:
    """The first start of a bucket at or after `at`."""
    return at + (_EPOCH - at) % width


def rolling(name: str, now: datetime, kept: Kept, step: timedelta | None = None) -> Window:
    """The window of that name that ends with the bucket of `now`: the current minute (or step) is included."""
    width = step or Level.MINUTE.width
    end = floor(now, width) + width
    return aligned(end - ROLLING[name], end, now, kept, step)


def aligned(start: datetime, end: datetime, now: datetime, kept: Kept, step: timedelta | None = None) -> Window:
    """The smallest window on the grid that holds `[start, end)`.

    The grid is that of the step, or of the finest rollup still kept at each end: whole minutes, or hours (days) where
    the minutes (hours) have been dropped.
    """
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    first = max(step or timedelta(0), kept.finest(start, now).width)
    last = max(step or timedelta(0), kept.finest(end, now).width)
    return Window(floor(start, first), ceil(end, last))


def segments(window: Window) -> list[Segment]:
    """Days for its middle, hours towards its edges, minutes at them: together exactly the window, in order."""
    return _split(window.start, window.end, (Level.DAY, Level.HOUR, Level.MINUTE))


def _split(start: datetime, end: datetime, levels: tuple[Level, ...]) -> list[Segment]:
    level, finer = levels[0], levels[1:]
    if start >= end:
        return []
    if not finer:
        return [Segment(level, start, end)]
    first, last = ceil(start, level.width), floor(end, level.width)
    if first >= last:
        return _split(start, end, finer)
    return [*_split(start, first, finer), Segment(level, first, last), *_split(last, end, finer)]


def parse_step(text: str) -> timedelta:
    """`5m`, `1h`, `1d` … Raises ValueError for anything else, and for a step that doesn't divide or fill days."""
    found = _STEP.fullmatch(text)
    if not found:
        raise ValueError("a step is a number and m, h or d, such as 5m, 1h, 1d")
    step = int(found[1]) * _STEP_UNITS[found[2]].width
    day = Level.DAY.width
    if day % step and step % day:
        raise ValueError("a step divides a day or is whole days")
    return step


def level_of(step: timedelta) -> Level:
    """The coarsest rollup whose buckets fill the step's exactly."""
    return next(level for level in (Level.DAY, Level.HOUR, Level.MINUTE) if not step % level.width)


def default_step(window: timedelta) -> timedelta:
    """A step that gives a window about 15 to 60 points."""
    steps = (1, 5, 15, 60, 360)
    return next((timedelta(minutes=m) for m in steps if window <= timedelta(minutes=m) * 60), Level.DAY.width)
