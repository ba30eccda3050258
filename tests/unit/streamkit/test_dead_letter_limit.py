"""The limit on what may be put aside, against its definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_streamkit.dead_letters import DeadLetterLimit
from voz_streamkit.errors import DeadLetterLimitError

pytestmark = pytest.mark.unit


@given(
    outcomes=st.lists(st.booleans(), max_size=200),
    max_ratio=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]),
    window=st.integers(1, 40),
    min_records=st.integers(1, 40),
)
def test_it_is_passed_exactly_when_the_window_says_so(
    outcomes: list[bool], max_ratio: float, window: int, min_records: int
) -> None:
    limit = DeadLetterLimit(max_ratio=max_ratio, window=window, min_records=min_records)
    for count, ok in enumerate(outcomes, start=1):
        last = outcomes[max(0, count - window) : count]
        passed = not ok and len(last) >= min_records and last.count(False) > max_ratio * len(last)
        if passed:
            with pytest.raises(DeadLetterLimitError):
                limit.record(ok)
            return
        limit.record(ok)


def test_a_few_bad_records_at_the_start_are_no_verdict() -> None:
    limit = DeadLetterLimit(max_ratio=0.1, min_records=100)
    for _ in range(99):
        limit.record(ok=False)
    with pytest.raises(DeadLetterLimitError, match="100 of the last 100 records are invalid, more than 10%"):
        limit.record(ok=False)


def test_what_left_the_window_is_forgotten() -> None:
    limit = DeadLetterLimit(max_ratio=0.1, window=100, min_records=50)
    for ok in [True] * 90 + [False] * 9 + [True] * 100 + [False] * 10:
        limit.record(ok)
    with pytest.raises(DeadLetterLimitError):
        limit.record(ok=False)
