"""Edits and deletions: any order and any batches of a message's versions end as the surviving version alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from voz_metrics_api.domain.dimensions import Dimensions
from voz_metrics_api.domain.facts import CustomerFacts, EventFacts
from voz_metrics_api.domain.revisions import EventKey, MessageKey, MessageState, messages_of, settle

START = datetime(2026, 11, 24, tzinfo=UTC)
MESSAGES = 2


def version_of(message: int, number: int, *, deletes: bool = False) -> EventFacts:
    """Number 0 is the original; the others are edits, or a deletion."""
    original = UUID(int=message * 100)
    return EventFacts(
        tenant="acme",
        event_id=UUID(int=message * 100 + number),
        occurred_at=START + timedelta(minutes=number),
        customer=CustomerFacts("k"),
        dimensions=Dimensions(direction="inbound"),
        revises=original if number else None,
        deletes=deletes,
        version=f"{number}" if number else "",
    )


class Store:
    """What the effects do to rollups, timelines and states, in memory."""

    def __init__(self) -> None:
        self.counted: set[EventKey] = set()
        self.touchpoints: dict[EventKey, bool] = {}
        self.states: dict[MessageKey, MessageState] = {}
        self.applied: set[EventKey] = set()

    def apply(self, batch: list[EventFacts]) -> None:
        new = {event.key: event for event in batch}
        fresh = [event for key, event in new.items() if key not in self.applied]
        self.applied |= new.keys()
        messages, revised = messages_of(fresh)
        held = {key: self.states[key] for key in messages if key in self.states}
        for key in revised - held.keys():
            held[key] = MessageState(newest=key[1]) if key in self.touchpoints else MessageState()
        done = settle(fresh, held)
        self.states |= done.states
        assert done.uncounted <= self.counted, "only what was counted can be undone"
        assert done.hidden | done.blanked <= self.touchpoints.keys()
        self.counted -= done.uncounted
        self.counted |= {event.key for event in done.counting}
        for key in done.hidden:
            del self.touchpoints[key]
        shown = [(event, False) for event in done.shown] + [(event, True) for event in done.shown_blank]
        self.touchpoints |= dict.fromkeys(done.blanked, True)
        self.touchpoints |= {event.key: blank for event, blank in shown}


stories = st.lists(
    st.builds(
        lambda message, number, deletes: version_of(message, number, deletes=deletes and number == 9),
        message=st.integers(1, MESSAGES),
        number=st.integers(0, 3) | st.just(9),
        deletes=st.just(True),
    ),
    max_size=12,
)


@given(stories, st.lists(st.integers(1, 4), min_size=12, max_size=12))
def test_any_order_and_any_batches_end_as_the_surviving_version_alone(
    story: list[EventFacts], sizes: list[int]
) -> None:
    store, left = Store(), list(story)
    for size in sizes:
        store.apply(left[:size])
        left = left[size:]
    store.apply(left)
    store.apply(story)  # and all of it again

    counted: set[EventKey] = set()
    touchpoints: dict[EventKey, bool] = {}
    for message in range(1, MESSAGES + 1):
        mine = [event for event in story if event.message_id == UUID(int=message * 100)]
        deletions = [event for event in mine if event.deletes]
        versions = [event for event in mine if not event.deletes]
        counted |= {event.key for event in deletions}
        touchpoints |= {event.key: False for event in deletions}
        if versions:
            newest = max(versions, key=lambda event: event.version)
            key = newest.key
            touchpoints[key] = bool(deletions)
            counted |= set() if deletions else {key}
    assert store.counted == counted
    assert store.touchpoints == touchpoints


def test_an_event_that_nobody_revises_is_left_alone() -> None:
    plain = version_of(1, 0)
    done = settle([plain], {})
    assert (done.counting, done.shown, done.touched, done.states) == ([plain], [plain], set(), {})
