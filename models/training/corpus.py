"""The labelled messages of models/corpus."""

from dataclasses import dataclass
from pathlib import Path

from sets import Example, json_lines

from voz_enrich.adapters.outbound.bundle import HEADS

ONE_LABEL_HEADS = tuple(head for head in HEADS if head != "intents")


@dataclass(frozen=True)
class Message:
    """One line of the corpus."""

    id: str
    language: str
    channel: str
    example: Example


def read_corpus(folder: Path, split: str) -> list[Message]:
    """All messages of `train`, `validation` or `test`, by language, then in the order of the file. A message without a
    journey (spam, a wrong number) has no stage: it neither teaches nor judges it."""
    messages = []
    for path in sorted(folder.glob("*.jsonl")):
        for row in json_lines(path):
            if row["split"] == split:
                journey = row["intents"] != ["other"]
                labels = {head: row[head] for head in ONE_LABEL_HEADS if head != "stage" or journey}
                known = frozenset(str(intent) for intent in HEADS["intents"])
                example = Example(row["text"], labels, frozenset(row["intents"]), known)
                messages.append(Message(row["id"], row["language"], row["channel"], example))
    return messages
