"""Profiles: the order of events never shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_metrics_api.domain.counters import Counters
from voz_metrics_api.domain.dimensions import Dimensions
from voz_metrics_api.domain.facts import CustomerFacts, EventFacts
from voz_metrics_api.domain.friction import rank
from voz_metrics_api.domain.profiles import MAX_HANDLES, MAX_KNOWN, Profile

START = datetime(2026, 11, 24, tzinfo=UTC)
words = st.sampled_from(["", "a", "b", "c"])
events = st.builds(
    EventFacts,
    tenant=st.just("acme"),
    event_id=st.integers(0, 5).map(lambda number: UUID(int=number)),
    occurred_at=st.integers(0, 5).map(lambda minutes: START + timedelta(minutes=minutes)),
    customer=st.builds(CustomerFacts, st.just("k"), words, st.text(max_size=2), words, st.integers(0, 3)),
    dimensions=st.builds(
        Dimensions,
        direction=st.sampled_from(["inbound", "outbound"]),
        source=words,
        sentiment=st.sampled_from(["", "negative", "positive"]),
        language=words,
    ),
    sentiment_score=st.none() | st.sampled_from([-0.5, 0.25]),
    journey_stage=words,
    journey_since=st.none() | st.just(START),
    heard_at=st.none() | st.just(START) | st.just(START + timedelta(minutes=9)),
    position=st.integers(0, 3),
    known=st.dictionaries(st.text(max_size=1), words.filter(bool), max_size=3),
)


@given(st.lists(events, min_size=1, max_size=8), st.randoms())
def test_events_in_any_order_and_any_batches_make_the_same_profile(told: list[EventFacts], random: Random) -> None:
    straight = reduce(Profile.merge, map(Profile.of, told))
    shuffled = [Profile.of(event) for event in told]
    random.shuffle(shuffled)
    while len(shuffled) > 1:
        at = random.randrange(len(shuffled) - 1)
        shuffled[at : at + 2] = [shuffled[at].merge(shuffled[at + 1])]
    assert shuffled[0] == straight
    assert straight.events == len(told)


def journey_event(stage: str, minute: int, heard: int, position: int) -> EventFacts:
    """An event of a minute, after which enrich has heard the customer at another."""
    at, heard_at = (START + timedelta(minutes=each) for each in (minute, heard))
    customer, id_ = CustomerFacts("k"), UUID(int=9 - position)
    return EventFacts(
        "acme", id_, at, customer, Dimensions(), journey_stage=stage, heard_at=heard_at, position=position
    )


def test_a_late_event_that_moved_the_customer_is_what_is_known() -> None:
    spoke, ended, written = (
        journey_event("use", minute=10, heard=10, position=1),
        journey_event("leave", minute=5, heard=10, position=2),
        journey_event("leave", minute=4, heard=10, position=3),
    )
    assert reduce(Profile.merge, map(Profile.of, [written, ended, spoke])).value("stage") == "leave"
    assert reduce(Profile.merge, map(Profile.of, [ended, spoke])).value("stage") == "leave"


@pytest.mark.parametrize("stage", ["use", "support"])
def test_silence_is_judged_when_it_is_asked(stage: str) -> None:
    profile = Profile.of(journey_event(stage, minute=0, heard=0, position=1))
    days = timedelta(days=30)
    assert not profile.at_risk(START + days - timedelta(seconds=1), days)
    assert profile.at_risk(START + days, days) is (stage == "use")


def test_a_profile_stays_bounded() -> None:
    parts = [
        EventFacts(
            "acme",
            UUID(int=number),
            START,
            CustomerFacts("k", id="c-1", handle=f"@{number}"),
            Dimensions(source="x"),
            known={f"attribute {number}": "1"},
        )
        for number in range(500)
    ]
    profile = reduce(Profile.merge, map(Profile.of, parts))
    assert len(profile.known) == MAX_KNOWN
    assert len(profile.handles) == MAX_HANDLES
    assert profile.value("id") == "c-1", "what Voz itself knows comes before attributes"


@given(st.dictionaries(st.tuples(words, words), st.integers(0, 50), max_size=9))
def test_friction_adds_up_to_the_pain_of_the_whole_journey(cells: dict[tuple[str, str], int]) -> None:
    counters = {
        cell: Counters(judged=2 * hurt, negative=hurt, hurt_complaint=hurt // 2, high_effort=hurt // 3)
        for cell, hurt in cells.items()
    }
    ranked = rank(counters)
    assert [item.score for item in ranked] == sorted((item.score for item in ranked), reverse=True)
    pain = sum(c.negative + c.hurt_complaint + c.high_effort for c in counters.values())
    judged = sum(c.judged for c in counters.values())
    assert abs(sum(item.score for item in ranked) - (100 * pain / (3 * judged) if judged else 0)) < 1e-6
