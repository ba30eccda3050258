"""What a cheap first stage would spare: how many messages could it answer alone, being sure of every signal?

TF-IDF and a logistic regression for each head, learnt on the corpus' train split. It is sure of a head from the
confidence at which the validation split finds it right as often as the shipped model is. Needs the extra `train`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
from common import ROOT, report
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer

from voz_enrich.adapters.outbound.bundle import HEADS
from voz_enrich.adapters.outbound.models import DEFAULT_MODEL, open_model
from voz_enrich.cores import available_cores
from voz_enrich.domain.text import cleaned

sys.path.insert(0, str(ROOT / "models" / "training"))
from baselines import tfidf_features
from corpus import Message, read_corpus


def main() -> None:
    """Prints the share of the test split that the first stage would answer, for each head and for all."""
    train, validation, test = (
        read_corpus(ROOT / "models" / "corpus", name) for name in ("train", "validation", "test")
    )
    features = tfidf_features()
    learnt = features.fit_transform(texts(train))
    seen = [features.transform(texts(part)) for part in (validation, test)]
    model = open_model(DEFAULT_MODEL, threads=available_cores())
    answers = model.analyse([message.example.text for message in validation])
    sure: dict[str, np.ndarray] = {}
    for head in HEADS:
        known = [place for place, message in enumerate(train) if wanted(message, head)]
        labels = [wanted(train[place], head) for place in known]
        if head == "intents":
            names = MultiLabelBinarizer().fit(labels)
            stage = OneVsRestClassifier(LogisticRegression(C=10, max_iter=300), n_jobs=1)
            stage.fit(learnt[known], names.transform(labels))
            shares = [stage.predict_proba(part) for part in seen]
            chosen = [tuple(names.classes_[row > 0.5]) for row in shares[0]]
            confidence = [np.maximum(part, 1 - part).min(axis=1) for part in shares]
        else:
            stage = LogisticRegression(C=10, max_iter=300).fit(learnt[known], [label[0] for label in labels])
            shares = [stage.predict_proba(part) for part in seen]
            chosen = [(stage.classes_[place],) for place in shares[0].argmax(axis=1)]
            confidence = [part.max(axis=1) for part in shares]
        judged = [place for place, message in enumerate(validation) if wanted(message, head)]
        right = np.array([set(chosen[place]) == set(wanted(validation[place], head)) for place in judged])
        live = np.mean([given(answers[place], head) == set(wanted(validation[place], head)) for place in judged])
        sure[head] = confidence[1] >= threshold(confidence[0][judged], right, float(live))
    together = np.logical_and.reduce(list(sure.values()))
    began = time.perf_counter()
    features.transform(texts(test))
    spent = (time.perf_counter() - began) / len(test)
    report(
        "first-stage",
        [(f"sure of {head}, share of messages", f"{values.mean():.1%}") for head, values in sure.items()]
        + [("sure of all six", f"{together.mean():.1%}"), ("its features alone, µs a message", f"{1e6 * spent:.0f}")],
        {"answered by the first stage": round(float(together.mean()), 4)},
        {"features, µs a message": round(1e6 * spent, 1)},
    )


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
