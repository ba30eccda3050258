"""Judges the bundle that config.toml describes: `make model-eval`. Writes its card, docs/model.md and the pictures.

On the corpus' test split: every head, by language and channel, its calibration, its confusions, its worst errors. On
text from elsewhere, where it is there (../shared/data): sentiment; that text is for judging only and no weight that
ships is trained on it. Beside it, on the same texts: what cheaper ways reach, the bundle before, the same in fp32, and
what learnt from the research-only sets.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import baselines
import numpy as np
from baselines import Answer, labels_of
from calibration import expected_calibration_error
from corpus import ONE_LABEL_HEADS, Message, read_corpus
from picture import reliability_diagram
from sets import LANGUAGES, json_lines
from sklearn.metrics import cohen_kappa_score, f1_score
from train import CONFIG, REPOSITORY, work_folder

from voz_enrich.adapters.outbound.bundle import HEADS, load_bundle, write_manifest
from voz_enrich.adapters.outbound.language import Py3LangidIdentifier
from voz_enrich.adapters.outbound.onnx_model import OnnxSignalModel
from voz_enrich.cores import available_cores
from voz_enrich.domain.labels import Sentiment
from voz_enrich.domain.signals import TextSignals

HERE, ELSEWHERE = Path(__file__).parent, REPOSITORY / CONFIG["sets"]
Judged = Sequence[tuple[Message, Mapping[str, Any]]]
Scores = Mapping[tuple[str, str], float]  # (set, language) -> macro-F1 of sentiment, in percent
Confidences = Mapping[str, tuple[np.ndarray, np.ndarray]]
WORST = 50


@dataclass(frozen=True)
class Elsewhere:
    """Labelled text that nothing that ships was trained on. language: None when every row says its own."""

    name: str
    path: Path
    language: str | None


SETS = (
    Elsewhere("UMSAB, validation", ELSEWHERE / "umsab" / "val.jsonl", None),
    Elsewhere("airline tweets", ELSEWHERE / "airline" / "replay.jsonl", "en"),
    Elsewhere("Services Publics+", ELSEWHERE / "services-publics" / "test.jsonl", "fr"),
)


def main() -> None:
    """Judges, writes and prints what it found."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--research", action="store_true", help="the model of `make model-research`; prints only")
    research = parser.parse_args().research
    bundle = work_folder(research=True) / "fp32" if research else REPOSITORY / CONFIG["bundle"]
    if not (bundle / "manifest.json").is_file():
        sys.exit(f"{bundle} isn't there: make it with `make model{'-research' if research else ''}`")
    for each in (each for each in SETS if not each.path.is_file()):
        print(f"{each.path} isn't there: {each.name} is left out", file=sys.stderr)
    model = OnnxSignalModel(load_bundle(bundle), Py3LangidIdentifier(), available_cores())
    messages = read_corpus(REPOSITORY / CONFIG["corpus"], "test")
    read = model.analyse([message.example.text for message in messages])
    judged = [(message, labels_of(signals)) for message, signals in zip(messages, read, strict=True)]
    elsewhere = elsewhere_scores(lambda texts: [labels_of(signals) for signals in model.analyse(texts)])
    figures = {
        "version": f"{CONFIG['version']}{', research' if research else ''}",
        "test": str(len(messages)),
        "train": str(len(read_corpus(REPOSITORY / CONFIG["corpus"], "train"))),
        "size": f"{sum(path.stat().st_size for path in bundle.iterdir()) / 1e6:.1f}",
        "languages": by_group(judged, lambda message: message.language),
        "channels": by_group(judged, lambda message: message.channel),
        "elsewhere": elsewhere_table(elsewhere),
        "language": language_share(messages, read),
    }
    if not research:
        kept = [work_folder(research=each) for each in (False, True)]
        found: dict[str, tuple[Judged, Scores]] = {f"`{CONFIG['version']}`": (judged, elsewhere)}
        for name, answer in baselines.others(REPOSITORY, CONFIG, *kept).items():
            answers = answer([message.example.text for message in messages])
            found[name] = (list(zip(messages, answers, strict=True)), elsewhere_scores(answer))
        sure = confidences(messages, read)
        figures["beside"] = beside_table(found)
        figures["calibration"] = calibration_table(sure)
        figures["targets"] = targets_table(judged, elsewhere, sure, float(figures["language"]))
        figures["confusion"] = confusion_tables(judged)
        figures["intents"] = intents_table(judged)
        figures["worst"] = worst_errors(messages, read)
        pictures = REPOSITORY / "docs" / "pictures"
        pictures.mkdir(exist_ok=True)
        reliability_diagram(pictures / "model-reliability.svg", sure)
        card = (HERE / "card.template.md").read_text(encoding="utf-8").format(**figures)
        (bundle / "card.md").write_text(card, encoding="utf-8")
        write_manifest(bundle, CONFIG["version"])
        report = (HERE / "model.template.md").read_text(encoding="utf-8").format(**figures)
        (REPOSITORY / "docs" / "model.md").write_text(report, encoding="utf-8")
    print("\n\n".join(f"{name}\n{text}" for name, text in figures.items() if name != "worst"))


