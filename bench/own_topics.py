"""How well a company's own topics are told from a few examples, in the space of a bundle.

Twelve intents of BANKING77 (CC BY 4.0) are topics, by their names and 5 or 8 examples. Asked are other messages of
these twelve, messages of the other 65 intents (all of one bank, many nearly the same as a topic), and this project's
corpus, in which nothing belongs to any topic. Drawn eight times for each number of examples, the same draws every time.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from voz_enrich.adapters.outbound.models import DEFAULT_MODEL, open_model
from voz_enrich.adapters.outbound.topic_space import TopicSpaces
from voz_enrich.cores import available_cores
from voz_enrich.domain.own_topics import OwnTopic
from voz_enrich.domain.signals import TextSignals
from voz_enrich.ports import SignalModel

ROOT = Path(__file__).parents[1]
_TOPICS, _DRAWS, _EXAMPLES = 12, 8, (5, 8)
_OF_EACH, _OTHERS_OF_EACH, _CORPUS_STEP = 30, 12, 8


class Remembered:
    """A model that is asked each text once."""

    def __init__(self, model: SignalModel) -> None:
        self._model, self._known = model, dict[str, TextSignals]()
        self.version = model.version

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        """One answer for each text."""
        if new := sorted({text for text in texts if text not in self._known}):
            self._known.update(zip(new, self._model.analyse(new), strict=True))
        return [self._known[text] for text in texts]


def main() -> None:
    """Measure and print."""
    options = _arguments()
    model = Remembered(open_model(options.model, threads=available_cores()))
    intents, corpus = _intents(options.sets / "banking77" / "train.jsonl"), _corpus()
    counted: dict[int, list[tuple[float, float, float, float]]] = defaultdict(list)
    for examples in _EXAMPLES:
        for draw in range(_DRAWS):
            counted[examples].append(_drawn(model, intents, corpus, examples, random.Random(draw)))
    print(f"{'examples':<10}{'right':>8}{'another':>9}{'other intents':>15}{'corpus':>8}")
    found = {examples: [float(share) for share in np.mean(rows, axis=0)] for examples, rows in counted.items()}
    for examples, (right, another, others, strangers) in found.items():
        print(f"{examples:<10}{right:>8.1%}{another:>9.1%}{others:>15.1%}{strangers:>8.2%}")
    names = ("right", "another", "other_intents", "corpus")
    print(
        json.dumps({"model": model.version, **{str(n): dict(zip(names, row, strict=True)) for n, row in found.items()}})
    )


def _drawn(
    model: SignalModel, intents: dict[str, list[str]], corpus: list[str], examples: int, draw: random.Random
) -> tuple[float, float, float, float]:
    """Shares: topics' messages given their topic, given another; other intents' and the corpus' given any."""
    chosen = draw.sample(sorted(intents), _TOPICS)
    mixed = {name: draw.sample(intents[name], _OF_EACH) for name in chosen}
    topics = tuple(
        OwnTopic(name, name, name.replace("_", " "), tuple(texts[:examples])) for name, texts in mixed.items()
    )
    spaces = TopicSpaces({"bank": topics}, model)

    def given(texts: Sequence[str]) -> list[str | None]:
        found = [spaces.match("bank", signals.vector) for signals in model.analyse(texts)]
        return [each.id if each else None for each in found]

    asked = [(name, got) for name, texts in mixed.items() for got in given(texts[examples:])]
    others = given([text for name in intents if name not in mixed for text in intents[name][:_OTHERS_OF_EACH]])
    strangers = given(corpus)
    return (
        sum(name == got for name, got in asked) / len(asked),
        sum(got not in (None, name) for name, got in asked) / len(asked),
        sum(got is not None for got in others) / len(others),
        sum(got is not None for got in strangers) / len(strangers),
    )


def _intents(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found[row["intent"]].append(row["text"])
    # The first of each are enough; each is analysed once.
    return {name: list(dict.fromkeys(texts))[: 2 * _OF_EACH] for name, texts in found.items()}


def _corpus() -> list[str]:
    paths = sorted((ROOT / "models" / "corpus").glob("*.jsonl"))
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return [json.loads(line)["text"] for line in lines][::_CORPUS_STEP]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default=DEFAULT_MODEL, help="bundle:<name or folder> (%(default)s)")
    parser.add_argument(
        "--sets", type=Path, default=ROOT.parent / "shared" / "data", help="folder with banking77/ (%(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
