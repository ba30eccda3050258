"""The laws of the journey's fold, for any story: redelivery, restarts, late events, stray messages, rank."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voz_enrich.domain.facts import (
    Behaviour,
    EventFacts,
    Metric,
    Payload,
    Profile,
    Retraction,
    SurveyAnswer,
    TicketStatus,
    TransactionType,
)
from voz_enrich.domain.journey import DAY_MS, DEPTH, EXPLICIT, HOUR_MS, Step, advance, step
from voz_enrich.domain.journey_state import Hint, JourneyState, Standing, covers_less, decode, encode
from voz_enrich.domain.labels import Stage

Event = tuple[EventFacts, Stage | None]
RISK_MS = 10 * DAY_MS
SETTLING = {TransactionType.ORDER_DELIVERED, TransactionType.REFUND, TransactionType.RETURN, *TicketStatus}
POSSIBLE = {
    Standing.PROSPECT: set(Stage),
    Standing.CUSTOMER: set(Stage) - {Stage.DISCOVER, Stage.CONSIDER},
    Standing.IN_SUPPORT: {Stage.SUPPORT, Stage.LEAVE},
    Standing.GONE: {Stage.LEAVE},
}

explicit = st.sampled_from(list(EXPLICIT))
# Those that settle something (a ticket, a delivery, a refund) say nothing when there is nothing to settle.
deciding = st.sampled_from([each for each in EXPLICIT if each not in SETTLING])
payloads = st.one_of(
    st.none(),
    explicit,
    st.builds(Behaviour, st.sampled_from(["page_view", "sign_up", "add_to_cart", "rage_click"])),
    st.sampled_from([SurveyAnswer(Metric.NPS, 9, 0, 10, inverted=False), Retraction(), Profile()]),
)
stages = st.sampled_from(Stage)
# Hours, so that conversations, confirmations and what is too old all come up.
times = st.integers(-5, 60).map(lambda n: n * n * HOUR_MS // 2)
two_times = st.tuples(times, times).map(sorted).filter(lambda pair: pair[0] < pair[1]).map(tuple)
arrivals = st.lists(st.integers(0, 1), min_size=2, max_size=6).filter(lambda order: len(set(order)) == 2)
yes = st.integers(0, 9).map(bool)
events: st.SearchStrategy[Event] = st.tuples(
    st.builds(EventFacts, yes, yes, times, payloads, st.booleans()), st.none() | stages
)
stories = st.lists(events, max_size=25)
milliseconds = st.integers(-(2**46), 2**46)


@st.composite
def any_state(draw: st.DrawFn) -> JourneyState:
    standing = draw(st.sampled_from(Standing))
    return JourneyState(
        stage=draw(stages),
        standing=standing,
        since_ms=draw(milliseconds),
        heard_ms=draw(milliseconds),
        covers=draw(st.integers(0, 2**47)),
        explicit_ms=None if standing is Standing.PROSPECT else draw(milliseconds),
        hint=draw(st.none() | st.builds(Hint, stages, milliseconds)),
    )


def told(story: list[Event], state: JourneyState | None = None) -> tuple[JourneyState | None, list[Step | None]]:
    """The last state, and what each event was to the journey, in order from offset 0."""
    steps = []
    for offset, (facts, suggested) in enumerate(story):
        before, state = state, advance(state, facts, suggested, offset)
        steps.append(step(before, state, facts, RISK_MS) if state else None)
    return state, steps


@given(stories, st.lists(st.integers(0, 24), max_size=10))
def test_redelivery_of_any_part_changes_nothing(story: list[Event], again: list[int]) -> None:
    state, _ = told(story)
    for offset in again:
        if state is not None and offset <= state.covers and offset < len(story):
            assert advance(state, *story[offset], offset) is state


@given(stories, st.integers(0, 25), st.integers(0, 25))
def test_a_restart_anywhere_changes_neither_states_nor_what_is_published(
    story: list[Event], written: int, position: int
) -> None:
    """After a crash the state of `written` events is read back, and events are replayed from any position before it:
    those that it covers change nothing, and the others are what they were."""
    position = min(position, written)
    straight, published = told(story)
    kept, _ = told(story[:written])
    state = decode(encode(kept)) if kept else None
    again: list[Step | None] = []
    for offset, (facts, suggested) in list(enumerate(story))[position:]:
        before, state = state, advance(state, facts, suggested, offset)
        again.append(step(before, state, facts, RISK_MS) if state else None)
        state = decode(encode(state)) if state else None
    assert state == straight
    assert again[written - position :] == published[written:]


@given(stories, stages, times)
def test_one_stray_message_moves_nobody_backwards(story: list[Event], suggested: Stage, at: int) -> None:
    """Whatever came before, as long as it was not the same suggestion."""
    story = [(facts, None if said is suggested else said) for facts, said in story]
    before, _ = told(story)
    after = advance(before, EventFacts(True, True, at, None), suggested, len(story))
    assert after is not None
    assert before is None or DEPTH[after.stage] >= DEPTH[before.stage]


@given(stories, st.lists(st.tuples(st.integers(0, 25), times, stages), max_size=10))
def test_no_text_changes_what_explicit_events_have_made_of_a_customer(
    story: list[Event], texts: list[tuple[int, int, Stage]]
) -> None:
    mixed = list(story)
    for place, at, suggested in texts:
        mixed.insert(place, (EventFacts(True, True, at, None), suggested))
    alone, _ = told([(facts, None) for facts, _ in story])
    beside, _ = told(mixed)
    if alone is not None:
        assert beside is not None
        assert (beside.standing, beside.explicit_ms) == (alone.standing, alone.explicit_ms)


@given(stories.filter(bool))
@settings(max_examples=300)
def test_where_a_customer_is_fits_what_they_are(story: list[Event]) -> None:
    _, steps = told(story)
    for state in [each.after for each in steps if each]:
        assert (state.explicit_ms is None) is (state.standing is Standing.PROSPECT)
        assert state.stage in POSSIBLE[state.standing]


@given(stories, explicit, st.integers(0, DAY_MS))
def test_an_explicit_event_is_obeyed_at_once(story: list[Event], payload: Payload, later: int) -> None:
    """Unless there is nothing to settle: a ticket that isn't open is solved, somebody who is gone gets a refund."""
    before, _ = told(story)
    at = max([facts.occurred_at_ms for facts, _ in story], default=0) + later
    after = advance(before, EventFacts(True, True, at, payload), None, len(story))
    assert after is not None
    gone = before is not None and before.standing is Standing.GONE
    solved = payload in (TicketStatus.SOLVED, TicketStatus.CLOSED)
    if not solved and (payload not in SETTLING or not gone):
        assert (after.stage, after.standing) == EXPLICIT[payload]