def macro_f1(head: str, judged: Judged) -> float | None:
    """The mean of F1 over the labels that anybody has or got (over all of them for intents), in percent; None when no
    message tells of the head."""
    if head == "intents":
        return sum(f1_of_intent(label, judged) for label in HEADS[head]) / len(HEADS[head])
    if not (pairs := pairs_of(head, judged)):
        return None
    wanted, answers = zip(*pairs, strict=True)
    return 100 * float(f1_score(wanted, answers, average="macro"))


def f1_of_intent(label: str, judged: Judged) -> float:
    """In percent."""
    truth = [label in message.example.intents for message, _ in judged]
    return 100 * float(f1_score(truth, [label in labels["intents"] for _, labels in judged], zero_division=0))


def pairs_of(head: str, judged: Judged) -> list[tuple[str, str]]:
    """(right, answered) where it is known what is right, for a head with one label."""
    return [
        (message.example.labels[head], str(labels[head]))
        for message, labels in judged
        if head in message.example.labels
    ]


def by_group(judged: Judged, group: Callable[[Message], str]) -> str:
    """Macro-F1 of every head in every group, then of all together."""
    names = sorted({group(message) for message, _ in judged})
    parts = [[each for each in judged if group(each[0]) == name] for name in names]
    rows = [["head", *names, "all"], ["messages", *(str(len(part)) for part in parts), str(len(judged))]]
    rows += [
        [head, *(cell(macro_f1(head, part), 0) for part in parts), cell(macro_f1(head, judged), 1)] for head in HEADS
    ]
    return table(rows)


def elsewhere_scores(answer: Answer) -> Scores:
    """(set, language) -> macro-F1 of sentiment, in percent."""
    scores = {}
    for each in (each for each in SETS if each.path.is_file()):
        read = list(json_lines(each.path))
        for language in [each.language] if each.language else sorted(LANGUAGES):
            kept = [row for row in read if each.language or row["lang"] == language]
            answers = [str(labels["sentiment"]) for labels in answer([row["text"] for row in kept])]
            wanted, labels = [row["label"] for row in kept], [str(sentiment) for sentiment in Sentiment]
            scores[each.name, language] = 100 * float(f1_score(wanted, answers, labels=labels, average="macro"))
    return scores


def elsewhere_table(scores: Scores) -> str:
    """Macro-F1 of sentiment on each set that is there, by language; UMSAB's mean."""
    rows = [["text", "language", "macro-F1"], *([*key, f"{score:.1f}"] for key, score in scores.items())]
    several = means(scores).get(SETS[0].name)
    return table([*rows, [SETS[0].name, "mean of six", f"{several:.1f}"]] if several is not None else rows)


def means(scores: Scores) -> dict[str, float]:
    """The mean over languages, by set."""
    found: dict[str, list[float]] = {}
    for (name, _), score in scores.items():
        found.setdefault(name, []).append(score)
    return {name: sum(each) / len(each) for name, each in found.items()}


def beside_table(found: Mapping[str, tuple[Judged, Scores]]) -> str:
    """Every way of answering on the same texts: each head on the test split, sentiment elsewhere."""
    rows = [["", *HEADS, *(each.name for each in SETS)]]
    for name, (judged, elsewhere) in found.items():
        there = means(elsewhere)
        cells = [*(macro_f1(head, judged) for head in HEADS), *(there.get(each.name) for each in SETS)]
        rows.append([name, *(cell(value, 1) for value in cells)])
    return table(rows)


