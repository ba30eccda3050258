"""KPI definitions, against computations straight from the observations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_metrics_api.domain.contributions import of_event
from voz_metrics_api.domain.counters import Counters
from voz_metrics_api.domain.dimensions import Dimensions
from voz_metrics_api.domain.durations import Measure, Sketch
from voz_metrics_api.domain.facts import CustomerFacts, EventFacts
from voz_metrics_api.domain.kpis import CATALOGUE, KPIS, TIMED, Answer, Figures
from voz_metrics_api.domain.surveys import DEFAULT_SCALES, Metric, SurveyAnswer

counters = st.builds(Counters, *(st.integers(0, 10**6) for _ in Counters._fields))
sketches = st.lists(st.integers(0, 10**13), max_size=20).map(Sketch.of)
figures = st.builds(Figures, counters, st.dictionaries(st.sampled_from(Measure), sketches))


def merged(parts: Sequence[Figures]) -> Figures:
    return reduce(Figures.plus, parts, Figures())


@given(st.lists(figures, max_size=8), st.randoms())
def test_merging_in_any_order_and_any_split_gives_the_same_kpis(parts: list[Figures], random: Random) -> None:
    shuffled = list(parts)
    random.shuffle(shuffled)
    middle = len(shuffled) // 2
    split = merged(shuffled[:middle]).plus(merged(shuffled[middle:]))
    for kpi in CATALOGUE:
        assert kpi.compute(split) == kpi.compute(merged(parts))


@given(figures)
def test_every_kpi_keeps_to_its_range_or_says_nothing(found: Figures) -> None:
    consistent = found.counters._replace(
        complaints=min(found.counters.complaints, found.counters.inbound_messages),
        csat_satisfied=min(found.counters.csat_satisfied, found.counters.csat_ratings),
        cases_resolved=min(found.counters.cases_resolved, found.counters.cases_opened),
        cases_answered=min(found.counters.cases_answered, found.counters.cases_opened),
        score_micros=min(found.counters.score_micros, found.counters.scored * 10**6),
        ces_micros=found.counters.ces_answers * 4 * 10**6,
    )
    for kpi in CATALOGUE:
        answer = kpi.compute(Figures(consistent, found.durations))
        low, high = kpi.range
        if answer.value is None:
            assert answer.n == 0
        else:
            assert low is None or answer.value >= low
            assert high is None or answer.value <= high


def test_no_data_is_none_and_volume_is_0() -> None:
    answers = {kpi.id: kpi.compute(Figures()) for kpi in CATALOGUE}
    assert answers.pop("volume") == Answer(0, 0, 1, 0)
    assert all(answer.value is None and answer.n == 0 for answer in answers.values())


def test_a_kpi_that_is_timed_says_so() -> None:
    for kpi in CATALOGUE:
        needs = kpi.compute(Figures(durations={measure: Sketch.of([10**6]) for measure in Measure})).n > 0
        assert needs == (kpi.id in TIMED)


def answer(metric: Metric, score: float, scale: tuple[float, float] | None = None, inverted: bool = False) -> Counters:
    low, high = scale or DEFAULT_SCALES[metric]
    return of_event(_event(SurveyAnswer(metric, score, low, high, inverted)))


def _event(survey: SurveyAnswer) -> EventFacts:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return EventFacts("acme", UUID(int=1), at, CustomerFacts("k"), Dimensions(direction="inbound"), survey=survey)


@given(st.lists(st.integers(0, 10), min_size=1))
def test_nps_is_promoters_minus_detractors(given_scores: list[int]) -> None:
    found = merged([Figures(answer(Metric.NPS, score)) for score in given_scores])
    promoters = sum(score >= 9 for score in given_scores)
    detractors = sum(score <= 6 for score in given_scores)
    n = len(given_scores)
    assert KPIS["nps"].compute(found) == Answer(100 * (promoters - detractors) / n, promoters - detractors, n, n)


@pytest.mark.parametrize(
    ("scale", "satisfied"),
    [((1, 5), [4, 5]), ((1, 7), [6, 7]), ((0, 10), [8, 9, 10]), ((1, 10), [8, 9, 10]), ((1, 3), [3]), ((0, 1), [1])],
)
def test_csat_counts_the_top_quarter_of_any_scale(scale: tuple[int, int], satisfied: list[int]) -> None:
    low, high = scale
    found = [score for score in range(low, high + 1) if answer(Metric.CSAT, score, scale).csat_satisfied]
    assert found == satisfied
    turned = [s for s in range(low, high + 1) if answer(Metric.CSAT, s, scale, inverted=True).csat_satisfied]
    assert turned == sorted(low + high - score for score in satisfied)


@pytest.mark.parametrize(("scale", "promoters", "detractors"), [((1, 5), [5], [1, 2, 3]), ((0, 100), [90], [60])])
def test_nps_on_another_scale_is_mapped_linearly(
    scale: tuple[int, int], promoters: list[int], detractors: list[int]
) -> None:
    assert all(answer(Metric.NPS, score, scale).nps_promoters for score in promoters)
    assert all(answer(Metric.NPS, score, scale).nps_detractors for score in detractors)


def test_ces_is_a_mean_on_1_to_7_and_inverted_scales_are_turned() -> None:
    found = merged([Figures(answer(Metric.CES, 7)), Figures(answer(Metric.CES, 3)), Figures(answer(Metric.CES, 5))])
    assert KPIS["ces"].compute(found) == Answer(5.0, 15.0, 3, 3, {"agree_share": 200 / 3})
    assert KPIS["ces"].compute(Figures(answer(Metric.CES, 1, (1, 7), inverted=True))).value == 7
    assert KPIS["ces"].compute(Figures(answer(Metric.CES, 5, (1, 5)))).value == 7


@pytest.mark.parametrize("score", [-1, 11, float("nan"), float("inf")])
def test_a_score_outside_its_scale_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match=r"scale|outside"):
        SurveyAnswer(Metric.NPS, score, 0, 10)
    with pytest.raises(ValueError, match="scale"):
        SurveyAnswer(Metric.NPS, 5, 5, 5)
