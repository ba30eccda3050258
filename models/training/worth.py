"""What each set adds to the corpus, by a quick judge: the encoder as it comes, with a regression on top.

`python models/training/worth.py`, ten minutes. Fine-tuning moves all figures up, and closer together; what hurts a
regression has hurt it too.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from corpus import read_corpus
from evaluate import SETS as JUDGING
from evaluate import table
from network import SignalNetwork, mean_vectors
from sets import LANGUAGES, SETS, Example, json_lines
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from train import CONFIG, REPOSITORY, base_folder, drawn, rows_of

from voz_enrich.adapters.outbound.tokens import Tokens
from voz_enrich.cores import available_cores

ROWS = 2000  # of a set
CORPUS = "the corpus alone"
JUDGED = 1500  # of a text from elsewhere
Examples = Mapping[str, list[Example]]


def main() -> None:
    """Prints two tables, of sentiment and of emotion."""
    torch.set_num_threads(available_cores())
    network = SignalNetwork(base_folder())
    tokens = Tokens.read(base_folder(), CONFIG["learnt_tokens"])

    def vectors(examples: list[Example], name: str) -> np.ndarray:
        return mean_vectors(network, rows_of(tokens, examples), name)

    def corpus(split: str) -> list[Example]:
        return [message.example for message in read_corpus(REPOSITORY / CONFIG["corpus"], split)]

    learnt = {CORPUS: corpus("train")} | {name: drawn(name, ROWS) for name in SETS}
    judged = {"corpus": corpus("test")} | {each.name: elsewhere(each.path) for each in JUDGING if each.path.is_file()}
    seen = {name: vectors(examples, name) for name, examples in (learnt | judged).items()}
    for head in ("sentiment", "emotion"):
        print(f"{head}\n\n{table(worth(head, learnt, judged, seen))}\n")


def worth(head: str, learnt: Examples, judged: Examples, seen: Mapping[str, np.ndarray]) -> list[list[str]]:
    """Macro-F1 on each text that tells of the head, learnt from the corpus alone, then with each set beside it."""
    told = {
        name: [place for place, each in enumerate(examples) if head in each.labels]
        for name, examples in {**learnt, **judged}.items()
    }
    given = {name: seen[name][places] for name, places in told.items()}
    labels = {
        name: np.array([examples[place].labels[head] for place in told[name]])
        for name, examples in {**learnt, **judged}.items()
    }
    texts = [name for name in judged if told[name]]
    rows = [["learnt from", *texts]]
    for name in (name for name in learnt if told[name]):
        used = list(dict.fromkeys([CORPUS, name]))
        regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
        regression.fit(np.concatenate([given[each] for each in used]), np.concatenate([labels[each] for each in used]))
        scores = [f1_score(labels[each], regression.predict(given[each]), average="macro") for each in texts]
        words = name if name == CORPUS else f"and {name}, {len(told[name]):,} rows"
        rows.append([words, *(f"{100 * score:.1f}" for score in scores)])
    return rows


def elsewhere(path: Path) -> list[Example]:
    """Some of its texts in our languages, drawn at random."""
    kept = [row for row in json_lines(path) if row.get("lang", "en") in LANGUAGES]
    order = np.random.default_rng(CONFIG["seed"]).permutation(len(kept))[:JUDGED]
    return [Example(kept[index]["text"], {"sentiment": kept[index]["label"]}) for index in order]


if __name__ == "__main__":
    main()