def confidences(messages: Sequence[Message], read: Sequence[TextSignals]) -> Confidences:
    """head -> (probability of the chosen label, whether it is right), [messages]; for intents of every label."""
    found = {}
    for head in HEADS:
        pairs = []
        for message, signals in zip(messages, read, strict=True):
            shares = signals.scores[head]
            if head == "intents":
                pairs += [(share, label in message.example.intents) for label, share in shares.items()]
            elif head in message.example.labels:
                best = max(shares, key=lambda label: shares[label])
                pairs.append((shares[best], best == message.example.labels[head]))
        found[head] = (np.array([share for share, _ in pairs]), np.array([right for _, right in pairs]))
    return found


def calibration_table(sure: Confidences) -> str:
    """Expected calibration error of every head, ten bins."""
    rows = [["head", "mean confidence", "right", "ECE"]]
    for head, (shares, right) in sure.items():
        error = expected_calibration_error(shares, right)
        rows.append([head, f"{shares.mean():.3f}", f"{right.mean():.3f}", f"{error:.3f}"])
    return table(rows)


def targets_table(judged: Judged, elsewhere: Scores, sure: Confidences, language: float) -> str:
    """What config.toml asks for, what was measured, and whether that is enough. language: percent that are right."""
    languages = {message.language for message, _ in judged}
    scores = [macro_f1("sentiment", [each for each in judged if each[0].language == name]) for name in languages]
    measured = {"language": language, **{f"sentiment, {name}": score for name, score in means(elsewhere).items()}}
    measured["sentiment, its worst language"] = min(score for score in scores if score is not None)
    measured |= {head: score for head in HEADS if (score := macro_f1(head, judged)) is not None}
    measured["ECE, the worst head"] = max(expected_calibration_error(*pair) for pair in sure.values())
    rows = [["", "target", "measured", ""]]
    for name, target in CONFIG["targets"].items():
        if name in measured:
            value, most = measured[name], name.startswith("ECE")
            met = value < target if most else value >= target
            shown = f"{value:.3f}" if most else f"{value:.1f}"
            rows.append([name, f"{'<' if most else '≥'} {target}", shown, "met" if met else "**short**"])
    return table(rows)


def confusion_tables(judged: Judged) -> str:
    """For each head with one label: rows are what is right, columns what was answered; Cohen's kappa."""
    parts = []
    for head in ONE_LABEL_HEADS:
        counted = pairs_of(head, judged)
        names, counts = [str(label) for label in HEADS[head]], Counter(counted)
        rows = [["", *names], *([name, *(str(counts[name, other] or "") for other in names)] for name in names)]
        kappa = cohen_kappa_score(*zip(*counted, strict=True))
        parts.append(f"**{head}** (Cohen's κ {kappa:.2f})\n\n{table(rows)}")
    return "\n\n".join(parts)


def intents_table(judged: Judged) -> str:
    """Each intent: how many messages have it, how many were given it, F1."""
    rows = [["intent", "messages", "answered", "F1"]]
    for label in HEADS["intents"]:
        has = sum(label in message.example.intents for message, _ in judged)
        given = sum(label in labels["intents"] for _, labels in judged)
        rows.append([str(label), str(has), str(given), f"{f1_of_intent(label, judged):.1f}"])
    return table(rows)


def worst_errors(messages: Sequence[Message], read: Sequence[TextSignals]) -> str:
    """The surest wrong answers of sentiment, stage, topic and emotion together."""
    wrong = []
    for message, signals in zip(messages, read, strict=True):
        for head in ("sentiment", "emotion", "topic", "stage"):
            wanted, shares = message.example.labels.get(head), signals.scores[head]
            best = max(shares, key=lambda label: shares[label])
            if wanted and best != wanted:
                text = " ".join(message.example.text.split()).replace("|", "\\|")
                short = text if len(text) <= 160 else text[:157] + "…"
                wrong.append((shares[best], [message.id, head, wanted, f"{best} {shares[best]:.2f}", short]))
    worst = sorted(wrong, key=lambda each: -each[0])[:WORST]
    return table([["message", "head", "right", "answered", "text"], *(row for _, row in worst)])


def language_share(messages: Sequence[Message], read: Sequence[TextSignals]) -> str:
    """How often the language is right for texts of 20 characters or more, without a hint, in percent."""
    pairs = [
        message.language == signals.language
        for message, signals in zip(messages, read, strict=True)
        if len(message.example.text) >= 20
    ]
    return f"{100 * sum(pairs) / len(pairs):.1f}"


def cell(value: float | None, decimals: int) -> str:
    """Empty for what wasn't measured."""
    return "" if value is None else f"{value:.{decimals}f}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]])


if __name__ == "__main__":
    main()
