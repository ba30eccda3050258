"""Windows: half-open, on the grid, and answered by rollups exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_metrics_api.domain.windows import (
    ROLLING,
    Kept,
    Level,
    Window,
    aligned,
    ceil,
    default_step,
    floor,
    level_of,
    parse_step,
    rolling,
    segments,
)

NOW = datetime(2026, 11, 24, 10, 7, 23, 500, tzinfo=UTC)
KEPT = Kept(timedelta(days=35), timedelta(days=731))
minutes = st.integers(0, 200 * 24 * 60).map(lambda count: floor(NOW, timedelta(minutes=1)) - timedelta(minutes=count))


@given(minutes, minutes)
def test_segments_are_the_window_without_gap_or_overlap(one: datetime, other: datetime) -> None:
    window = Window(min(one, other), max(one, other))
    at = window.start
    for segment in segments(window):
        assert segment.start == at < segment.end
        assert floor(segment.start, segment.level.width) == segment.start
        assert floor(segment.end, segment.level.width) == segment.end
        at = segment.end
    assert at == window.end
    assert len(segments(window)) <= 5


@pytest.mark.parametrize("name", ROLLING)
def test_a_rolling_window_ends_with_the_current_minute(name: str) -> None:
    window = rolling(name, NOW, Kept(timedelta(days=200), timedelta(days=731)))
    assert window.end == datetime(2026, 11, 24, 10, 8, tzinfo=UTC)
    assert window.end - window.start == ROLLING[name]


def test_a_rolling_window_by_steps_has_whole_steps_up_to_now() -> None:
    window = rolling("24h", NOW, KEPT, timedelta(hours=1))
    assert window == Window(datetime(2026, 11, 23, 11, tzinfo=UTC), datetime(2026, 11, 24, 11, tzinfo=UTC))


@given(st.timedeltas(timedelta(0), timedelta(days=4000)).map(lambda age: NOW - age), st.sampled_from(Level))
def test_floor_and_ceil_are_neighbours_on_the_grid(at: datetime, level: Level) -> None:
    low, high = floor(at, level.width), ceil(at, level.width)
    assert low <= at <= high
    assert high - low == (timedelta(0) if low == at else level.width)


def test_old_windows_are_rounded_outwards_to_what_is_kept() -> None:
    start, end = NOW - timedelta(days=60), NOW - timedelta(days=59)
    assert aligned(start, end, NOW, KEPT) == Window(
        start.replace(minute=0, second=0, microsecond=0), ceil(end, Level.HOUR.width)
    )
    old = NOW - timedelta(days=1000)
    assert aligned(old, old, NOW, KEPT).start == floor(old, Level.DAY.width)
    assert {segment.level for segment in segments(aligned(start, end, NOW, KEPT))} <= {Level.HOUR, Level.DAY}


@pytest.mark.parametrize("text", ["", "0m", "5", "m", "7m", "5h30m", "1w", "-1h", "1.5h", "100000d", "7h"])
def test_a_bad_step_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="step"):
        parse_step(text)


def test_steps_have_the_coarsest_rollup_that_fills_them() -> None:
    levels = {text: level_of(parse_step(text)) for text in ("1m", "90m", "1h", "6h", "1d", "7d")}
    assert levels == {
        "1m": Level.MINUTE,
        "90m": Level.MINUTE,
        "1h": Level.HOUR,
        "6h": Level.HOUR,
        "1d": Level.DAY,
        "7d": Level.DAY,
    }


@pytest.mark.parametrize("name", ROLLING)
def test_a_step_is_chosen_that_shows_a_handful_of_points(name: str) -> None:
    step = default_step(ROLLING[name])
    assert 5 <= ROLLING[name] / step <= 120
    assert parse_step(f"{step // timedelta(minutes=1)}m") == step