@given(explicit, times, stages, times)
def test_a_message_and_an_explicit_event_come_to_the_same_in_either_order(
    payload: Payload, certain_at: int, suggested: Stage, said_at: int
) -> None:
    """The message that is faster than the event before it: an explicit event outranks it, late as it is."""
    if said_at <= certain_at or payload in (TicketStatus.SOLVED, TicketStatus.CLOSED):
        return
    certain: Event = (EventFacts(True, True, certain_at, payload), None)
    message: Event = (EventFacts(True, True, said_at, None), suggested)
    one, other = told([certain, message])[0], told([message, certain])[0]
    assert one is not None
    assert other is not None
    assert (one.stage, one.standing, one.since_ms, one.explicit_ms) == (
        other.stage,
        other.standing,
        other.since_ms,
        other.explicit_ms,
    )


@given(stories, explicit, deciding, two_times, arrivals)
@settings(max_examples=300)
def test_of_two_explicit_events_the_later_decides_in_whichever_order_and_however_often_they_come(
    story: list[Event], first: Payload, second: Payload, at: tuple[int, int], order: list[int]
) -> None:
    """Again at an offset of its own, too: a source that sends a page once more after a crash does that."""
    pair = [(EventFacts(True, True, when, payload), None) for when, payload in zip(at, (first, second), strict=True)]
    straight, _ = told([*story, *pair])
    mixed, _ = told(arrived := [*story, *(pair[which] for which in order)])
    assert straight is not None
    assert mixed is not None
    assert (mixed.standing, mixed.explicit_ms) == (straight.standing, straight.explicit_ms)
    if all(facts.occurred_at_ms <= at[1] for facts, _ in story):  # what was said later may have moved them on
        assert (mixed.stage, mixed.standing, mixed.explicit_ms) == (*EXPLICIT[second], at[1])
    assert all(advance(mixed, *event, offset) is mixed for offset, event in enumerate(arrived))


