"""A tenant's day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from voz_ingest.domain.quota import DailyUsage, seconds_until_tomorrow

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_day_begins_at_nothing() -> None:
    usage = DailyUsage()
    usage.charge("acme", 7, NOON)
    assert (usage.used("acme", NOON), usage.used("globex", NOON)) == (7, 0)
    assert usage.used("acme", NOON + timedelta(hours=13)) == 0
    assert seconds_until_tomorrow(NOON) == 12 * 3600


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.booleans()), max_size=30))
def test_what_several_processes_tell_each_other_adds_up(steps: list[tuple[int, int, bool]]) -> None:
    processes, shared, sent = [DailyUsage() for _ in range(3)], 0, 0

    def tell(usage: DailyUsage) -> None:
        nonlocal shared
        day, counts = usage.untold()
        shared += counts.get("acme", 0)
        usage.charge("acme", 0, NOON)  # requests go on while it tells
        usage.told(day, counts, {"acme": shared})

    for number, events, telling in steps:
        processes[number].charge("acme", events, NOON)
        sent += events
        if telling:
            tell(processes[number])
        assert processes[number].used("acme", NOON) <= sent
    for usage in [*processes, *processes]:
        tell(usage)
    assert [usage.used("acme", NOON) for usage in processes] == [sent] * 3


def test_what_was_told_of_yesterday_is_not_todays() -> None:
    usage = DailyUsage()
    usage.charge("acme", 7, NOON)
    day, counts = usage.untold()
    usage.charge("acme", 2, NOON + timedelta(days=1))
    usage.told(day, counts, {"acme": 7})
    assert usage.used("acme", NOON + timedelta(days=1)) == 2
