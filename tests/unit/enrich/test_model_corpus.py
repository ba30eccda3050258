"""The corpus keeps what its data card says."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voz_enrich.adapters.outbound.bundle import HEADS
from voz_enrich.domain.signals import HOME_LANGUAGES

pytestmark = pytest.mark.unit

CORPUS = Path(__file__).parents[3] / "models" / "corpus"
KEYS = (
    "id", "language", "channel", "industry", "audience", "text",
    "sentiment", "emotion", "intents", "topic", "effort", "stage", "split",
)  # fmt: skip
CHANNELS = {"social", "email", "chat", "phone", "store", "web", "app", "survey", "review", "ticket", "community", "crm"}

Row = dict[str, Any]


def read(language: str) -> list[Row]:
    return [json.loads(line) for line in (CORPUS / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(params=HOME_LANGUAGES)
def rows(request: pytest.FixtureRequest) -> list[Row]:
    return read(request.param)


def test_there_is_one_file_for_each_language() -> None:
    assert sorted(path.stem for path in CORPUS.glob("*.jsonl")) == sorted(HOME_LANGUAGES)


def test_every_row_has_known_labels(rows: list[Row]) -> None:
    for row in rows:
        assert tuple(row) == KEYS, row["id"]
        assert row["channel"] in CHANNELS, row["id"]
        assert row["audience"] in ("customer", "employee"), row["id"]
        assert row["split"] in ("train", "validation", "test"), row["id"]
        assert row["text"].strip(), row["id"]
        assert row["industry"].strip(), row["id"]
        assert row["intents"], row["id"]
        assert len(set(row["intents"])) == len(row["intents"]), row["id"]
        assert "other" not in row["intents"] or row["intents"] == ["other"], row["id"]
        for head, labels in HEADS.items():
            assert set(row["intents"] if head == "intents" else [row[head]]) <= set(labels), row["id"]


def test_there_is_enough_of_everything(rows: list[Row]) -> None:
    assert len(rows) >= 1000
    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["channel"] for row in rows} == CHANNELS
    assert len({row["industry"] for row in rows}) >= 25
    splits = Counter(row["split"] for row in rows)
    assert 0.68 < splits["train"] / len(rows) < 0.73
    assert 0.09 < splits["validation"] / len(rows) < 0.12
    assert 0.17 < splits["test"] / len(rows) < 0.22
    words = sorted(len(row["text"].split()) for row in rows)
    assert words[0] <= 2
    assert words[-1] >= 80
    for head, labels in HEADS.items():
        counts = Counter(label for row in rows for label in (row["intents"] if head == "intents" else [row[head]]))
        assert min(counts[label] for label in labels) >= 60, (head, counts)


def test_no_two_messages_are_alike(rows: list[Row]) -> None:
    """Jaccard of character 5-grams under 0.5."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    sizes: list[int] = []
    for place, row in enumerate(rows):
        mine = grams_of(row["text"])
        before = [place for gram in mine for place in places[gram]]
        shared = np.bincount(before, minlength=place)
        assert not (shared >= 0.5 * (len(mine) + np.array(sizes) - shared)).any(), row["id"]
        sizes.append(len(mine))
        for gram in mine:
            places[gram].append(place)


def grams_of(text: str) -> set[str]:
    plain = " ".join(text.lower().split())
    return {plain[start : start + 5] for start in range(max(1, len(plain) - 4))}
