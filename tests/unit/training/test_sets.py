"""What foreign labels are read as, and which rows are left out."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from sets import LANGUAGES, SETS, Example, read_set

from voz_enrich.adapters.outbound.bundle import HEADS
from voz_enrich.domain.signals import HOME_LANGUAGES

pytestmark = pytest.mark.unit
CONFIG = Path(__file__).parents[3] / "models" / "training" / "config.toml"
EMOTIONS = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy",
    "love", "nervousness", "neutral", "none", "optimism", "pride", "realization", "relief", "remorse", "sadness",
    "surprise",
)  # fmt: skip


def read(folder: Path, name: str, *rows: dict[str, Any]) -> list[Example]:
    path = folder / SETS[name][0]
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return read_set(name, folder)


def test_sentiment_of_our_languages_is_taken_as_it_is_and_tells_of_nothing_else(tmp_path: Path) -> None:
    examples = read(
        tmp_path,
        "umsab",
        {"text": "atraso\noutra vez", "lang": "pt", "label": "negative"},
        {"text": "وصل", "lang": "ar", "label": "positive"},
        {"text": "no language is English", "label": "neutral"},
    )
    assert examples == [
        Example("atraso\noutra vez", {"sentiment": "negative"}),
        Example("no language is English", {"sentiment": "neutral"}),
    ]
    assert not any(example.intents_known for example in examples)


@pytest.mark.parametrize(
    ("name", "emotions", "meant"),
    [
        ("brighter", ["fear"], "worry"),
        ("brighter", ["disgust", "anger"], "anger"),  # both mean one of ours
        ("brighter", ["anger", "joy"], None),  # two of ours
        ("brighter", ["joy", "surprise"], None),  # one of ours, and one that isn't
        ("brighter", ["none"], "none"),
        ("brighter", [], None),
        ("goemotions", ["annoyance"], "frustration"),
        ("goemotions", ["sadness", "disappointment"], "disappointment"),
        ("goemotions", ["neutral"], None),  # another neutral than ours
    ],
)
def test_emotions_count_when_all_of_them_mean_one_of_ours(
    tmp_path: Path, name: str, emotions: list[str], meant: str | None
) -> None:
    rows = [{"text": "t", "lang": language, "emotions": emotions} for language in ("de", "hi")]
    assert [example.labels for example in read(tmp_path, name, *rows)] == ([{"emotion": meant}] if meant else [])


def test_emotions_of_one_side_are_a_sentiment_as_often_as_the_rarest_of_the_language(tmp_path: Path) -> None:
    said = {
        "de": [["joy"], ["joy"], ["anger", "fear"], ["anger", "sadness"], ["none"], ["joy", "fear"], ["fear"]],
        "es": [["joy"], ["anger"], ["anger", "fear"]],  # nothing neutral
    }
    rows = [
        {"text": "+".join(emotions), "lang": language, "emotions": emotions}
        for language, rows in said.items()
        for emotions in rows
    ]
    assert [(each.text, each.labels) for each in read(tmp_path, "brighter", *rows)] == [
        ("joy", {"emotion": "joy", "sentiment": "positive"}),
        ("joy", {"emotion": "joy"}),
        ("anger+fear", {"sentiment": "negative"}),
        ("none", {"emotion": "none", "sentiment": "neutral"}),
        ("fear", {"emotion": "worry"}),
        ("joy", {"emotion": "joy"}),
        ("anger", {"emotion": "anger"}),
    ]


@pytest.mark.parametrize("name", ["brighter", "goemotions"])
def test_every_emotion_that_is_read_is_one_of_ours(tmp_path: Path, name: str) -> None:
    examples = read(tmp_path, name, *({"text": each, "lang": "en", "emotions": [each]} for each in EMOTIONS))
    found = {example.labels["emotion"] for example in examples}
    assert len(found) >= 5
    assert found <= {str(label) for label in HEADS["emotion"]}


def test_a_set_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_set("nusax", tmp_path)


def test_what_ships_learns_from_known_sets_in_our_languages_never_from_the_research_ones() -> None:
    config = tomllib.loads(CONFIG.read_text(encoding="utf-8"))
    assert {*config["use"], *config["research"]} <= set(SETS)
    assert "umsab" not in config["use"]
    assert set(HOME_LANGUAGES) == LANGUAGES
