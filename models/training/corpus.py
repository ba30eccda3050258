"""The labelled messages of models/corpus."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEADS = ("sentiment", "emotion", "topic", "effort", "stage")  # one label each; `intents` has any number


@dataclass(frozen=True)
class Message:
    """One line of the corpus. `labels` has one label for each of HEADS."""

    id: str
    language: str
    text: str
    labels: Mapping[str, str]
    intents: frozenset[str]
    split: str

    def counts_for(self, head: str) -> bool:
        """Whether it teaches and judges this head: a message without a journey (spam, a wrong number) has no stage."""
        return head != "stage" or self.intents != {"other"}


def read_corpus(folder: Path, split: str) -> list[Message]:
    """All messages of `train` or `test`, by language, then in the order of the file."""
    messages = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            if row["split"] == split:
                labels = {head: row[head] for head in HEADS}
                message = Message(row["id"], row["language"], row["text"], labels, frozenset(row["intents"]), split)
                messages.append(message)
    return messages
