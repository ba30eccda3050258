"""Labelled text from elsewhere, its labels read as ours. What a set doesn't tell of stays open and teaches nothing.

Sources and licences: ../../../shared/data/README.md; what each was worth: README.md beside this file.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Example:
    """A text and what is known of it.

    labels: head -> label, of the heads with one label. intents: those that it has, of `intents_known`, the ones that
    its source tells of at all; both empty: nothing is known of intents.
    """

    text: str
    labels: Labels = field(default_factory=dict)
    intents: frozenset[str] = frozenset()
    intents_known: frozenset[str] = frozenset()


def read_set(name: str, folder: Path) -> list[Example]:
    """All usable rows of one of SETS. Raises FileNotFoundError when the set isn't there."""
    path, read = SETS[name]
    rows = json_lines(folder / path)
    return [Example(row["text"], labels) for row in rows if (labels := read(row)) is not None]


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The object on each line of a file."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _sentiment(row: dict[str, Any]) -> Labels | None:
    return {"sentiment": row["label"]} if row.get("lang", "en") in LANGUAGES else None


def _one_of(names: Mapping[str, str]) -> Callable[[dict[str, Any]], Labels | None]:
    """Rows whose emotions all mean one of ours."""

    def read(row: dict[str, Any]) -> Labels | None:
        meant = {names.get(each) for each in row["emotions"]}
        found = meant.pop() if len(meant) == 1 else None
        return {"emotion": found} if found and row["lang"] in LANGUAGES else None

    return read


LANGUAGES = frozenset({"de", "en", "es", "fr", "it", "pt"})
_BRIGHTER = {
    "anger": "anger", "disgust": "anger", "fear": "worry", "joy": "joy", "sadness": "disappointment", "none": "none",
}  # fmt: skip
_GOEMOTIONS = {
    "anger": "anger", "annoyance": "frustration", "disappointment": "disappointment", "sadness": "disappointment",
    "confusion": "confusion", "fear": "worry", "nervousness": "worry", "joy": "joy", "excitement": "joy",
    "gratitude": "gratitude",
}  # fmt: skip
_Reader = Callable[[dict[str, Any]], Labels | None]
SETS: Mapping[str, tuple[str, _Reader]] = {
    "nhs-fft": ("nhs-fft/train.jsonl", _sentiment),
    "senti4sd": ("senti4sd/train.jsonl", _sentiment),
    "nusax": ("nusax/train.jsonl", _sentiment),
    "afrisenti": ("afrisenti/train.jsonl", _sentiment),
    "brighter": ("brighter/train.jsonl", _one_of(_BRIGHTER)),
    "goemotions": ("goemotions/train.jsonl", _one_of(_GOEMOTIONS)),
    # for `make model-research` only: not licensed for weights that ship
    "umsab": ("umsab/train.jsonl", _sentiment),
}
