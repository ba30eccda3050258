"""`voz-enrich analyze --explain`: each word moves what it moves, at the characters where it stands."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from voz_enrich.analyze import Wanted, answer
from voz_enrich.explain import MAX_WORDS, Word, explain
from voz_enrich.terminal import printable, wants_colour

from .word_model import WordModel

pytestmark = pytest.mark.unit
MODEL = WordModel()


def explained(text: str) -> list[Word]:
    return explain(MODEL, text, None, MODEL.analyse([text])[0])


def shown(text: str, wanted: Wanted) -> tuple[str, str]:
    output, errors = io.StringIO(), io.StringIO()
    line = json.dumps({"id": "a", "text": text}).encode()
    assert answer(MODEL, io.BytesIO(line), output, errors, wanted) == 0
    return output.getvalue(), errors.getvalue()


def test_a_word_has_moved_what_is_missing_without_it() -> None:
    assert explained("good shop, bad refund") == [
        Word("good", 0, 4, 0.25, 0.0),
        Word("shop,", 5, 10, 0.0, 0.0),
        Word("bad", 11, 14, -0.25, 0.0),
        Word("refund", 15, 21, 0.0, 0.8),
    ]


def test_offsets_are_those_of_the_text_as_given() -> None:
    text = "  \n¡good\u00a0👍🏽  bad!\t"
    words = explained(text)
    assert [text[each.start : each.end] for each in words] == [each.word for each in words] == ["¡good", "👍🏽", "bad!"]


def test_what_is_said_twice_hides_itself() -> None:
    assert [each.intent for each in explained("refund refund")] == [0.0, 0.0]


def test_nothing_to_read_has_nothing_to_explain() -> None:
    assert explained(" \n ") == []


def test_of_a_long_text_the_first_words_are_explained_and_it_says_so() -> None:
    output, errors = shown("bad " * (MAX_WORDS + 7), Wanted(explain=True))
    assert len(json.loads(output)["explain"]) == MAX_WORDS
    assert f"first {MAX_WORDS} of its {MAX_WORDS + 7} words" in errors


def test_json_holds_the_signals_and_the_words() -> None:
    answered = json.loads(shown("good refund", Wanted(explain=True))[0])
    assert (answered["sentiment"], answered["intents"]) == ("positive", ["request"])
    assert answered["explain"][0] == {"word": "good", "start": 0, "end": 4, "sentiment": 0.25, "intent": 0.0}


def test_colours_say_which_way_and_how_far() -> None:
    output, _ = shown("good shop bad refund", Wanted(explain=True, drawn=True))
    assert "\x1b[97;48;5;34mgood\x1b[0m shop \x1b[97;48;5;124mbad\x1b[0m refund" in output
    assert "good shop bad \x1b[97;48;5;34mrefund\x1b[0m" in output


def test_without_colours_the_words_stand_with_their_numbers() -> None:
    output, _ = shown("good shop bad refund", Wanted(explain=True, drawn=False))
    assert "\x1b" not in output
    assert "good +0.25, bad −0.25" in output
    assert "intent request 0.90: refund +0.80" in output


def test_a_text_cannot_write_on_the_terminal() -> None:
    output, _ = shown("good \x1b[2J\x07 \u202ebad", Wanted(explain=True, drawn=True))
    for forbidden in ("\x1b[2J", "\x07", "\u202e"):
        assert forbidden not in output
    assert printable("a\nb\x00c") == "a b�c"


@pytest.mark.parametrize(
    ("terminal", "environ", "colour"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),  # no-color.org: present and not empty
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(terminal: bool, environ: dict[str, Any], colour: bool) -> None:
    class Output(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    assert wants_colour(Output(), environ) is colour
