"""What the answers look like."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from voz_metrics_api.domain.counters import MICRO
from voz_metrics_api.domain.friction import Friction
from voz_metrics_api.domain.kpis import Answer, Kpi
from voz_metrics_api.domain.windows import Window
from voz_metrics_api.ports import SentimentOfDay, Touchpoint
from voz_metrics_api.use_cases import CustomerReport, KpiGroup, KpiReport, SeriesReport


class KpiAnswer(BaseModel):
    """A KPI and what it is made of; some have further figures (see the catalogue). No data: `value` is null."""

    model_config = ConfigDict(extra="allow")

    value: int | float | None
    numerator: int | float
    denominator: int | float
    n: int = Field(description="How many observations the value is made of.")

    @classmethod
    def of(cls, answer: Answer) -> KpiAnswer:
        """As it is answered."""
        return cls(
            value=answer.value,
            numerator=answer.numerator,
            denominator=answer.denominator,
            n=answer.n,
            **dict(answer.extras),
        )


class KpiGroupAnswer(BaseModel):
    """The KPIs of one group; null is the group of what has no such value."""

    dimensions: dict[str, str | None]
    kpis: dict[str, KpiAnswer]

    @classmethod
    def of(cls, by: tuple[str, ...], group: KpiGroup) -> KpiGroupAnswer:
        """As it is answered."""
        return cls(
            dimensions={name: value or None for name, value in zip(by, group.group, strict=True)},
            kpis={kpi: KpiAnswer.of(answer) for kpi, answer in group.answers.items()},
        )


class WindowAnswer(BaseModel):
    """The window that was counted, half-open: what was asked for, rounded outwards to what is kept."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    start: datetime = Field(alias="from", description="Included.")
    end: datetime = Field(alias="to", description="Excluded.")


class KpiPoint(WindowAnswer):
    """Groups of one window."""

    groups: list[KpiGroupAnswer]


class KpiReportAnswer(KpiPoint):
    """Groups of one window, those with the most events first."""

    truncated: bool = Field(description="There are more groups than one answer holds: filter.")

    @classmethod
    def of(cls, by: tuple[str, ...], report: KpiReport) -> KpiReportAnswer:
        """As it is answered."""
        return cls(**_window(report.window), groups=_groups(by, report), truncated=report.truncated)


class SeriesAnswer(WindowAnswer):
    """A point for each step of the window, with or without data."""

    kpi: str
    step_seconds: int
    points: list[KpiPoint]
    truncated: bool = Field(description="There are more groups than one answer holds: those with the most events.")

    @classmethod
    def of(cls, kpi: str, by: tuple[str, ...], report: SeriesReport) -> SeriesAnswer:
        """As it is answered."""
        return cls(
            **_window(report.window),
            kpi=kpi,
            step_seconds=int(report.step.total_seconds()),
            points=[KpiPoint(**_window(point.window), groups=_groups(by, point)) for point in report.points],
            truncated=report.truncated,
        )


class CatalogueEntry(BaseModel):
    """What a KPI means."""

    id: str
    name: str
    definition: str
    unit: str
    range: tuple[float | None, float | None] = Field(description="Least and greatest value; null: unbounded.")
    source: str = Field(description="Where the definition comes from.")
    better: str = Field(description="Which direction is good: up, down or none.")
    extras: dict[str, str] = Field(description="Further figures of the answer, and what they are.")

    @classmethod
    def of(cls, kpi: Kpi) -> CatalogueEntry:
        """As it is answered."""
        return cls(**{name: getattr(kpi, name) for name in cls.model_fields})


class Catalogue(BaseModel):
    """Every KPI."""

    items: list[CatalogueEntry]
    next: str | None = None


class SharedFigure(BaseModel):
    """How many of the judged events, and their share."""

    count: int
    share: float


class FrictionItem(BaseModel):
    """One stage × topic; null is the group of what has no such value."""

    stage: str | None
    topic: str | None
    score: float = Field(description="Of 100 points of pain that all judged events could show, those shown here.")
    n: int = Field(description="Inbound events here that carry a signal.")
    negative: SharedFigure
    complaint: SharedFigure
    high_effort: SharedFigure

    @classmethod
    def of(cls, cell: Friction) -> FrictionItem:
        """As it is answered."""

        def figure(count: int) -> SharedFigure:
            return SharedFigure(count=count, share=cell.share(count))

        return cls(
            stage=cell.stage or None,
            topic=cell.topic or None,
            score=cell.score,
            n=cell.judged,
            negative=figure(cell.negative),
            complaint=figure(cell.complaint),
            high_effort=figure(cell.high_effort),
        )


