"""What may happen to a case, and what may not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voz_router.domain import cases
from voz_router.domain.cases import CLAIMED, OPEN, RESOLVED, WAITING, Case, CaseConflictError, CaseEvent
from voz_router.domain.events import Event
from voz_router.domain.policy import Policy
from voz_router.domain.routing import plan

MakeEvent = Callable[..., Event]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def case(event: MakeEvent, policy: Policy, now: datetime) -> Case:
    """An open complaint in care."""
    return plan([event(intents=("complaint",))], [], policy, now).case_events[0].case


def test_a_case_opens_in_its_queue_with_a_clock(case: Case, now: datetime) -> None:
    assert (case.queue, case.status, case.assignee, case.sequence) == ("care", OPEN, "", 1)
    assert case.due_at == now + timedelta(hours=8)
    assert case.past_due(now + timedelta(hours=9))
    assert not case.past_due(case.due_at)


def test_only_one_agent_can_claim(case: Case, now: datetime) -> None:
    claimed = cases.claim(case, "ana", now).case
    assert (claimed.status, claimed.assignee) == (CLAIMED, "ana")
    for agent in ("ana", "luis"):
        with pytest.raises(CaseConflictError, match="claimed by ana"):
            cases.claim(claimed, agent, now)


def test_the_first_note_or_reply_is_the_first_response(case: Case, event: MakeEvent, now: datetime) -> None:
    noted = cases.note(cases.claim(case, "ana", now).case, "ana", "Le hemos llamado", now + MINUTE)
    assert (noted.case.first_response_at, noted.case.status) == (now + MINUTE, WAITING)
    later = cases.reply(noted.case, event(direction="outbound", occurred_at=now + 2 * MINUTE), now + 3 * MINUTE)
    assert later.case.first_response_at == now + MINUTE
    unclaimed = cases.reply(case, event(direction="outbound", occurred_at=now + 2 * MINUTE), now + 3 * MINUTE).case
    assert (unclaimed.first_response_at, unclaimed.status) == (now + 2 * MINUTE, OPEN)


@pytest.mark.parametrize(("said", "counted"), [(-MINUTE, 0 * MINUTE), (MINUTE, MINUTE), (60 * MINUTE, 5 * MINUTE)])
def test_a_reply_is_neither_before_the_opening_nor_in_the_future(
    case: Case, event: MakeEvent, now: datetime, said: timedelta, counted: timedelta
) -> None:
    replied = cases.reply(case, event(direction="outbound", occurred_at=now + said), now + 5 * MINUTE)
    assert replied.case.first_response_at == replied.occurred_at == now + counted


def test_a_waiting_case_wakes_when_its_customer_speaks(case: Case, event: MakeEvent, now: datetime) -> None:
    waiting = cases.note(cases.claim(case, "ana", now).case, "ana", "?", now).case
    woken = cases.add_message(waiting, event(), now).case
    assert (woken.status, woken.assignee, woken.message_count) == (CLAIMED, "ana", 2)


def test_resolving_and_reopening(case: Case, policy: Policy, now: datetime) -> None:
    claimed = cases.claim(case, "ana", now).case
    with pytest.raises(CaseConflictError, match="ana, who alone"):
        cases.resolve(claimed, "luis", "solved", "", now)
    resolved = cases.resolve(claimed, "ana", "solved", "", now + MINUTE).case
    assert (resolved.status, resolved.outcome, resolved.resolved_at) == (RESOLVED, "solved", now + MINUTE)
    assert not resolved.past_due(now + timedelta(9))
    reopened = cases.reopen(resolved, "ana", "It is back", policy.queues["care"], now + 2 * MINUTE).case
    assert (reopened.status, reopened.assignee, reopened.resolved_at, reopened.outcome) == (OPEN, "", None, "")
    assert reopened.first_resolved_at == now + MINUTE
    assert reopened.due_at == now + 2 * MINUTE + timedelta(hours=8)
    again = cases.resolve(reopened, "luis", "solved", "", now + 3 * MINUTE).case
    assert (again.first_resolved_at, again.resolved_at) == (now + MINUTE, now + 3 * MINUTE)


def test_a_transfer_frees_the_case_and_keeps_the_clock(case: Case, policy: Policy, now: datetime) -> None:
    claimed = cases.claim(case, "ana", now).case
    moved = cases.transfer(claimed, "luis", policy.queues["retention"], now + 30 * MINUTE).case
    assert (moved.queue, moved.status, moved.assignee, moved.transfer_count) == ("retention", OPEN, "", 1)
    assert moved.due_at == now + timedelta(hours=1), "counted from the opening"
    with pytest.raises(CaseConflictError, match="already is in retention"):
        cases.transfer(moved, "luis", policy.queues["retention"], now)


def test_a_more_important_message_moves_a_waiting_case_only(
    case: Case, event: MakeEvent, policy: Policy, now: datetime
) -> None:
    leaving = event(intents=("churn_risk",))
    made = plan([leaving], [case], policy, now + MINUTE)
    assert [each.type for each in made.case_events] == [cases.MESSAGE_ADDED, cases.TRANSFERRED]
    [moved] = made.changed_cases()
    assert (moved.queue, moved.rule, moved.sequence) == ("retention", "churn", 3)
    assert moved.due_at == now + MINUTE + timedelta(hours=1)
    less = plan([event(intents=("complaint",))], [moved], policy, now)
    assert [each.type for each in less.case_events] == [cases.MESSAGE_ADDED]
    held = plan([leaving], [cases.claim(case, "ana", now).case], policy, now)
    assert [each.type for each in held.case_events] == [cases.MESSAGE_ADDED], "it stays with its agent"


def test_a_long_text_is_cut_in_the_case(event: MakeEvent, policy: Policy, now: datetime) -> None:
    said = event(intents=("complaint",), text="x" * 50_000)
    made = plan([said], [], policy, now)
    assert len(made.case_events[0].case.text) == cases.MAX_TEXT_CHARACTERS
    assert made.messages[0].event.text == said.text


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["claim", "note", "resolve", "reopen", "transfer"]), st.sampled_from(["ana", "luis"])),
    max_size=15,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTIONS)
def test_whatever_is_tried_a_case_stays_sound(
    case: Case, policy: Policy, now: datetime, actions: list[tuple[str, str]]
) -> None:
    for minute, (action, agent) in enumerate(actions, 1):
        at = now + minute * MINUTE
        before = case
        try:
            happened = _do(case, action, agent, policy, at)
        except CaseConflictError:
            continue
        case = happened.case
        assert case.sequence == before.sequence + 1
        assert (case.status == RESOLVED) == (case.resolved_at is not None) == (case.outcome != "")
        assert (case.status in (CLAIMED, WAITING)) <= (case.assignee != "")
        assert case.status != OPEN or case.assignee == ""
        assert (case.reopen_count > 0 or case.status == RESOLVED) == (case.first_resolved_at is not None)


def _do(case: Case, action: str, agent: str, policy: Policy, at: datetime) -> CaseEvent:
    match action:
        case "claim":
            return cases.claim(case, agent, at)
        case "note":
            return cases.note(case, agent, "a note", at)
        case "resolve":
            return cases.resolve(case, agent, "solved", "", at)
        case "reopen":
            return cases.reopen(case, agent, "again", policy.queues[case.queue], at)
        case _:
            other = "care" if case.queue == "retention" else "retention"
            return cases.transfer(case, agent, policy.queues[other], at)
