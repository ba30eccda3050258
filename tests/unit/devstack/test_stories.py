"""The shipped stories are what the demo promises: six languages, coherent lengths, every kind of event."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from voz_devstack.desk import NOTES, REOPENED
from voz_devstack.stories import (
    Behaviour,
    Message,
    Reply,
    Story,
    StoryError,
    Subscription,
    SurveyAnswer,
    Ticket,
    Transaction,
    load_stories,
    parse_stories,
)

LANGUAGES = {"es", "en", "pt", "fr", "de", "it"}
STORIES = load_stories()


def by_language() -> dict[str, list[Story]]:
    found: dict[str, list[Story]] = defaultdict(list)
    for story in STORIES:
        found[story.language].append(story)
    return found


def test_every_language_has_a_dozen_stories_of_four_to_nine_steps() -> None:
    found = by_language()
    assert found.keys() == LANGUAGES
    assert all(len(stories) >= 12 for stories in found.values())
    assert all(4 <= len(story.steps) <= 9 for story in STORIES)


def test_ids_and_texts_are_told_once() -> None:
    assert len({story.id for story in STORIES}) == len(STORIES)
    texts = Counter(
        step.what.text for story in STORIES for step in story.steps if isinstance(step.what, Message | Reply)
    )
    assert [text for text, times in texts.items() if times > 1] == []


@pytest.mark.parametrize("kind", [Message, Reply, SurveyAnswer, Transaction, Subscription, Behaviour, Ticket])
def test_every_language_tells_of_every_kind_of_event(kind: type) -> None:
    for language, stories in by_language().items():
        assert any(isinstance(step.what, kind) for story in stories for step in story.steps), language


def test_a_reply_follows_something_said() -> None:
    for story in STORIES:
        said = False
        for step in story.steps:
            said = said or isinstance(step.what, Message)
            assert said or not isinstance(step.what, Reply), story.id


def test_some_stories_end_in_leaving_and_some_in_recommending() -> None:
    for stories in by_language().values():
        assert any(story.outcome == "left" for story in stories)
        assert any(
            isinstance(step.what, SurveyAnswer) and step.what.metric == "nps" and step.what.score >= 9
            for story in stories
            for step in story.steps
        )


def test_agents_have_words_in_every_language() -> None:
    assert NOTES.keys() == REOPENED.keys() == LANGUAGES


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        ("survey: nps 11", "nps goes from 0 to 10"),
        ("survey: mood 3", "mood"),
        ("telegram: hola", "unknown step telegram"),
        ("{after: soon, chat: hola}", "not a duration"),
    ],
)
def test_a_story_that_cannot_be_read_is_named(step: str, wrong: str) -> None:
    text = f"""
language: es
names: {{f: [Ana], m: [Luis], family: [Gil]}}
stories:
- id: es-uno
  who: f
  about: {{}}
  note: Hecho.
  steps:
  - {step}
"""
    with pytest.raises(StoryError, match=rf"es-uno, step 1: .*{wrong}"):
        parse_stories(text)