@given(stories, explicit, explicit, two_times, st.lists(st.tuples(times, stages), max_size=4))
@settings(max_examples=300)
def test_an_explicit_event_before_the_one_that_decided_is_not_made_up_for(
    story: list[Event], first: Payload, second: Payload, at: tuple[int, int], said: list[tuple[int, Stage]]
) -> None:
    """And one that said nothing when it came (a solved ticket that wasn't open yet) is as if it had not been."""
    earlier, later = (
        (EventFacts(True, True, when, each), None) for when, each in zip(at, (first, second), strict=True)
    )
    texts: list[Event] = [(EventFacts(True, True, when, None), suggested) for when, suggested in said]
    decided, _ = told([*story, later, *texts])
    both, steps = told([*story, later, *texts, earlier])
    assert decided is not None
    assert both is not None
    assert steps[-1] is not None
    if decided.explicit_ms == at[1]:
        assert both == replace(decided, covers=both.covers, heard_ms=both.heard_ms)
        assert steps[-1].transition is None
    else:
        alone, _ = told([*story, earlier])
        assert alone is not None
        assert (both.standing, both.explicit_ms) == (alone.standing, alone.explicit_ms)


@given(stories, explicit, times, st.lists(st.tuples(st.integers(1, 60), stages), max_size=4))
@settings(max_examples=300)
def test_an_explicit_event_that_is_sent_once_more_changes_nothing(
    story: list[Event], payload: Payload, at: int, said: list[tuple[int, Stage]]
) -> None:
    """At an offset of its own, and after what was said since."""
    event = (EventFacts(True, True, at, payload), None)
    texts: list[Event] = [(EventFacts(True, True, at + hours * HOUR_MS, None), stage) for hours, stage in said]
    once, _ = told([*story, event, *texts])
    twice, steps = told([*story, event, *texts, event])
    assert once is not None
    assert twice is not None
    assert twice == replace(once, covers=twice.covers)
    assert steps[-1] is None or steps[-1].transition is None


@given(stories)
def test_transitions_are_a_chain_from_nowhere_to_the_stage_now(story: list[Event]) -> None:
    state, steps = told(story)
    here: Stage | None = None
    for each in steps:
        if each and each.transition:
            assert each.transition.start is here
            assert each.transition.end is each.after.stage
            assert each.transition.lasted_ms is None or each.transition.lasted_ms >= 0
            here = each.transition.end
    assert here is (state.stage if state else None)


@given(any_state(), events)
def test_any_state_and_any_event_have_an_answer(state: JourneyState, event: Event) -> None:
    facts, suggested = event
    after = advance(state, facts, suggested, state.covers + 1)
    assert after is not None
    assert decode(encode(after)) == after
    assert step(state, after, facts, RISK_MS).silence_ms is not None


@given(any_state(), any_state())
def test_an_encoded_state_comes_back_and_compares_by_what_it_covers(one: JourneyState, other: JourneyState) -> None:
    assert decode(encode(one)) == one
    assert len(encode(one)) == (32 if one.hint else 25)
    assert covers_less(encode(one), encode(other)) == (one.covers < other.covers)


@pytest.mark.parametrize(
    "value", [b"", b"x" * 13, b"\xf0" + bytes(24), b"\x0f" + bytes(24), bytes(25) + b"\xff" + bytes(6)]
)
def test_what_is_no_state_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a journey state|not a valid Standing"):
        decode(value)
