"""Periods of partitions: without gaps, without overlaps, from the one that holds the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_streamkit.partitions import Period, periods

pytestmark = pytest.mark.unit
MINUTES = st.integers(0, 110 * 365 * 24 * 60)
TIMES = MINUTES.map(lambda minutes: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))


@given(st.sampled_from(["day", "week", "month"]), TIMES, st.integers(0, 40))
def test_periods_follow_each_other(period: Period, now: datetime, ahead: int) -> None:
    found = list(periods(period, now, ahead))
    assert len(found) == ahead + 1
    assert found[0][0] <= now < found[0][1]
    assert all(earlier[1] == later[0] for earlier, later in pairwise(found))
    assert all(start.utcoffset() == timedelta(0) and start.time() == datetime.min.time() for start, _ in found)


@given(st.sampled_from(["day", "week", "month"]), TIMES)
def test_every_time_of_a_period_gives_that_period(period: Period, now: datetime) -> None:
    [bounds] = periods(period, now, 0)
    last = bounds[1] - timedelta(microseconds=1)
    assert [bounds] == list(periods(period, bounds[0], 0)) == list(periods(period, last, 0))


def test_another_zone_is_the_same_moment() -> None:
    tokyo = datetime(2026, 3, 1, 3, tzinfo=timezone(timedelta(hours=9)))
    assert list(periods("month", tokyo, 0)) == [(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))]


def test_weeks_begin_on_monday() -> None:
    [(start, end)] = periods("week", datetime(2026, 3, 15, 23, tzinfo=UTC), 0)
    assert (start, end) == (datetime(2026, 3, 9, tzinfo=UTC), datetime(2026, 3, 16, tzinfo=UTC))
