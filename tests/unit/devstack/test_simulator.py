"""Simulated customers: deterministic by seed, each telling its story in order."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from voz_devstack.simulator import Happening, simulate
from voz_devstack.stories import Message, load_stories

STORIES = load_stories()


def events(seed: int, *, count: int = 600, run: str = "r", crowd: int = 20) -> list[Happening]:
    return list(islice(simulate(STORIES, seed=seed, run=run, crowd=crowd), count))


@given(seed=st.integers(0, 2**32))
def test_the_same_seed_tells_the_same(seed: int) -> None:
    assert events(seed, count=200) == events(seed, count=200)


@given(seed=st.integers(0, 2**32), crowd=st.integers(1, 50))
def test_every_customer_tells_one_story_from_its_beginning_in_order(seed: int, crowd: int) -> None:
    steps: dict[str, list[int]] = defaultdict(list)
    finished = set()
    for happening in events(seed, count=300, crowd=crowd):
        steps[happening.customer.id].append(happening.step)
        if happening.step + 1 == len(happening.customer.story.steps):
            finished.add(happening.customer.id)
        assert len(steps.keys() - finished) <= crowd
    assert all(numbers == list(range(len(numbers))) for numbers in steps.values())


def test_another_run_has_other_ids_and_says_the_same() -> None:
    one, other = events(7, run="one"), events(7, run="other")
    assert not {each.body["id"] for each in one} & {each.body["id"] for each in other}
    assert [each.body.get("text") for each in one] == [each.body.get("text") for each in other]


def test_every_story_is_told_before_one_is_told_again() -> None:
    told: list[str] = []
    seen = set()
    for happening in events(3, count=2000):
        if happening.customer.id not in seen:
            seen.add(happening.customer.id)
            told.append(happening.customer.story.id)
    # Arrivals are drawn in order but may speak first a little later than the next one.
    assert set(told[: len(STORIES) + 20]) == {story.id for story in STORIES}


def test_ids_are_unique_and_name_run_customer_and_step() -> None:
    happenings = events(1, count=3000)
    ids = [happening.body["id"] for happening in happenings]
    assert len(set(ids)) == len(ids)
    assert all(happening.body["id"] == f"{happening.customer.id}-{happening.step}" for happening in happenings)


def test_a_reply_is_outbound_in_the_channel_and_thread_of_what_it_answers() -> None:
    said: dict[str, Happening] = {}
    replies = 0
    for happening in events(5):
        if isinstance(happening.customer.story.steps[happening.step].what, Message):
            said[happening.customer.id] = happening
        elif happening.body.get("direction") == "outbound":
            question = said[happening.customer.id].body
            assert happening.body["channel"] == question["channel"]
            assert happening.body["conversation"] == {**question["conversation"], "reply_to": question["id"]}
            replies += 1
    assert replies > 20
