"""How much a tenant may send in a day: counted by each process, and shared between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta


@dataclass(slots=True)
class DailyUsage:
    """Events of each tenant in a UTC day: those that all processes have told of, and this one's since it last told.

    What others have sent since they last told isn't known, so a quota may be overshot by that much, never undershot.
    """

    day: date = date.min
    _told: Counter[str] = field(default_factory=Counter)
    _untold: Counter[str] = field(default_factory=Counter)

    def charge(self, tenant: str, events: int, now: datetime) -> None:
        """Count what a request held."""
        day = now.date() if now.tzinfo is UTC else now.astimezone(UTC).date()
        if day != self.day:
            self._turn(day)
        self._untold[tenant] += events

    def used(self, tenant: str, now: datetime) -> int:
        """Events of the tenant today, as far as is known."""
        self._turn(now.astimezone(UTC).date())
        return self._told[tenant] + self._untold[tenant]

    def untold(self) -> tuple[date, Mapping[str, int]]:
        """What this process has counted since it last told, and on which day."""
        return self.day, dict(self._untold)

    def told(self, day: date, counts: Mapping[str, int], totals: Mapping[str, int]) -> None:
        """`counts` of `untold` are with the others now, whose `totals` of the day have come back."""
        if day != self.day:
            return
        self._untold.subtract(counts)
        self._untold = +self._untold
        self._told = Counter(totals)

    def _turn(self, day: date) -> None:
        """A new day begins at nothing."""
        if day > self.day:
            self.day = day
            self._told.clear()
            self._untold.clear()


def seconds_until_tomorrow(now: datetime) -> float:
    """Until the next UTC day begins."""
    today = now.astimezone(UTC)
    return (datetime.combine(today.date() + timedelta(days=1), time(), UTC) - today).total_seconds()
