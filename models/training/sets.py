"""Labelled text from elsewhere, its labels read as ours. What a set doesn't tell of stays open and teaches nothing.

Sources and licences: ../../../shared/data/README.md; what each was worth: README.md beside this file.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Labels = Mapping[str, str]
_Told = list[tuple[dict[str, Any], Labels]]


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
    told = [(row, labels) for row in json_lines(folder / path) if (labels := read(row)) is not None]
    return [Example(row["text"], labels) for row, labels in (_even(told) if name in _UNEVEN else told)]


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The object on each line of a file."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _sentiment(row: dict[str, Any]) -> Labels | None:
    return {"sentiment": row["label"]} if row.get("lang", "en") in LANGUAGES else None


def _meant(**heads: Mapping[str, str]) -> Callable[[dict[str, Any]], Labels | None]:
    """For each head the label that all emotions of a row mean, where they mean one."""

    def read(row: dict[str, Any]) -> Labels | None:
        meant = {head: {means.get(each) for each in row["emotions"]} for head, means in heads.items()}
        found = {head: label for head, labels in meant.items() if len(labels) == 1 and (label := labels.pop())}
        return found if found and row["lang"] in LANGUAGES else None

    return read


def _even(told: _Told) -> _Told:
    """Of each language as many rows of each sentiment as it has of the rarest, the first ones; what else the others
    tell stays. From a language that is never neutral in a set, a model learns that it never is."""
    counts = Counter((row["lang"], labels.get("sentiment")) for row, labels in told)
    left = {(language, side): min(counts[language, each] for each in _SIDES.values()) for language, side in counts}
    kept: _Told = []
    for row, labels in told:
        place = (row["lang"], labels.get("sentiment"))
        left[place] -= 1
        tells = labels if left[place] >= 0 else {head: label for head, label in labels.items() if head != "sentiment"}
        kept += [(row, tells)] if tells else []
    return kept


LANGUAGES = frozenset({"de", "en", "es", "fr", "it", "pt"})
_BRIGHTER = {
    "anger": "anger", "disgust": "anger", "fear": "worry", "joy": "joy", "sadness": "disappointment", "none": "none",
}  # fmt: skip
_SIDES = {
    "anger": "negative", "disgust": "negative", "fear": "negative", "joy": "positive", "sadness": "negative",
    "none": "neutral",
}  # fmt: skip
_GOEMOTIONS = {
    "anger": "anger", "annoyance": "frustration", "disappointment": "disappointment", "sadness": "disappointment",
    "confusion": "confusion", "fear": "worry", "nervousness": "worry", "joy": "joy", "excitement": "joy",
    "gratitude": "gratitude",
}  # fmt: skip
_Reader = Callable[[dict[str, Any]], Labels | None]
_UNEVEN = frozenset({"brighter"})
SETS: Mapping[str, tuple[str, _Reader]] = {
    "nhs-fft": ("nhs-fft/train.jsonl", _sentiment),
    "senti4sd": ("senti4sd/train.jsonl", _sentiment),
    "nusax": ("nusax/train.jsonl", _sentiment),
    # for worth.py only: costs tweets
    "afrisenti": ("afrisenti/train.jsonl", _sentiment),
    "brighter": ("brighter/train.jsonl", _meant(emotion=_BRIGHTER, sentiment=_SIDES)),
    "goemotions": ("goemotions/train.jsonl", _meant(emotion=_GOEMOTIONS)),
    # for `make model-research` only: not licensed for weights that ship
    "umsab": ("umsab/train.jsonl", _sentiment),
}
