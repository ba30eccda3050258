"""Query parameters. An unknown one is refused: a misspelt filter would give the figures of everybody."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from voz.v1.labels_pb2 import (
    Audience,
    Channel,
    Direction,
    Emotion,
    EventKind,
    Intent,
    Sentiment,
    Stage,
    Topic,
)
from voz_contracts.words import vocabulary
from voz_metrics_api.domain.dimensions import DIMENSIONS, MAX_GROUPED_DIMENSIONS, label
from voz_metrics_api.domain.kpis import KPIS
from voz_metrics_api.domain.windows import EARLIEST, LATEST
from voz_metrics_api.ports import Selection
from voz_metrics_api.use_cases import Period

_VOCABULARIES: Final = {
    "kind": vocabulary(EventKind),
    "direction": vocabulary(Direction),
    "channel": vocabulary(Channel),
    "stage": vocabulary(Stage),
    "topic": vocabulary(Topic),
    "intent": vocabulary(Intent),
    "emotion": vocabulary(Emotion),
    "sentiment": vocabulary(Sentiment),
    "audience": vocabulary(Audience),
}
MAX_FILTER_VALUES: Final = 100
WindowName = Literal["5m", "15m", "1h", "24h", "7d", "30d", "90d"]
DEFAULT_WINDOW: Final = "1h"


def _words(given: Any) -> Any:
    """`a,b` and repeated parameters are both lists; values as they are kept, so that they match."""
    if not isinstance(given, list):
        return given
    words = [(word.strip(), label(word)) for value in given for word in value.split(",")]
    if any(word and not kept for word, kept in words):
        raise ValueError("control characters are no value")
    return [kept for _, kept in words]


Words = Annotated[list[str], BeforeValidator(_words), Field(max_length=MAX_FILTER_VALUES)]


def _filter(name: str) -> Any:
    known = f" Known: {', '.join(_VOCABULARIES[name])}." if name in _VOCABULARIES else ""
    return Field(
        default_factory=list,
        description=f"Only what has one of these values as its {name}; separated by commas, empty for none.{known}",
    )


class FilteredParams(BaseModel):
    """A window and filters, as every question about figures takes them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: WindowName | None = Field(None, description=f"A window that ends now; {DEFAULT_WINDOW} when none is named.")
    start: AwareDatetime | None = Field(
        None, alias="from", description="Start, included: RFC 3339. Rounded down to the minute."
    )
    end: AwareDatetime | None = Field(
        None, alias="to", description="End, excluded: RFC 3339; now when left out. Rounded up to the minute."
    )
    kind: Words = _filter("kind")
    direction: Words = _filter("direction")
    channel: Words = _filter("channel")
    source: Words = _filter("source")
    language: Words = _filter("language")
    stage: Words = _filter("stage")
    topic: Words = _filter("topic")
    intent: Words = _filter("intent")
    emotion: Words = _filter("emotion")
    sentiment: Words = _filter("sentiment")
    product: Words = _filter("product")
    campaign: Words = _filter("campaign")
    segment: Words = _filter("segment")
    queue: Words = _filter("queue")
    audience: Words = _filter("audience")

    @field_validator(*_VOCABULARIES)
    @classmethod
    def _known(cls, values: list[str], info: ValidationInfo) -> list[str]:
        known = _VOCABULARIES[str(info.field_name)]
        for value in values:
            if value and value not in known:
                raise ValueError(f"{value!r} is not a {info.field_name}; known: {', '.join(known)}")
        return values

    @field_validator("start", "end")
    @classmethod
    def _instead_of_a_window(cls, at: datetime | None, info: ValidationInfo) -> datetime | None:
        if at is not None and info.data.get("window") is not None:
            raise ValueError("either `window` or `from` and `to`")
        if at is not None and not EARLIEST <= at <= LATEST:
            raise ValueError(f"not within {EARLIEST.year}..{LATEST.year}")
        return at

    def period(self, default: str = DEFAULT_WINDOW) -> Period:
        """What is asked for."""
        if self.start is None and self.end is None:
            return Period(rolling=self.window or default)
        return Period(start=self.start, end=self.end)

    def selection(self, tenant: str, by: tuple[str, ...] = ()) -> Selection:
        """Whose figures."""
        filters = {name: values for name in DIMENSIONS if (values := getattr(self, name))}
        return Selection(tenant, by, filters)


class GroupedParams(FilteredParams):
    """… grouped by up to two dimensions."""

    by: Words = Field(
        default_factory=list,
        description=f"Up to {MAX_GROUPED_DIMENSIONS} dimensions to group by: {', '.join(DIMENSIONS)}.",
    )

    @field_validator("by")
    @classmethod
    def _dimensions(cls, names: list[str]) -> list[str]:
        names = list(dict.fromkeys(name for name in names if name))
        for name in names:
            if name not in DIMENSIONS:
                raise ValueError(f"{name!r} is not a dimension; known: {', '.join(DIMENSIONS)}")
        if len(names) > MAX_GROUPED_DIMENSIONS:
            raise ValueError(f"at most {MAX_GROUPED_DIMENSIONS} dimensions")
        return names


class KpiParams(GroupedParams):
    """… of some KPIs."""

    kpi: Words = Field(default_factory=list, description=f"KPIs, all when none is named: {', '.join(KPIS)}.")

    @field_validator("kpi")
    @classmethod
    def _kpis(cls, names: list[str]) -> list[str]:
        names = list(dict.fromkeys(name for name in names if name))
        for name in names:
            if name not in KPIS:
                raise ValueError(f"{name!r} is not a KPI; known: {', '.join(KPIS)}")
        return names

    def kpis(self) -> list[str]:
        """Which ones."""
        return self.kpi or list(KPIS)


class SeriesParams(GroupedParams):
    """… by steps of time."""

    step: str | None = Field(
        None, description="Length of a step, such as 1m, 15m, 1h, 1d; chosen by the window's length when left out."
    )


class PageParams(BaseModel):
    """A page of a list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(50, ge=1, le=200, description="Items at most.")
    cursor: str | None = Field(None, max_length=500, description="`next` of the page before.")


class NoParams(BaseModel):
    """A question without parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)
