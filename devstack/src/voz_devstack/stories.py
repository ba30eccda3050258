"""Customers' stories, as their files tell them (`stories/README.md` says how to read one)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).with_name("stories")
MESSAGE_CHANNELS = ("social", "email", "chat", "phone", "store", "web", "app", "review", "community")
SOLVED = "solved"
# Lowest and highest answer of the usual scales.
SCALES = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7)}
_USUAL_GAP = timedelta(minutes=5)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class StoryError(ValueError):
    """A story can't be read. The text names it and the step."""


@dataclass(frozen=True)
class Message:
    """What the customer writes."""

    channel: str
    text: str


@dataclass(frozen=True)
class Reply:
    """What the company answers, on the channel of the customer's last message."""

    text: str


@dataclass(frozen=True)
class SurveyAnswer:
    """One answer on the metric's usual scale."""

    metric: str
    score: int
    comment: str


@dataclass(frozen=True)
class Transaction:
    type: str
    amount: str
    currency: str


@dataclass(frozen=True)
class Subscription:
    status: str
    plan: str


@dataclass(frozen=True)
class Behaviour:
    type: str
    url: str
    element: str


@dataclass(frozen=True)
class Ticket:
    status: str
    priority: str


What = Message | Reply | SurveyAnswer | Transaction | Subscription | Behaviour | Ticket


@dataclass(frozen=True)
class Step:
    """One thing that happens, `after` the one before it."""

    what: What
    after: timedelta


@dataclass(frozen=True)
class Cast:
    """Names that fit a language: given names by voice (`f`, `m`) and family names."""

    given: Mapping[str, Sequence[str]]
    family: Sequence[str]


@dataclass(frozen=True)
class Story:
    """One customer's way. `note` is what an agent writes on its case, `outcome` how such a case ends."""

    id: str
    language: str
    voice: str
    cast: Cast
    attributes: Mapping[str, str]
    note: str
    outcome: str
    steps: Sequence[Step]


def load_stories(folder: Path = FOLDER) -> list[Story]:
    """Every story of every language, in the order of the files. Raises StoryError."""
    return [
        story for path in sorted(folder.glob("*.yaml")) for story in parse_stories(path.read_text(encoding="utf-8"))
    ]


def parse_stories(text: str) -> list[Story]:
    """The stories of one file."""
    document = yaml.safe_load(text)
    names = document["names"]
    cast = Cast({voice: tuple(names[voice]) for voice in ("f", "m")}, tuple(names["family"]))
    return [_story(entry, document["language"], cast) for entry in document["stories"]]


def _story(entry: Mapping[str, Any], language: str, cast: Cast) -> Story:
    steps = []
    for number, step in enumerate(entry["steps"], start=1):
        try:
            steps.append(Step(_what(step), _duration(step["after"]) if "after" in step else _USUAL_GAP))
        except (KeyError, ValueError) as error:
            raise StoryError(f"{entry['id']}, step {number}: {error}") from error
    if entry["who"] not in cast.given:
        raise StoryError(f"{entry['id']}: who must be one of {', '.join(cast.given)}")
    return Story(
        id=entry["id"],
        language=language,
        voice=entry["who"],
        cast=cast,
        attributes=dict(entry["about"]),
        note=entry["note"],
        outcome=entry.get("outcome", SOLVED),
        steps=tuple(steps),
    )


def _what(step: Mapping[str, str]) -> What:
    beside = {"after", "comment", "element"}
    (key,) = step.keys() - beside
    said = step[key]
    if key in MESSAGE_CHANNELS:
        return Message(key, said)
    if key == "reply":
        return Reply(said)
    if key == "survey":
        metric, score = said.split()
        lowest, highest = SCALES[metric]
        if not lowest <= int(score) <= highest:
            raise ValueError(f"{metric} goes from {lowest} to {highest}, not {score}")
        return SurveyAnswer(metric, int(score), step.get("comment", ""))
    if key == "order":
        return Transaction(*said.split(maxsplit=2))
    if key == "plan":
        return Subscription(*said.split(maxsplit=1))
    if key == "does":
        kind, url = said.split(maxsplit=1)
        return Behaviour(kind, url, step.get("element", ""))
    if key == "ticket":
        return Ticket(*said.split(maxsplit=1))
    raise ValueError(f"unknown step {key}")


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+)([mhd])", text)
    if not found:
        raise ValueError(f"not a duration such as 40m, 3h or 2d: {text}")
    return int(found[1]) * _UNITS[found[2]]
