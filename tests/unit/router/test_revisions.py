"""Messages that their authors edit or take back: what cases hold of them, and what is still acted upon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voz_router.domain.cases import Case, resolve
from voz_router.domain.decisions import JOINED, NONE, OPENED, REPLIED
from voz_router.domain.events import Event
from voz_router.domain.policy import Policy
from voz_router.domain.revisions import MessageKey, MessageState, Revised, messages_of
from voz_router.domain.routing import SUPERSEDED, TAKEN_BACK, TAKES_BACK, Plan, plan

MakeEvent = Callable[..., Event]
MINUTE = timedelta(minutes=1)
MESSAGE = UUID(int=1)


class Store:
    """What the routing store keeps, in memory."""

    def __init__(self, policy: Policy, now: datetime) -> None:
        self.policy, self.now = policy, now
        self.cases: dict[UUID, Case] = {}
        self.states: dict[MessageKey, MessageState] = {}
        self.messages: dict[tuple[UUID, UUID], Event] = {}
        self.applied: set[UUID] = set()

    def route(self, *events: Event) -> Plan:
        """As the consumer does: events that were applied before are dropped."""
        fresh = [event for event in {event.id: event for event in events}.values() if event.id not in self.applied]
        self.applied |= {event.id for event in fresh}
        messages, revised = messages_of(fresh)
        states = {key: self.states.get(key, MessageState()) for key in messages if key in revised | self.states.keys()}
        holders = {
            key: tuple(case_id for case_id, message_id in self.messages if message_id == key[1]) for key in revised
        }
        held = tuple(self.cases[each] for each in {each for ids in holders.values() for each in ids})
        active = [case for case in self.cases.values() if case.active]
        made = plan(fresh, active, self.policy, self.now, Revised(states, holders, held))
        for message in made.messages:
            self.messages[message.case_id, message.event.message_id] = message.event
        for (_, message_id), event in made.changes.items():
            for key in [key for key in self.messages if key[1] == message_id]:
                self.messages[key] = event
        self.cases |= {happened.case.id: happened.case for happened in made.case_events}
        self.states |= made.states
        return made


@pytest.fixture
def store(policy: Policy, now: datetime) -> Store:
    return Store(policy, now)


@pytest.fixture
def said(event: MakeEvent) -> Callable[..., Event]:
    """Makes a version of the message: number 0 is the original; None takes it back."""

    def make(number: int | None, **given: Any) -> Event:
        base = {"id": UUID(int=100 + number) if number else MESSAGE, "text": f"version {number}"}
        if number is None:
            base = {"id": UUID(int=99), "kind": "behaviour", "text": "", "deletes": True}
        revises = {"revises": MESSAGE} if number != 0 else {}
        return event(**base | revises | {"version": str(number) if number else ""} | given)

    return make


COMPLAINT: dict[str, Any] = {"intents": ("complaint",), "sentiment": "negative"}


def test_an_edit_takes_the_place_of_what_was_said(store: Store, said: MakeEvent) -> None:
    store.route(said(0, **COMPLAINT))
    made = store.route(said(1, intents=("complaint",), topic="billing"))
    (case,) = store.cases.values()
    assert [each.type for each in made.case_events] == ["message_edited"]
    assert (case.text, case.signals.topic, case.message_count, case.sequence) == ("version 1", "billing", 1, 2)
    assert (made.decisions[0].effect, made.decisions[0].case_id) == (JOINED, case.id)
    assert [message.text for message in store.messages.values()] == ["version 1"]


def test_an_edit_of_a_later_message_leaves_the_cases_text_alone(
    store: Store, said: MakeEvent, event: MakeEvent
) -> None:
    store.route(event(**COMPLAINT, text="the first"))
    store.route(said(0, intents=("question",)))
    store.route(said(1, intents=("question",)))
    (case,) = store.cases.values()
    assert (case.text, case.message_count) == ("the first", 2)
    assert sorted(message.text for message in store.messages.values()) == ["the first", "version 1"]


def test_an_edit_can_still_move_a_case_that_waits(store: Store, said: MakeEvent) -> None:
    store.route(said(0, **COMPLAINT))
    made = store.route(said(1, intents=("churn_risk",)))
    assert [each.type for each in made.case_events] == ["message_edited", "transferred"]
    assert made.case_events[-1].case.queue == "retention"


def test_an_edit_of_what_nobody_cared_for_is_decided_as_new(store: Store, said: MakeEvent) -> None:
    assert store.route(said(0, intents=("praise",))).decisions[0].effect == NONE
    made = store.route(said(1, **COMPLAINT))
    assert made.decisions[0].effect == OPENED
    assert [message.edited for message in made.messages] == [True]


def test_what_was_taken_back_leaves_its_case_which_stays(store: Store, said: MakeEvent) -> None:
    store.route(said(0, **COMPLAINT))
    made = store.route(said(None))
    (case,) = store.cases.values()
    assert [each.type for each in made.case_events] == ["message_deleted"]
    assert (case.text, case.active, case.queue) == ("", True, "care")
    assert (made.decisions[0].effect, made.decisions[0].reason) == (NONE, TAKES_BACK)
    assert [message.text for message in store.messages.values()] == [""]
    assert store.route(replace(said(None), id=UUID(int=98))).case_events == [], "once is enough"


def test_a_resolved_case_forgets_too(store: Store, said: MakeEvent, now: datetime) -> None:
    store.route(said(0, **COMPLAINT))
    (case,) = store.cases.values()
    store.cases[case.id] = resolve(case, "ana", "solved", "", now).case
    store.route(said(None))
    assert (store.cases[case.id].text, store.cases[case.id].status) == ("", "resolved")


def test_everything_may_come_in_one_batch_or_late(store: Store, said: MakeEvent) -> None:
    made = store.route(said(2, **COMPLAINT), said(0, **COMPLAINT), said(1, **COMPLAINT), said(None), said(3))
    assert [each.reason for each in made.decisions] == [
        "A complaint",
        SUPERSEDED,
        SUPERSEDED,
        TAKES_BACK,
        TAKEN_BACK,
    ]
    (case,) = store.cases.values()
    assert (case.text, case.message_count) == ("", 1)


@pytest.mark.parametrize("first", [None, 5])
def test_what_is_no_longer_said_opens_nothing(store: Store, said: MakeEvent, first: int | None) -> None:
    store.route(said(first, intents=("other",)))
    made = store.route(said(0, **COMPLAINT))
    assert (made.decisions[0].act, made.decisions[0].effect, made.case_events) == (False, NONE, [])


def test_an_edited_answer_is_no_second_answer(store: Store, said: MakeEvent, event: MakeEvent, now: datetime) -> None:
    store.route(event(**COMPLAINT))
    outbound = {"direction": "outbound", "occurred_at": now + MINUTE}
    assert store.route(said(0, **outbound)).decisions[0].effect == REPLIED
    made = store.route(said(1, **outbound))
    assert [each.type for each in made.case_events] == ["message_edited"]


@pytest.mark.parametrize("kind", ["ticket", "behaviour", "transaction", "profile", "survey"])
def test_only_a_message_of_the_company_is_an_answer(store: Store, event: MakeEvent, now: datetime, kind: str) -> None:
    store.route(event(**COMPLAINT))
    made = store.route(event(kind=kind, direction="outbound", occurred_at=now + MINUTE, text=""))
    (case,) = store.cases.values()
    assert (made.decisions[0].effect, made.decisions[0].reason) == (NONE, "The company's doing, and no answer")
    assert case.first_response_at is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.lists(st.sampled_from([0, 1, 2, 3, None]), min_size=1, max_size=9),
    sizes=st.lists(st.integers(1, 3), min_size=9, max_size=9),
    acted_upon=st.sets(st.sampled_from([0, 1, 2, 3])),
)
def test_in_any_order_cases_hold_the_newest_version_or_nothing(
    policy: Policy,
    now: datetime,
    said: MakeEvent,
    order: list[int | None],
    sizes: list[int],
    acted_upon: set[int],
) -> None:
    store, left = Store(policy, now), list(order)
    for size in sizes:
        batch, left = left[:size], left[size:]
        store.route(*(said(each, **(COMPLAINT if each in acted_upon else {})) for each in batch))
    newest = max((each for each in order if each is not None), default=None)
    words = {message.text for message in store.messages.values()} | {case.text for case in store.cases.values()}
    assert words <= ({""} if None in order else {f"version {newest}"})
    assert all(case.message_count == 1 for case in store.cases.values())
    assert len(store.cases) <= 1
    state = store.states.get(("acme", MESSAGE), MessageState())
    assert state.deleted == (None in order)
