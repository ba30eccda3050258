"""The KPIs: what each means, and its value from merged figures. No data is None, never 0 (`volume` alone is 0)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from voz_metrics_api.domain.counters import MICRO, Counters
from voz_metrics_api.domain.durations import Measure, Sketch

MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that is known of a group in a window, merged."""

    counters: Counters = field(default_factory=Counters)
    durations: Mapping[Measure, Sketch] = field(default_factory=dict)

    def plus(self, other: Figures) -> Figures:
        """Both together."""
        measures = self.durations.keys() | other.durations.keys()
        return Figures(
            self.counters.plus(other.counters),
            {m: self.durations.get(m, Sketch()).plus(other.durations.get(m, Sketch())) for m in measures},
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A KPI and what it is made of. `extras` are further figures of the same kind: shares, quantiles."""

    value: float | None
    numerator: float
    denominator: float
    n: int
    extras: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kpi:
    """One KPI. `better` says which direction is good: up, down or none; `source` where the definition comes from."""

    id: str
    name: str
    definition: str
    unit: str
    range: tuple[float | None, float | None]
    better: str
    source: str
    extras: Mapping[str, str]
    compute: Callable[[Figures], Answer]


def _quotient(numerator: float, denominator: int, *, times: float = 1, **extras: float | None) -> Answer:
    value = times * numerator / denominator if denominator else None
    return Answer(value, numerator, denominator, denominator, extras)


def volume(figures: Figures) -> Answer:
    """Events of every kind and direction."""
    count = figures.counters.volume
    return Answer(count, count, 1, count)


def net_sentiment(figures: Figures) -> Answer:
    """(positive − negative) ÷ all with a sentiment × 100, in −100…100."""
    counters = figures.counters
    total = counters.negative + counters.neutral + counters.positive
    return _quotient(counters.positive - counters.negative, total, times=100)


def sentiment_score(figures: Figures) -> Answer:
    """Mean score in −1…1 of the events that have one."""
    return _quotient(figures.counters.score_micros / MICRO, figures.counters.scored)


def complaint_rate(figures: Figures) -> Answer:
    """Complaints ÷ inbound messages, in 0…1."""
    return _quotient(figures.counters.complaints, figures.counters.inbound_messages)


def nps(figures: Figures) -> Answer:
    """Net Promoter Score in −100…100: % scoring 9–10 minus % scoring 0–6 (Reichheld 2003)."""
    counters = figures.counters
    answers = counters.nps_promoters + counters.nps_passives + counters.nps_detractors
    return _quotient(counters.nps_promoters - counters.nps_detractors, answers, times=100)


def csat(figures: Figures) -> Answer:
    """% of ratings in the top quarter of their scale, in 0…100."""
    return _quotient(figures.counters.csat_satisfied, figures.counters.csat_ratings, times=100)


def ces(figures: Figures) -> Answer:
    """Mean agreement with "easy to solve" on 1–7; `agree_share` is the % of 5–7 (Dixon et al. 2010, CES 2.0)."""
    counters = figures.counters
    agree = 100 * counters.ces_agree / counters.ces_answers if counters.ces_answers else None
    return _quotient(counters.ces_micros / MICRO, counters.ces_answers, agree_share=agree)


def resolution_rate(figures: Figures) -> Answer:
    """Cases that stand resolved ÷ all opened in the window, in 0…1."""
    return _quotient(figures.counters.cases_resolved, figures.counters.cases_opened)


def response_rate(figures: Figures) -> Answer:
    """Cases with a first reply ÷ all opened in the window, in 0…1."""
    return _quotient(figures.counters.cases_answered, figures.counters.cases_opened)


def _duration(figures: Figures, measure: Measure, extras: Mapping[str, float | None] | None = None) -> Answer:
    sketch = figures.durations.get(measure, Sketch())
    median = sketch.quantile(0.5)
    quantiles = {"p50": median, "p90": sketch.quantile(0.9), **(extras or {})}
    return Answer(median, sketch.total_micros / MICROSECONDS, sketch.n, sketch.n, quantiles)


def first_response_time(figures: Figures) -> Answer:
    """Seconds from the opening of a case to its first reply, of the replies given in the window."""
    return _duration(figures, Measure.FIRST_RESPONSE)


def time_to_resolution(figures: Figures) -> Answer:
    """Seconds from the opening of a case to its last resolution; `first_p50`, `first_p90`, `first_n`: to its first."""
    first = figures.durations.get(Measure.FIRST_RESOLUTION, Sketch())
    extras = {"first_p50": first.quantile(0.5), "first_p90": first.quantile(0.9), "first_n": first.n}
    return _duration(figures, Measure.LAST_RESOLUTION, extras)


_VOZ: Final = "Voz"
_DURATION_EXTRAS: Final = {"p50": "median, seconds", "p90": "90th percentile, seconds"}
_DURATION_NOTE: Final = " Calendar time, within 1 %; numerator ÷ denominator is the mean."
_COHORT_NOTE: Final = " Cases count where they were opened, so the figure of a past window still moves."

CATALOGUE: Final[tuple[Kpi, ...]] = (
    Kpi(
        "volume",
        "Volume",
        "Events of every kind and direction; the dimensions kind and direction tell them apart.",
        "events",
        (0, None),
        "none",
        _VOZ,
        {},
        volume,
    ),
    Kpi(
        "net_sentiment",
        "Net sentiment",
        "(positive − negative) ÷ all inbound events with a sentiment × 100.",
        "points",
        (-100, 100),
        "up",
        _VOZ,
        {},
        net_sentiment,
    ),
    Kpi(
        "sentiment_score",
        "Sentiment score",
        "Mean sentiment score of inbound events; an event without a score is left out, not counted as 0.",
        "score",
        (-1, 1),
        "up",
        _VOZ,
        {},
        sentiment_score,
    ),
    Kpi(
        "complaint_rate",
        "Complaint rate",
        "Inbound messages with the intent complaint ÷ inbound messages.",
        "ratio",
        (0, 1),
        "down",
        _VOZ,
        {},
        complaint_rate,
    ),
    Kpi(
        "nps",
        "Net Promoter Score",
        "% scoring 9–10 − % scoring 0–6 on “would you recommend” (0–10). Another declared scale is mapped linearly.",
        "points",
        (-100, 100),
        "up",
        "Reichheld, “The One Number You Need to Grow”, Harvard Business Review, 2003",
        {},
        nps,
    ),
    Kpi(
        "csat",
        "Customer satisfaction",
        "% of ratings in the top quarter of their scale: 4–5 of 5, 6–7 of 7, 8–10 of 10.",
        "percent",
        (0, 100),
        "up",
        "Top-two-box share of a five-point scale",
        {},
        csat,
    ),
    Kpi(
        "ces",
        "Customer effort score",
        "Mean agreement with “easy to solve” on 1–7. Another declared scale is mapped linearly, an inverted one"
        " turned.",
        "points",
        (1, 7),
        "up",
        "Dixon, Freeman, Toman, “Stop Trying to Delight Your Customers”, Harvard Business Review, 2010 (CES 2.0, 2013)",
        {"agree_share": "% of answers at 5–7"},
        ces,
    ),
    Kpi(
        "resolution_rate",
        "Resolution rate",
        "Cases that stand resolved ÷ all cases opened in the window, unanswered ones included." + _COHORT_NOTE,
        "ratio",
        (0, 1),
        "up",
        _VOZ,
        {},
        resolution_rate,
    ),
    Kpi(
        "response_rate",
        "Response rate",
        "Cases with a first human reply ÷ all cases opened in the window." + _COHORT_NOTE,
        "ratio",
        (0, 1),
        "up",
        _VOZ,
        {},
        response_rate,
    ),
    Kpi(
        "first_response_time",
        "First response time",
        "Median time from opening to the first human reply, of the replies given in the window." + _DURATION_NOTE,
        "seconds",
        (0, None),
        "down",
        _VOZ,
        _DURATION_EXTRAS,
        first_response_time,
    ),
    Kpi(
        "time_to_resolution",
        "Time to resolution",
        "Median time from opening to the last resolution, of the cases whose last resolution lies in the window."
        + _DURATION_NOTE,
        "seconds",
        (0, None),
        "down",
        _VOZ,
        {
            **_DURATION_EXTRAS,
            "first_p50": "median to the first resolution, of first resolutions in the window, seconds",
            "first_p90": "its 90th percentile, seconds",
            "first_n": "first resolutions in the window",
        },
        time_to_resolution,
    ),
)
KPIS: Final[Mapping[str, Kpi]] = {kpi.id: kpi for kpi in CATALOGUE}
# Those that need the duration sketches, which are read apart from the counters.
TIMED: Final = frozenset({"first_response_time", "time_to_resolution"})