class FrictionAnswer(WindowAnswer):
    """Stages × topics, the one that hurts most first."""

    items: list[FrictionItem]
    next: str | None = None

    @classmethod
    def of(cls, window: Window, cells: list[Friction]) -> FrictionAnswer:
        """As it is answered."""
        return cls(**_window(window), items=[FrictionItem.of(cell) for cell in cells])


class DaySentiment(BaseModel):
    """How one UTC day felt; `score` is the mean of the scores."""

    day: datetime
    negative: int
    neutral: int
    positive: int
    score: float | None


class CustomerSentiment(BaseModel):
    """How a customer feels: all their inbound events, the latest one, and day by day."""

    latest: str | None
    negative: int
    neutral: int
    positive: int
    score: float | None = Field(description="Mean score, −1…1.")
    by_day: list[DaySentiment]


class CustomerAnswer(BaseModel):
    """Who a customer is."""

    key: str
    joined_keys: list[str] = Field(description="Keys of the same person before their identities were linked.")
    id: str | None
    name: str | None
    handles: list[str] = Field(description="`source:handle`.")
    reach: int | None
    language: str | None
    stage: str | None
    stage_since: datetime | None
    heard_at: datetime | None = Field(description="When they last did something themselves.")
    at_risk: bool = Field(description="They are silent for so long, where they are, that they may be lost.")
    first_seen: datetime
    last_seen: datetime
    events: int
    inbound_events: int
    attributes: dict[str, str]
    sentiment: CustomerSentiment

    @classmethod
    def of(cls, report: CustomerReport) -> CustomerAnswer:
        """As it is answered."""
        profile = report.profile
        reach, since = profile.value("reach"), profile.value("stage_since")
        return cls(
            key=report.keys[0],
            joined_keys=list(report.keys[1:]),
            id=profile.value("id"),
            name=profile.value("name"),
            handles=sorted(profile.handles),
            reach=int(reach) if reach else None,
            language=profile.value("language"),
            stage=profile.value("stage"),
            stage_since=datetime.fromisoformat(since) if since else None,
            heard_at=profile.heard_at,
            at_risk=report.at_risk,
            first_seen=profile.first_seen,
            last_seen=profile.last_seen,
            events=profile.events,
            inbound_events=profile.inbound,
            attributes=profile.attributes(),
            sentiment=CustomerSentiment(
                latest=report.latest_sentiment or None,
                negative=profile.negative,
                neutral=profile.neutral,
                positive=profile.positive,
                score=_mean(profile.score_micros, profile.scored),
                by_day=[_day(day) for day in report.days],
            ),
        )


class TimelineItem(BaseModel):
    """One touchpoint; null where it has no such value."""

    event_id: str
    occurred_at: datetime
    kind: str | None
    direction: str | None
    channel: str | None
    source: str | None
    audience: str | None
    language: str | None
    sentiment: str | None
    sentiment_score: float | None
    emotion: str | None
    intents: list[str]
    topic: str | None
    effort: str | None
    stage: str | None
    conversation_id: str | None
    text: str | None
    details: dict[str, Any] = Field(
        description="What the typed payload says: a score, an amount, a status. Where the event moved the customer, "
        "`moved_from` (a stage), `moved_by` and `moved_after_seconds`. `own_topic`: the id of the company's own topic."
    )
    edited: bool = Field(description="The newest version of something that was edited; older ones are not shown.")
    deleted: bool = Field(description="Taken back by its author: what was said is gone, and no longer counts.")

    @classmethod
    def of(cls, touchpoint: Touchpoint) -> TimelineItem:
        """As it is answered."""
        values = {name: getattr(touchpoint, name) for name in cls.model_fields}
        words = {name: value or None for name, value in values.items() if isinstance(value, str)}
        return cls(**{**values, **words, "event_id": str(touchpoint.event_id), "intents": list(touchpoint.intents)})


class Timeline(BaseModel):
    """Touchpoints in the order in which they happened."""

    items: list[TimelineItem]
    next: str | None


def _window(window: Window) -> dict[str, Any]:
    return {"start": window.start, "end": window.end}


def _groups(by: tuple[str, ...], report: KpiReport) -> list[KpiGroupAnswer]:
    return [KpiGroupAnswer.of(by, group) for group in report.groups]


def _mean(micros: int, n: int) -> float | None:
    return micros / MICRO / n if n else None


def _day(day: SentimentOfDay) -> DaySentiment:
    counters = day.counters
    return DaySentiment(
        day=day.day,
        negative=counters.negative,
        neutral=counters.neutral,
        positive=counters.positive,
        score=_mean(counters.score_micros, counters.scored),
    )
