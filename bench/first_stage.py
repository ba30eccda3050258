"""What an early answer would spare: how many messages could it settle alone, being sure of every signal?

TF-IDF, as a first stage before the model, and what the shipped model's own layers have made of a text, as exits on the
way through it; on either a logistic regression for each head, learnt on the corpus' train split. It is sure of a head
from the confidence at which the validation split finds it right as often as the shipped model is. Needs the extra
`train`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from common import ROOT, report
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler

from voz_enrich.adapters.outbound.batches import plan
from voz_enrich.adapters.outbound.bundle import HEADS, find_bundle
from voz_enrich.adapters.outbound.models import DEFAULT_BUNDLE, DEFAULT_MODEL, open_model
from voz_enrich.adapters.outbound.tokens import Tokens
from voz_enrich.cores import available_cores
from voz_enrich.domain.text import cleaned

sys.path.insert(0, str(ROOT / "models" / "training"))
from baselines import tfidf_features
from corpus import Message, read_corpus

EXITS = (4, 6, 8, 10)  # layers after which an answer could be given
LONGEST = 128  # tokens


def main() -> None:
    """Prints the share of the test split that would be answered early, for each head and for all."""
    parts = [read_corpus(ROOT / "models" / "corpus", name) for name in ("train", "validation", "test")]
    model = open_model(DEFAULT_MODEL, threads=available_cores())
    live = model.analyse([message.example.text for message in parts[1]])
    features = tfidf_features()
    stages = {"TF-IDF": (LogisticRegression(C=10, max_iter=300), [features.fit_transform(texts(parts[0]))])}
    stages["TF-IDF"][1].extend(features.transform(texts(part)) for part in parts[1:])
    made = [layer_means(texts(part)) for part in parts]
    for layer in EXITS:
        regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
        stages[f"layer {layer}"] = (regression, [means[layer] for means in made])
    rows, ratios = [], {}
    for name, (regression, vectors) in stages.items():
        sure = sure_of(regression, vectors, parts, live)
        together = np.logical_and.reduce(list(sure.values()))
        rows += [
            (f"{name}: sure of {head}, share of messages", f"{values.mean():.1%}") for head, values in sure.items()
        ]
        rows.append((f"{name}: sure of all six", f"{together.mean():.1%}"))
        ratios[f"answered by {name}"] = round(float(together.mean()), 4)
    began = time.perf_counter()
    features.transform(texts(parts[2]))
    spent = 1e6 * (time.perf_counter() - began) / len(parts[2])
    rows.append(("TF-IDF: its features alone, µs a message", f"{spent:.0f}"))
    report("first-stage", rows, ratios, {"features, µs a message": round(spent, 1)})


def sure_of(
    regression: Any, vectors: Sequence[Any], parts: Sequence[Sequence[Message]], live: Sequence[object]
) -> dict[str, np.ndarray]:
    """head -> of which messages of the test split a regression would be sure. vectors: of the three splits `parts`;
    live: the shipped model's answers on the validation split."""
    train, validation, _ = parts
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
        often = np.mean([given(live[place], head) == set(wanted(validation[place], head)) for place in judged])
        sure[head] = confidence[1] >= threshold(confidence[0][judged], right, float(often))
    return sure


def layer_means(texts: Sequence[str]) -> dict[int, np.ndarray]:
    """The mean over its tokens of what each of EXITS has made of each text, [texts, size]."""
    bundle = find_bundle(DEFAULT_BUNDLE)
    tokens = Tokens.read(bundle, LONGEST)
    graph = onnx.load(bundle / "model.onnx")
    names = [f"layer.{layer - 1}.output.normalised" for layer in EXITS]
    graph.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", "length", "size"]) for name in names
    )
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = tokens.ids(texts)
    found: dict[int, np.ndarray] = {}
    for padded, chosen in plan([len(row) for row in ids]):
        padded_ids, mask = tokens.padded([ids[place] for place in chosen], padded)
        results = session.run(names, {"input_ids": padded_ids, "attention_mask": mask})
        for layer, hidden in zip(EXITS, results, strict=True):
            means = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
            found.setdefault(layer, np.zeros((len(texts), means.shape[1]), dtype=np.float32))[chosen] = means
    return found


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
