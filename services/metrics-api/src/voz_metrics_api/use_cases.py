"""What the service is asked: KPIs of a window, their series, friction, who a customer is. Time is an argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from voz_metrics_api.domain.counters import Counters
from voz_metrics_api.domain.friction import Friction, rank
from voz_metrics_api.domain.kpis import KPIS, TIMED, Answer, Figures
from voz_metrics_api.domain.profiles import Profile
from voz_metrics_api.domain.windows import Kept, Window, aligned, default_step, level_of, rolling
from voz_metrics_api.ports import CustomerStore, FigureStore, Group, Selection, SentimentOfDay, StageCount

F = TypeVar("F")

MAX_GROUPS = 1_000
MAX_POINTS = 1_500
# A series answers with a figure for each point of each group, with or without data.
MAX_FIGURES_OF_SERIES = 20_000
DAYS_OF_SENTIMENT = 90


class QuestionError(Exception):
    """The question can't be answered as it was put: `parameter` names what is wrong with it."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail)
        self.parameter, self.detail = parameter, detail


@dataclass(frozen=True, slots=True)
class Period:
    """A rolling window by name, or `[start, end)`."""

    rolling: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    def window(self, now: datetime, kept: Kept, step: timedelta | None = None) -> Window:
        """The window on the grid. Raises QuestionError when the end is not after the start."""
        if self.rolling is not None:
            return rolling(self.rolling, now, kept, step)
        if self.start is None:
            raise QuestionError("from", "`from` is needed with `to`")
        end = self.end or now
        if end <= self.start:
            raise QuestionError("to", "`to` must be after `from`")
        return aligned(self.start, end, now, kept, step)


@dataclass(frozen=True, slots=True)
class KpiGroup:
    """The KPIs of one group."""

    group: Group
    answers: dict[str, Answer]


@dataclass(frozen=True, slots=True)
class KpiReport:
    """Groups of one window, the largest volume first; `truncated`: there are more groups than an answer holds."""

    window: Window
    groups: list[KpiGroup]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """A report for each step of the window, every group in each."""

    window: Window
    step: timedelta
    points: list[KpiReport]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class CustomerReport:
    """Who a customer is, by all their keys; whether silence puts them at risk; the sentiment of their last inbound
    event that has one, and by day."""

    keys: tuple[str, ...]
    profile: Profile
    at_risk: bool
    latest_sentiment: str
    days: list[SentimentOfDay]


def answers(figures: Figures, kpis: Sequence[str]) -> dict[str, Answer]:
    """Those KPIs of those figures."""
    return {kpi: KPIS[kpi].compute(figures) for kpi in kpis}


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions, over the stores."""

    figures: FigureStore
    customers: CustomerStore
    kept: Kept
    at_risk_after: timedelta

    async def kpis(self, selection: Selection, period: Period, kpis: Sequence[str], now: datetime) -> KpiReport:
        """KPIs of each group. Not grouped: always exactly one group, with or without data."""
        window = period.window(now, self.kept)
        found = await self.figures.figures(selection, window, timed=not TIMED.isdisjoint(kpis))
        if not selection.by:
            found = found or {(): Figures()}
        groups = _largest_first(found, lambda figures: figures.counters)
        report = [KpiGroup(group, answers(found[group], kpis)) for group in groups[:MAX_GROUPS]]
        return KpiReport(window, report, len(groups) > MAX_GROUPS)

    async def series(
        self, selection: Selection, period: Period, kpi: str, step: timedelta | None, now: datetime
    ) -> SeriesReport:
        """One KPI by steps of UTC time; a step without data has a value of None."""
        if step is None:
            whole = period.window(now, self.kept)
            step = default_step(whole.end - whole.start)
        window = period.window(now, self.kept, step)
        if level_of(step).width < self.kept.finest(window.start, now).width:
            raise QuestionError("step", "figures that old are no longer kept this finely: take a longer step")
        points = (window.end - window.start) // step
        if points > MAX_POINTS:
            raise QuestionError("step", f"more than {MAX_POINTS} points: take a longer step or a shorter window")
        starts = [window.start + step * number for number in range(points)]
        found = await self.figures.series(selection, window, step, timed=kpi in TIMED)
        if not selection.by:
            found = found or {(): {}}
        groups = _largest_first(found, _total)
        kept = groups[: max(1, MAX_FIGURES_OF_SERIES // len(starts))]
        reports = [
            KpiReport(
                Window(start, start + step),
                [KpiGroup(group, answers(found[group].get(start, Figures()), [kpi])) for group in kept],
            )
            for start in starts
        ]
        return SeriesReport(window, step, reports, len(kept) < len(groups))

    async def friction(self, selection: Selection, period: Period, now: datetime) -> tuple[Window, list[Friction]]:
        """Stages × topics, the one that hurts most first."""
        window = period.window(now, self.kept)
        by = Selection(selection.tenant, ("stage", "topic"), selection.filters)
        found = await self.figures.figures(by, window, timed=False)
        return window, rank({(group[0], group[1]): figures.counters for group, figures in found.items()})

    async def customer(self, tenant: str, keys: Sequence[str], handle: str, now: datetime) -> CustomerReport | None:
        """Who a customer is, and how they felt day by day."""
        found = await self.customers.find(tenant, keys, handle)
        if found is None:
            return None
        latest = await self.customers.latest_sentiment(tenant, found.keys)
        days = await self.customers.sentiment_by_day(tenant, found.keys, DAYS_OF_SENTIMENT)
        at_risk = found.profile.at_risk(now, self.at_risk_after)
        return CustomerReport(found.keys, found.profile, at_risk, latest, days)

    async def customers_by_stage(self, limit: int, now: datetime) -> list[StageCount]:
        """Persons by stage and whether silence puts them at risk, of the `limit` tenants with the most."""
        found = await self.customers.by_stage(now - self.at_risk_after)
        persons: Counter[str] = Counter()
        for each in found:
            persons[each.tenant] += each.customers
        largest = {tenant for tenant, _ in sorted(persons.items(), key=lambda item: (-item[1], item[0]))[:limit]}
        return [each for each in found if each.tenant in largest]

    async def current(self, window: str, limit: int, now: datetime) -> dict[str, dict[str, Answer]]:
        """Every KPI of the most active tenants, for gauges."""
        found = await self.figures.by_tenant(rolling(window, now, self.kept), limit)
        return {tenant: answers(figures, list(KPIS)) for tenant, figures in found.items()}


def _total(points: dict[datetime, Figures]) -> Counters:
    total = Counters()
    for figures in points.values():
        total = total.plus(figures.counters)
    return total


def _largest_first(found: dict[Group, F], counters: Callable[[F], Counters]) -> list[Group]:
    def size(group: Group) -> tuple[int, int, Group]:
        sums = counters(found[group])
        return -sums.volume, -sums.cases_opened, group

    return sorted(found, key=size)
