"""Duration sketches: accurate to 1 %, and the same whatever the merges."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_metrics_api.domain.durations import RELATIVE_ACCURACY, Sketch, bin_of, bin_seconds, micros

TEN_YEARS = micros(timedelta(days=36500))
durations = st.integers(0, TEN_YEARS)


@given(st.lists(durations, min_size=1), st.floats(0, 1))
def test_a_quantile_is_within_one_percent(given_durations: list[int], q: float) -> None:
    exact = sorted(given_durations)[math.floor(q * (len(given_durations) - 1))] / 1e6
    found = Sketch.of(given_durations).quantile(q)
    assert found == pytest.approx(max(exact, 0.001), rel=RELATIVE_ACCURACY + 1e-9)


@given(st.lists(durations), st.lists(durations))
def test_adding_sketches_is_the_sketch_of_all(some: list[int], others: list[int]) -> None:
    both = Sketch.of(some).plus(Sketch.of(others))
    assert both == Sketch.of(others + some)
    assert both.n == len(some) + len(others)


@given(st.lists(durations, min_size=1))
def test_what_is_taken_back_leaves_nothing(given_durations: list[int]) -> None:
    held = Sketch.of(given_durations)
    negative = Sketch({number: -n for number, n in held.bins.items()}, -held.total_micros)
    assert held.plus(negative) == Sketch()
    assert held.plus(negative).quantile(0.5) is None


@given(durations, durations)
def test_longer_durations_are_in_no_lower_bin(one: int, other: int) -> None:
    short, long = sorted((one, other))
    assert bin_of(short) <= bin_of(long) < 1 << 15
    assert bin_seconds(bin_of(short)) <= bin_seconds(bin_of(long))


def test_clocks_that_disagree_and_endless_cases_stay_in_bounds() -> None:
    assert micros(timedelta(seconds=-5)) == 0
    assert micros(timedelta(days=10**6)) == TEN_YEARS
