"""Other ways to answer, judged beside the bundle on the same texts."""

import io
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from corpus import read_corpus
from network import SignalNetwork, mean_vectors
from sets import Example
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from train import base_folder, drawn

from voz_enrich.adapters.outbound.bundle import HEADS, load_bundle
from voz_enrich.adapters.outbound.language import Py3LangidIdentifier
from voz_enrich.adapters.outbound.onnx_model import OnnxSignalModel
from voz_enrich.adapters.outbound.tokens import Tokens
from voz_enrich.cores import available_cores
from voz_enrich.domain.signals import TextSignals
from voz_enrich.domain.text import cleaned

Answer = Callable[[Sequence[str]], Sequence[Mapping[str, Any]]]  # of each text: head -> label; `intents` -> labels


def others(repository: Path, config: Mapping[str, Any], build: Path, research: Path) -> dict[str, Answer]:
    """What is at hand of: TF-IDF and logistic regression, the frozen encoder and logistic regression, the bundle
    before, the same network in fp32, the one that learnt from research-only sets. build, research: what `make model`
    and `make model-research` keep."""
    train = [message.example for message in read_corpus(repository / config["corpus"], "train")]
    tokens = Tokens.read(repository / config["bundle"], config["max_tokens"])
    found = {"TF-IDF + logistic regression": tfidf(train, config["use"])}
    found["frozen encoder + logistic regression"] = frozen(train, tokens, config)
    if (old := previous(repository, config, build)) is not None:
        found[f"`{config['previous']['version']}`"] = old
    if (build / "fp32" / "manifest.json").is_file():
        found["the same in fp32"] = bundled(build / "fp32")
    if (research / "fp32" / "manifest.json").is_file():
        found["with research-only sets, fp32 (doesn't ship)"] = bundled(research / "fp32")
    return found


def tfidf_features() -> FeatureUnion:
    """Words and pairs of words, characters by 2 to 5."""
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    letters = TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5), min_df=2)
    return FeatureUnion([("words", words), ("letters", letters)])


def tfidf(train: Sequence[Example], sets: Mapping[str, int]) -> Answer:
    """A regression on that. It learns from the bundle's rows of the sets, too."""
    features = tfidf_features()
    examples = [*train, *(each for name, rows in sets.items() for each in drawn(name, rows))]
    vectors = features.fit_transform([cleaned(each.text) for each in examples])
    return fitted(
        examples,
        vectors,
        lambda texts: features.transform([cleaned(text) for text in texts]),
        LogisticRegression(C=10, max_iter=300),
    )


def frozen(train: Sequence[Example], tokens: Tokens, config: Mapping[str, Any]) -> Answer:
    """The base as it comes, and a regression for each head, on the corpus alone."""
    network = SignalNetwork(base_folder())

    def vectors(texts: Sequence[str]) -> np.ndarray:
        return mean_vectors(network, tokens.ids([cleaned(text) for text in texts]), "frozen encoder")

    regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    return fitted(train, vectors([each.text for each in train]), vectors, regression)


def fitted(examples: Sequence[Example], vectors: Any, read: Callable[[Sequence[str]], Any], regression: Any) -> Answer:
    """One regression for each head and each intent, on the examples that tell of it."""
    heads: dict[str, Any] = {}
    for head in HEADS:
        if head == "intents":
            known = [place for place, each in enumerate(examples) if each.intents_known]
            for label in HEADS[head]:
                truth = [label in examples[place].intents for place in known]
                heads[label] = clone(regression).fit(vectors[known], truth)
        else:
            known = [place for place, each in enumerate(examples) if head in each.labels]
            heads[head] = clone(regression).fit(vectors[known], [examples[place].labels[head] for place in known])

    def answer(texts: Sequence[str]) -> list[dict[str, Any]]:
        given = read(texts)
        found = {name: model.predict(given) for name, model in heads.items()}
        return [
            {
                head: {label for label in HEADS[head] if found[label][place]}
                if head == "intents"
                else found[head][place]
                for head in HEADS
            }
            for place in range(len(texts))
        ]

    return answer


def bundled(folder: Path) -> Answer:
    """A whole bundle."""
    model = OnnxSignalModel(load_bundle(folder), Py3LangidIdentifier(), available_cores())
    return lambda texts: [labels_of(signals) for signals in model.analyse(texts)]


def labels_of(signals: TextSignals) -> dict[str, Any]:
    """The labels alone."""
    return {head: getattr(signals, head) for head in HEADS}


def previous(repository: Path, config: Mapping[str, Any], build: Path) -> Answer | None:
    """The bundle before, from the history; None in a clone without it."""
    place = f"models/{config['previous']['version']}"
    command = ["git", "-C", str(repository), "archive", config["previous"]["commit"], place]
    packed = subprocess.run(command, capture_output=True, check=False)
    if packed.returncode:
        return None
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(build / "previous", filter="data")
    return bundled(build / "previous" / place)
