"""How much may be sent and held."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_ingest.domain.budget import ByteBudget, OverBudgetError
from voz_ingest.domain.connection import TenantLimits
from voz_ingest.domain.rate import RateLimit

LIMITS = TenantLimits(events_per_second=10, burst_events=20)


def test_a_tenant_over_its_rate_waits_until_its_debt_is_paid() -> None:
    rate = RateLimit()
    assert rate.wait_seconds("acme", LIMITS, 0.0) == 0
    rate.charge("acme", LIMITS, 120, 0.0)
    assert rate.wait_seconds("acme", LIMITS, 0.0) == pytest.approx(10.1)
    assert rate.wait_seconds("acme", LIMITS, 10.0) == pytest.approx(0.1)
    assert rate.wait_seconds("acme", LIMITS, 10.2) == 0
    assert rate.wait_seconds("globex", LIMITS, 0.0) == 0, "another tenant's debt is nobody's business"


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50)), min_size=1, max_size=40))
def test_in_the_long_run_no_more_than_the_rate_is_let_in(arrivals: list[tuple[float, int]]) -> None:
    rate, limits, now, taken, largest = RateLimit(), TenantLimits(10, 30), 0.0, 0, 0
    for pause, events in arrivals:
        now += pause
        if rate.wait_seconds("acme", limits, now) == 0:
            rate.charge("acme", limits, events, now)
            taken, largest = taken + events, max(largest, events)
    assert taken <= 30 + now * 10 + largest


def test_a_budget_refuses_what_does_not_fit_and_forgets_nothing() -> None:
    budget = ByteBudget(100)
    with budget.hold() as held:
        held.resize(60)
        with pytest.raises(OverBudgetError):
            budget.take(41)
        held.resize(10)
        budget.take(41)
        with pytest.raises(OverBudgetError):
            held.resize(60)
        assert budget.used_bytes == 51
    assert budget.used_bytes == 41
    budget.give(41)
