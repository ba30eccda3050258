"""Facts folded into cells: any batches, any order, any intermediate states of a case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from voz_metrics_api.domain.cells import CaseChange, Cells, fold
from voz_metrics_api.domain.contributions import CaseState
from voz_metrics_api.domain.counters import Counters
from voz_metrics_api.domain.windows import Level

START = datetime(2026, 11, 24, tzinfo=UTC)
times = st.integers(0, 3000).map(lambda minutes: START + timedelta(minutes=minutes))
maybe = st.none() | times
states = st.builds(
    CaseState,
    sequence=st.just(1),
    dimensions=st.integers(1, 3).map(lambda number: UUID(int=number)),
    opened_at=times,
    resolved=st.booleans(),
    first_response_at=maybe,
    first_resolved_at=maybe,
    resolved_at=maybe,
)


def added(parts: list[Cells]) -> tuple[dict[object, Counters], dict[object, tuple[int, int]]]:
    counters: dict[object, Counters] = {}
    durations: dict[object, tuple[int, int]] = {}
    for part in parts:
        for cell, value in part.counters.items():
            counters[cell] = counters.get(cell, Counters()).plus(value)
        for place, (n, micros) in part.durations.items():
            held = durations.get(place, (0, 0))
            durations[place] = (held[0] + n, held[1] + micros)
    return (
        {cell: value for cell, value in counters.items() if any(value)},
        {place: value for place, value in durations.items() if any(value)},
    )


@given(st.lists(states, min_size=1, max_size=6), st.sampled_from(Level))
def test_only_the_newest_state_of_a_case_counts(history: list[CaseState], level: Level) -> None:
    changes = [
        CaseChange("acme", UUID(int=9), before, after) for before, after in zip([None, *history], history, strict=False)
    ]
    step_by_step = [fold([], [change]).at(level) for change in changes]
    at_once = fold([], [CaseChange("acme", UUID(int=9), None, history[-1])]).at(level)
    assert added(step_by_step) == added([at_once])
    assert added([fold([], changes).at(level)]) == added([at_once])


@given(st.lists(states, max_size=10))
def test_coarser_levels_hold_the_same_totals(cases: list[CaseState]) -> None:
    minutes = fold([], [CaseChange("acme", UUID(int=number), None, case) for number, case in enumerate(cases)])
    totals = []
    for level in Level:
        total = Counters()
        for value in minutes.at(level).counters.values():
            total = total.plus(value)
        totals.append(total)
    assert totals[0] == totals[1] == totals[2]
    assert totals[0].cases_opened == len(cases)
