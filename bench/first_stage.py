"""What a cheap first stage would spare: how many messages could it answer alone, being sure of every signal?

First stages: TF-IDF, and the model's own lower layers, where what `make model` left in `build` is at hand; on top a
logistic regression for each head, learnt on the corpus' train split. It is sure of a head from the confidence at which
the validation split finds it right as often as the shipped model is. Needs the extra `train`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from common import ROOT, report, say
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler

from voz_enrich.adapters.outbound.bundle import HEADS
from voz_enrich.adapters.outbound.models import DEFAULT_MODEL, open_model
from voz_enrich.adapters.outbound.tokens import Tokens
from voz_enrich.cores import available_cores
from voz_enrich.domain.text import cleaned

sys.path.insert(0, str(ROOT / "models" / "training"))
from baselines import tfidf_features
from corpus import Message, read_corpus
from network import mean_vectors
from train import CONFIG, trained, work_folder

LAYERS = (8, 6, 4)
Splits = tuple[Any, Any, Any]  # what stands for the messages of train, validation and test: [messages, features]


def main() -> None:
    """Prints the share of the test split that each first stage would answer, for each head and for all."""
    splits = [read_corpus(ROOT / "models" / "corpus", name) for name in ("train", "validation", "test")]
    model = open_model(DEFAULT_MODEL, threads=available_cores())
    answers = model.analyse(texts(splits[1]))
    live = {head: share_right(splits[1], answers, head) for head in HEADS}
    features = tfidf_features()
    learnt = features.fit_transform(texts(splits[0]))
    began = time.perf_counter()
    seen = [features.transform(texts(part)) for part in splits[1:]]
    spent = (time.perf_counter() - began) / sum(map(len, splits[1:]))
    found = {"TF-IDF": sure_of(splits, (learnt, *seen), live, LogisticRegression(C=10, max_iter=300))}
    for layers, vectors in after_layers(splits).items():
        regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
        found[f"{layers} layers"] = sure_of(splits, vectors, live, regression)
    together = {name: float(np.logical_and.reduce(list(sure.values())).mean()) for name, sure in found.items()}
    rows = [
        (f"{name}: sure of {head}, share of messages", f"{values.mean():.1%}")
        for name, sure in found.items()
        for head, values in sure.items()
    ]
    rows += [(f"{name}: sure of all six", f"{share:.1%}") for name, share in together.items()]
    report(
        "first-stage",
        [*rows, ("TF-IDF's features alone, µs a message", f"{1e6 * spent:.0f}")],
        {f"answered by {name}": round(share, 4) for name, share in together.items()},
        {"TF-IDF's features, µs a message": round(1e6 * spent, 1)},
    )


def after_layers(splits: Sequence[Sequence[Message]]) -> Mapping[int, Splits]:
    """The mean over the tokens after so many layers of the trained encoder; nothing where it wasn't trained here."""
    build = work_folder(research=False)
    if not (build / "fp32" / "manifest.json").is_file():
        say(f"{build} has no trained model: its lower layers are left out")
        return {}
    torch.set_num_threads(available_cores())
    tokens = Tokens.read(build / "fp32", CONFIG["learnt_tokens"])
    network = trained(tokens, build, research=False)
    rows = [tokens.ids(texts(part)) for part in splits]
    found: dict[int, Splits] = {}
    for layers in LAYERS:
        network.layers = network.layers[:layers]
        train, validation, test = (mean_vectors(network, part, f"{layers} layers") for part in rows)
        found[layers] = (train, validation, test)
    return found


def sure_of(
    splits: Sequence[Sequence[Message]], vectors: Splits, live: Mapping[str, float], regression: Any
) -> dict[str, np.ndarray]:
    """head -> of which messages of the test split a regression is as surely right as the shipped model, [messages]."""
    train, validation, _ = splits
    learnt, *seen = vectors
    sure: dict[str, np.ndarray] = {}
    for head in HEADS:
        known = [place for place, message in enumerate(train) if wanted(message, head)]
        labels = [wanted(train[place], head) for place in known]
        if head == "intents":
            names = MultiLabelBinarizer().fit(labels)
            stage = OneVsRestClassifier(clone(regression), n_jobs=1).fit(learnt[known], names.transform(labels))
            shares = [stage.predict_proba(part) for part in seen]
            chosen = [tuple(names.classes_[row > 0.5]) for row in shares[0]]
            confidence = [np.maximum(part, 1 - part).min(axis=1) for part in shares]
        else:
            stage = clone(regression).fit(learnt[known], [label[0] for label in labels])
            shares = [stage.predict_proba(part) for part in seen]
            chosen = [(stage.classes_[place],) for place in shares[0].argmax(axis=1)]
            confidence = [part.max(axis=1) for part in shares]
        judged = [place for place, message in enumerate(validation) if wanted(message, head)]
        right = np.array([set(chosen[place]) == set(wanted(validation[place], head)) for place in judged])
        sure[head] = confidence[1] >= threshold(confidence[0][judged], right, live[head])
    return sure


def share_right(messages: Sequence[Message], answers: Sequence[object], head: str) -> float:
    """How often the shipped model is right, where it is known what is."""
    pairs = [(wanted(message, head), given(signals, head)) for message, signals in zip(messages, answers, strict=True)]
    return float(np.mean([set(labels) == answered for labels, answered in pairs if labels]))


def threshold(confidence: np.ndarray, right: np.ndarray, share: float) -> float:
    """The lowest confidence from which answers are right at least so often; above 1 where none is."""
    order = np.argsort(-confidence)
    reached = np.cumsum(right[order]) / np.arange(1, len(right) + 1) >= share
    return float(confidence[order][np.flatnonzero(reached)[-1]]) if reached.any() else 1.1


def texts(messages: Sequence[Message]) -> list[str]:
    return [cleaned(message.example.text) for message in messages]


def wanted(message: Message, head: str) -> tuple[str, ...]:
    """What is right, or nothing where it isn't known."""
    if head == "intents":
        return tuple(sorted(message.example.intents))
    return (message.example.labels[head],) if head in message.example.labels else ()


def given(signals: object, head: str) -> set[str]:
    """What the shipped model says."""
    value = getattr(signals, head)
    return {str(label) for label in value} if head == "intents" else {str(value)}


if __name__ == "__main__":
    main()
