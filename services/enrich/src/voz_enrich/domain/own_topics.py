"""A company's own topics: what they are, and which one a text was given."""

from collections.abc import Mapping
from dataclasses import dataclass

MIN_EXAMPLES = 5
"""With fewer, a threshold is a guess: each example is judged by the others."""


@dataclass(frozen=True, slots=True)
class OwnTopic:
    """One topic as a company says it: an id for machines, a name and a description for people, and sentences that
    belong to it, in any languages."""

    id: str
    name: str
    description: str
    examples: tuple[str, ...]


OwnTopics = Mapping[str, tuple[OwnTopic, ...]]
"""The topics of each tenant that has any."""


@dataclass(frozen=True, slots=True)
class OwnTopicMatch:
    """The topic that a text was given, and how near the text is to it."""

    id: str
    score: float
