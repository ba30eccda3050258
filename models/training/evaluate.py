"""Judges the bundle that config.toml describes and writes its card: `python models/training/evaluate.py`, some minutes.

On the corpus' test split: macro-F1 of every head in every language. On text from elsewhere, where it is there
(../shared/data): sentiment alone; that text is for judging only and no weight is trained on it.
"""

import json
import os
import platform
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus import HEADS as ONE_LABEL_HEADS
from corpus import Message, read_corpus
from sklearn.metrics import f1_score

from voz_enrich.adapters.outbound.bundle import HEADS, load_bundle, write_manifest
from voz_enrich.adapters.outbound.language import Py3LangidIdentifier
from voz_enrich.adapters.outbound.onnx_model import OnnxSignalModel
from voz_enrich.domain.labels import Sentiment
from voz_enrich.domain.signals import TextSignals

REPOSITORY = Path(__file__).resolve().parents[2]
ELSEWHERE = REPOSITORY.parent / "shared" / "data"

Judged = Sequence[tuple[Message, TextSignals]]


@dataclass(frozen=True)
class Elsewhere:
    """Labelled text that nothing was trained on."""

    name: str
    path: Path
    language: str | None  # None: every row says its own


SETS = (
    Elsewhere("airline tweets", ELSEWHERE / "airline" / "replay.jsonl", "en"),
    Elsewhere("UMSAB tweets, validation", ELSEWHERE / "umsab" / "val.jsonl", None),
    Elsewhere("Services Publics+", ELSEWHERE / "services-publics" / "test.jsonl", "fr"),
)


def main() -> None:
    """Writes the card and seals the bundle again; prints the card."""
    config = tomllib.loads((Path(__file__).parent / "config.toml").read_text(encoding="utf-8"))
    bundle = REPOSITORY / config["bundle"]
    cores = os.cpu_count() or 1
    model = OnnxSignalModel(load_bundle(bundle), Py3LangidIdentifier(), cores)
    messages = read_corpus(REPOSITORY / config["corpus"], "test")
    judged = list(zip(messages, model.analyse([message.text for message in messages]), strict=True))

    template = (Path(__file__).parent / "card.template.md").read_text(encoding="utf-8")
    card = template.format(
        version=config["version"],
        train=len(read_corpus(REPOSITORY / config["corpus"], "train")),
        test=len(messages),
        size=f"{sum(path.stat().st_size for path in bundle.iterdir()) / 1e6:.1f}",
        corpus=corpus_table(judged),
        elsewhere=elsewhere_table(model),
        language=f"{share(judged, lambda message, signals: message.language == signals.language):.1f}",
        speed=speed_table(bundle, [message.text for message in messages], cores),
    )
    (bundle / "card.md").write_text(card, encoding="utf-8")
    write_manifest(bundle, config["version"])
    print(card)


def corpus_table(judged: Judged) -> str:
    """Macro-F1 by head and language, then of all languages together."""
    languages = sorted({message.language for message, _ in judged})
    rows = [["head", *languages, "all"]]
    for head in HEADS:
        groups = [[each for each in judged if each[0].language == language] for language in languages]
        rows.append([head, *(f"{macro_f1(head, group):.0f}" for group in groups), f"{macro_f1(head, judged):.1f}"])
    return table(rows)


def macro_f1(head: str, judged: Judged) -> float:
    """The mean of F1 over the labels that anybody has or got (over all of them for intents), in percent."""
    if head not in ONE_LABEL_HEADS:
        scores = []
        for label in HEADS[head]:
            truth = [label in message.intents for message, _ in judged]
            scores.append(float(f1_score(truth, [label in signals.intents for _, signals in judged])))
        return 100 * sum(scores) / len(scores)
    counted = [(message, signals) for message, signals in judged if message.counts_for(head)]
    wanted = [message.labels[head] for message, _ in counted]
    answers = [str(getattr(signals, head)) for _, signals in counted]
    return 100 * float(f1_score(wanted, answers, average="macro"))


def elsewhere_table(model: OnnxSignalModel) -> str:
    """Macro-F1 of sentiment on each set that is there, by language."""
    rows = [["text", "language", "messages", "macro-F1"]]
    for each in (each for each in SETS if each.path.is_file()):
        read: list[dict[str, Any]] = [json.loads(line) for line in each.path.read_text(encoding="utf-8").splitlines()]
        languages = [each.language] if each.language else ["de", "en", "es", "fr", "it", "pt"]
        for language in languages:
            kept = [row for row in read if each.language or row["lang"] == language]
            answers = [str(signals.sentiment) for signals in model.analyse([row["text"] for row in kept])]
            score = f1_score(
                [row["label"] for row in kept], answers, labels=[str(s) for s in Sentiment], average="macro"
            )
            rows.append([each.name, str(language), str(len(kept)), f"{100 * float(score):.1f}"])
    return table(rows)


def speed_table(bundle: Path, texts: Sequence[str], cores: int) -> str:
    """Messages a second, the model alone: the best of eight runs, since other work on the machine only takes away; and
    by the processor's own time, which other work disturbs less."""
    rows = [["threads", "messages/s", "messages per second of processor time"]]
    for threads in sorted({1, cores}):
        model = OnnxSignalModel(load_bundle(bundle), Py3LangidIdentifier(), threads)
        seconds, processor_seconds = [], []
        for _ in range(8):
            began, processor_began = time.perf_counter(), time.process_time()
            model.analyse(texts)
            seconds.append(time.perf_counter() - began)
            processor_seconds.append(time.process_time() - processor_began)
        model.close()
        rows.append([str(threads), f"{len(texts) / min(seconds):.0f}", f"{len(texts) / min(processor_seconds):.0f}"])
    return f"{table(rows)}\n\nMachine: {cores} cores, {platform.machine()}."


def share(judged: Judged, right: Callable[[Message, TextSignals], bool]) -> float:
    """How many are right, in percent."""
    return 100 * sum(right(message, signals) for message, signals in judged) / len(judged)


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]])


if __name__ == "__main__":
    main()
