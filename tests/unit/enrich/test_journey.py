"""The journey's rules, and the laws of the fold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_enrich.domain.facts import (
    Behaviour,
    EventFacts,
    Metric,
    Payload,
    SubscriptionStatus,
    SurveyAnswer,
    TicketStatus,
    TransactionType,
)
from voz_enrich.domain.journey import JourneyState, Standing, advance, covers_less, decode, encode
from voz_enrich.domain.labels import Stage

Step = tuple[Payload | None, Stage | None]
NPS_9 = SurveyAnswer(Metric.NPS, 9, 0, 10, inverted=False)


def facts(payload: Payload | None = None, *, at: int = 0, inbound: bool = True, customer: bool = True) -> EventFacts:
    return EventFacts(inbound, customer, at, payload)


def walk(*steps: Step) -> list[Stage]:
    """The customer's stage after each event of a story."""
    state, stages = None, []
    for offset, (payload, suggested) in enumerate(steps):
        state = advance(state, facts(payload, at=offset), suggested, offset)
        assert state is not None
        stages.append(state.stage)
    return stages


def test_from_the_first_question_to_the_end() -> None:
    assert walk(
        (None, Stage.DISCOVER),
        (None, Stage.CONSIDER),
        (Behaviour("add_to_cart"), Stage.PURCHASE),
        (TransactionType.ORDER_PLACED, Stage.PURCHASE),
        (TransactionType.ORDER_PAID, Stage.ONBOARD),
        (TransactionType.ORDER_DELIVERED, Stage.USE),
        (TicketStatus.NEW, Stage.SUPPORT),
        (TicketStatus.SOLVED, Stage.SUPPORT),
        (NPS_9, Stage.ADVOCATE),
        (SubscriptionStatus.RENEWED, Stage.RENEW),
        (SubscriptionStatus.CANCELLED, Stage.LEAVE),
    ) == [
        Stage.DISCOVER,
        Stage.CONSIDER,
        Stage.PURCHASE,
        Stage.PURCHASE,
        Stage.ONBOARD,
        Stage.USE,
        Stage.SUPPORT,
        Stage.USE,
        Stage.ADVOCATE,
        Stage.RENEW,
        Stage.LEAVE,
    ]


@pytest.mark.parametrize(
    ("explicit", "suggested", "after"),
    [
        (TransactionType.ORDER_PLACED, Stage.CONSIDER, Stage.PURCHASE),
        (TransactionType.ORDER_PLACED, Stage.SUPPORT, Stage.SUPPORT),
        (SubscriptionStatus.CANCELLED, Stage.USE, Stage.LEAVE),
        (SubscriptionStatus.ENDED, Stage.ADVOCATE, Stage.LEAVE),
        (TicketStatus.OPEN, Stage.ADVOCATE, Stage.SUPPORT),
        (TicketStatus.OPEN, Stage.LEAVE, Stage.LEAVE),
        (Behaviour("sign_up"), Stage.DISCOVER, Stage.ONBOARD),
    ],
)
def test_an_explicit_event_outranks_what_text_suggests(explicit: Payload, suggested: Stage, after: Stage) -> None:
    assert walk((explicit, None), (None, suggested))[-1] is after


def test_only_an_explicit_event_brings_back_who_is_gone() -> None:
    assert walk((SubscriptionStatus.CANCELLED, None), (None, Stage.PURCHASE), (SubscriptionStatus.STARTED, None)) == [
        Stage.LEAVE,
        Stage.LEAVE,
        Stage.ONBOARD,
    ]


def test_a_solved_ticket_ends_support_and_nothing_else() -> None:
    assert walk((TransactionType.ORDER_PAID, None), (TicketStatus.SOLVED, None))[-1] is Stage.ONBOARD
    assert walk((TicketStatus.OPEN, None), (None, Stage.LEAVE), (TicketStatus.CLOSED, None))[-1] is Stage.LEAVE


def test_clicks_say_where_a_prospect_is_and_leave_a_customer_alone() -> None:
    assert walk((Behaviour("page_view"), None)) == [Stage.DISCOVER]
    assert walk((None, Stage.CONSIDER), (Behaviour("page_view"), None))[-1] is Stage.CONSIDER
    assert walk((TransactionType.ORDER_DELIVERED, None), (Behaviour("checkout"), Stage.PURCHASE))[-1] is Stage.USE


def test_a_late_event_does_not_move_the_customer() -> None:
    state = advance(None, facts(TransactionType.ORDER_DELIVERED, at=1_000), None, 0)
    state = advance(state, facts(TransactionType.ORDER_PLACED, at=999), None, 1)
    assert state == JourneyState(Stage.USE, Standing.CUSTOMER, 1_000, 1)


def test_since_is_when_the_customer_was_moved() -> None:
    state = advance(None, facts(at=10), Stage.USE, 0)
    state = advance(state, facts(at=20), Stage.USE, 1)
    assert state is not None
    assert state.since_ms == 10
    state = advance(state, facts(at=30), Stage.SUPPORT, 2)
    assert state is not None
    assert state.since_ms == 30


def test_what_others_do_leaves_the_journey_alone() -> None:
    assert advance(None, facts(inbound=False), Stage.USE, 0) is None
    assert advance(None, facts(customer=False), Stage.USE, 0) is None
    state = JourneyState(Stage.USE, Standing.CUSTOMER, 5, 3)
    assert advance(state, facts(at=9, inbound=False), Stage.LEAVE, 4) is state
    assert advance(state, facts(SubscriptionStatus.ENDED, at=9, customer=False), None, 4) is state


payloads = st.one_of(
    st.none(),
    st.sampled_from([*TransactionType, *SubscriptionStatus, *TicketStatus]),
    st.builds(Behaviour, st.sampled_from(["page_view", "sign_up", "add_to_cart", "rage_click"])),
    st.just(NPS_9),
)
events = st.lists(
    st.tuples(
        st.builds(EventFacts, st.booleans(), st.booleans(), st.integers(0, 50), payloads),
        st.one_of(st.none(), st.sampled_from(Stage)),
    ),
    max_size=20,
)


@given(events, st.integers(0, 20))
def test_a_replay_from_anywhere_gives_the_same_state(story: list[tuple[EventFacts, Stage | None]], again: int) -> None:
    """Events that a state covers already change nothing, so a crash may repeat any of them."""
    state = None
    for offset, (event, suggested) in enumerate(story):
        state = advance(state, event, suggested, offset)
    repeated = state
    for offset, (event, suggested) in list(enumerate(story))[again:]:
        if state is not None and offset <= state.covers:
            repeated = advance(repeated, event, suggested, offset)
    assert repeated == state


states = st.builds(
    JourneyState, st.sampled_from(Stage), st.sampled_from(Standing), st.integers(-(2**46), 2**46), st.integers(0, 2**47)
)


@given(states, states)
def test_an_encoded_state_comes_back_and_compares_by_what_it_covers(one: JourneyState, other: JourneyState) -> None:
    assert decode(encode(one)) == one
    assert len(encode(one)) == 13
    assert covers_less(encode(one), encode(other)) == (one.covers < other.covers)


@pytest.mark.parametrize("value", [b"", b"x" * 12, b"\xf0" + bytes(12), b"\x0f" + bytes(12)])
def test_what_is_no_state_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a journey state|not a valid Standing"):
        decode(value)
