"""What the use cases need of the outside."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from voz_metrics_api.domain.counters import Counters
from voz_metrics_api.domain.kpis import Figures
from voz_metrics_api.domain.profiles import Profile
from voz_metrics_api.domain.windows import Window

# The values of a group, in the order of the dimensions it is grouped by; the empty word for "has none".
Group = tuple[str, ...]
# Dimension → any of these values; the empty word selects what has none.
Filters = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose figures: a tenant's, of the events and cases that every filter admits, grouped by up to two dimensions."""

    tenant: str
    by: tuple[str, ...] = ()
    filters: Filters = field(default_factory=dict)


class UnavailableError(Exception):
    """The store doesn't answer now; the same question may be answered later. Every method of a store may raise it."""


class FigureStore(Protocol):
    """The rollups."""

    async def figures(self, selection: Selection, window: Window, *, timed: bool) -> dict[Group, Figures]:
        """Figures of each group with data in the window, exact; durations only when `timed`."""

    async def series(
        self, selection: Selection, window: Window, step: timedelta, *, timed: bool
    ) -> dict[Group, dict[datetime, Figures]]:
        """Figures of each group by the start of each step with data. The window lies on the step's grid."""

    async def by_tenant(self, window: Window, limit: int) -> dict[str, Figures]:
        """Figures of the `limit` tenants with the most events in the window, durations included."""


@dataclass(frozen=True, slots=True)
class Touchpoint:
    """One event on a customer's timeline; the empty word where it has no such value."""

    event_id: UUID
    occurred_at: datetime
    kind: str
    direction: str
    channel: str
    source: str
    audience: str
    language: str
    sentiment: str
    sentiment_score: float | None
    emotion: str
    intents: tuple[str, ...]
    topic: str
    effort: str
    stage: str
    conversation_id: str
    text: str
    details: Mapping[str, str | float]
    # A later version of what was said first; taken back by its author, without what was said.
    edited: bool
    deleted: bool


@dataclass(frozen=True, slots=True)
class SentimentOfDay:
    """How a customer's inbound events of one UTC day felt."""

    day: datetime
    counters: Counters


@dataclass(frozen=True, slots=True)
class FoundCustomer:
    """One person: the key in force first, then those that were joined to it."""

    keys: tuple[str, ...]
    profile: Profile


@dataclass(frozen=True, slots=True)
class StageCount:
    """How many persons of a tenant are at a stage, and are at risk there, or not."""

    tenant: str
    stage: str
    at_risk: bool
    customers: int


class CustomerStore(Protocol):
    """Profiles and timelines. A customer is all keys of one person."""

    async def find(self, tenant: str, keys: Sequence[str], handle: str) -> FoundCustomer | None:
        """The customer whose is the first of these keys that is known, else the one last seen with the handle
        `source:handle`."""

    async def timeline(
        self, tenant: str, keys: Sequence[str], after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Touchpoint]:
        """Touchpoints in the order in which they happened, from the first one after `after`."""

    async def latest_sentiment(self, tenant: str, keys: Sequence[str]) -> str:
        """The sentiment of the last inbound event that has one; empty when none has."""

    async def sentiment_by_day(self, tenant: str, keys: Sequence[str], days: int) -> list[SentimentOfDay]:
        """The last `days` days that have a sentiment, oldest first."""

    async def by_stage(self, silent_since: datetime) -> list[StageCount]:
        """Persons of all tenants; at risk is, where silence tells, who was last heard at `silent_since` or before."""


class Changes(Protocol):
    """Says when a tenant's figures may have changed."""

    def watch(self, tenant: str, *, at_least_every: timedelta) -> AsyncGenerator[None, None]:
        """Yields at once, then after each change, and at least so often: a rolling window changes by itself.

        Ends when the service stops.
        """
