"""A batch of facts folded into the cells of the rollups that it touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from voz_metrics_api.domain.contributions import CaseState, Duration, of_case, of_event
from voz_metrics_api.domain.counters import Counters
from voz_metrics_api.domain.facts import EventFacts
from voz_metrics_api.domain.windows import Level, floor

# tenant, start of the bucket, digest of the dimensions
Cell = tuple[str, datetime, UUID]
# … with the measure and its bin
DurationCell = tuple[str, datetime, UUID, str, int]


@dataclass(frozen=True, slots=True)
class Cells:
    """What to add to one level of the rollups: counters, and (count, microseconds) of durations; never all zero."""

    level: Level
    counters: Mapping[Cell, Counters]
    durations: Mapping[DurationCell, tuple[int, int]]

    def at(self, level: Level) -> Cells:
        """The same at a coarser level."""
        counters: dict[Cell, Counters] = {}
        for (tenant, bucket, dimensions), added in self.counters.items():
            cell = (tenant, floor(bucket, level.width), dimensions)
            counters[cell] = counters[cell].plus(added) if cell in counters else added
        durations: dict[DurationCell, tuple[int, int]] = {}
        for (tenant, bucket, dimensions, measure, number), (n, micros) in self.durations.items():
            place = (tenant, floor(bucket, level.width), dimensions, measure, number)
            held = durations.get(place, (0, 0))
            durations[place] = (held[0] + n, held[1] + micros)
        return _without_nothing(level, counters, durations)


@dataclass(frozen=True, slots=True)
class Counted:
    """What an event adds to the rollups, and takes back when it no longer counts. `dimensions` is the digest."""

    tenant: str
    occurred_at: datetime
    dimensions: UUID
    counters: Counters

    @classmethod
    def of(cls, event: EventFacts, dimensions: UUID) -> Counted:
        """What this event adds."""
        return cls(event.tenant, event.occurred_at, dimensions, of_event(event))


@dataclass(frozen=True, slots=True)
class CaseChange:
    """A case's newest state, and the state whose contribution the rollups hold now; None for a case new to them."""

    tenant: str
    case_id: UUID
    before: CaseState | None
    after: CaseState


def fold(events: Iterable[Counted], changes: Iterable[CaseChange], taken_back: Iterable[Counted] = ()) -> Cells:
    """Cells by the minute of events that count now, of changed cases, and of events that no longer count."""
    counters: dict[Cell, Counters] = {}
    durations: dict[DurationCell, tuple[int, int]] = {}
    width = Level.MINUTE.width

    def count(tenant: str, at: datetime, dimensions: UUID, added: Counters) -> None:
        cell = (tenant, floor(at, width), dimensions)
        counters[cell] = counters[cell].plus(added) if cell in counters else added

    def time(tenant: str, dimensions: UUID, duration: Duration, sign: int) -> None:
        cell = (tenant, floor(duration.at, width), dimensions, str(duration.measure), duration.bin)
        n, micros = durations.get(cell, (0, 0))
        durations[cell] = (n + sign, micros + sign * duration.micros)

    def account(tenant: str, case: CaseState, sign: int) -> None:
        counted, timed = of_case(case)
        count(tenant, case.opened_at, case.dimensions, counted if sign > 0 else Counters().minus(counted))
        for duration in timed:
            time(tenant, case.dimensions, duration, sign)

    for event in events:
        count(event.tenant, event.occurred_at, event.dimensions, event.counters)
    for event in taken_back:
        count(event.tenant, event.occurred_at, event.dimensions, Counters().minus(event.counters))
    for change in changes:
        if change.before is not None:
            account(change.tenant, change.before, -1)
        account(change.tenant, change.after, 1)
    return _without_nothing(Level.MINUTE, counters, durations)


def _without_nothing(
    level: Level, counters: Mapping[Cell, Counters], durations: Mapping[DurationCell, tuple[int, int]]
) -> Cells:
    nothing = Counters()
    return Cells(
        level,
        {cell: added for cell, added in counters.items() if added != nothing},
        {cell: added for cell, added in durations.items() if added != (0, 0)},
    )
