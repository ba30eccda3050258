"""A company's own topics in the encoder's space: which one a text is given, and how well they can be told apart.

How near a text is to a topic: the mean of two cosines, that with the nearest of the topic's points (its description and
its examples), and that with their centre. A topic's threshold lies halfway between how near its own examples are on
average, each of them left out in turn, and how near the nearest text comes that isn't one of them: an example of
another topic, or a general message. What was compared, and how well each did: docs/adr/0016-own-topics.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from voz_enrich.domain.general_messages import GENERAL_MESSAGES
from voz_enrich.domain.own_topics import OwnTopic, OwnTopicMatch, OwnTopics
from voz_enrich.ports import SignalModel

_DECIMALS = 4
_CONFUSED_SHARE = 0.25  # of two topics' examples; one in ten may be an oddity, one in four is two topics that overlap
Vectors = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """One topic with its threshold. outside: its examples that, left out, lie below it, with how near they are."""

    topic: OwnTopic
    threshold: float
    outside: tuple[tuple[str, float], ...]

    @property
    def loose(self) -> bool:
        """Whether the topic does not hold together: more than half of its examples lie outside."""
        return 2 * len(self.outside) > len(self.topic.examples)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two topics that can't be told apart. examples: those that are at least as near to the other topic as to theirs,
    each after the id of its own."""

    first: str
    second: str
    examples: tuple[tuple[str, str], ...]


class TopicSpace:
    """The topics of one tenant. Deterministic: a text's topic depends on its vector alone."""

    def __init__(self, topics: Sequence[OwnTopic], vectors: Mapping[str, bytes]) -> None:
        """vectors: of every description and example, and of the general messages."""
        points = [
            np.stack([_place(vectors[each]) for each in (topic.description, *topic.examples)]) for topic in topics
        ]
        self._points = np.concatenate(points)
        self._starts = np.cumsum([0, *(len(each) for each in points[:-1])])
        self._centres = np.stack([_unit(each.mean(axis=0)) for each in points])
        near = [
            np.stack([self._nearness(point) for point in each[1:]]) for each in points
        ]  # topic -> [its examples, all topics]
        for place, each in enumerate(points):
            near[place][:, place] = [_left_out(each, index) for index in range(1, len(each))]
        general = np.stack([self._nearness(_place(vectors[message])) for message in GENERAL_MESSAGES])
        self._thresholds = np.array([_threshold(near, general, place) for place in range(len(topics))])
        self.fitted = tuple(
            Fitted(topic, round(float(threshold), _DECIMALS), _outside(topic, own, threshold))
            for topic, own, threshold in zip(
                topics, (each[:, place] for place, each in enumerate(near)), self._thresholds, strict=True
            )
        )
        self.overlaps = tuple(_overlaps(topics, near))

    def match(self, vector: bytes) -> OwnTopicMatch | None:
        """The nearest of the topics whose threshold the text reaches; none for a text in which nothing was read."""
        if not vector:
            return None
        near = self._nearness(_place(vector))
        reached = np.where(near >= self._thresholds, near, -np.inf)
        best = int(reached.argmax())
        if reached[best] == -np.inf:
            return None
        return OwnTopicMatch(self.fitted[best].topic.id, round(float(near[best]), _DECIMALS))

    def _nearness(self, vector: Vectors) -> Vectors:
        """How near a text is to each topic."""
        nearest: Vectors = np.maximum.reduceat(self._points @ vector, self._starts)
        return (nearest + self._centres @ vector) / 2


class TopicSpaces:
    """The topics of every tenant that has any. Implements the port `OwnTopicMatcher`."""

    def __init__(self, topics: OwnTopics, model: SignalModel) -> None:
        """Places the topics in the space of this model. Raises ValueError for a model that has no vectors, or fails on
        these texts: they are to blame until it fails on a message as well."""
        texts = {each for own in topics.values() for topic in own for each in (topic.description, *topic.examples)}
        wanted = [*sorted(texts), *GENERAL_MESSAGES]
        try:
            said = [each.vector for each in model.analyse(wanted)]
        except Exception as error:
            # Its class alone: a message may quote an example.
            failed = f"the model {model.version} fails on the texts of the topics: {type(error).__name__}"
            raise ValueError(failed) from None
        if not all(said):
            raise ValueError(f"the model {model.version} gives no vectors: own topics can't be told")
        vectors = dict(zip(wanted, said, strict=True))
        self.of = {tenant: TopicSpace(own, vectors) for tenant, own in topics.items()}

    def match(self, tenant: str, vector: bytes) -> OwnTopicMatch | None:
        """The one topic of the tenant's own that a text with this vector is given; None for none."""
        return self.of[tenant].match(vector) if tenant in self.of else None


def _threshold(near: Sequence[Vectors], general: Vectors, place: int) -> float:
    others = [each[:, place] for index, each in enumerate(near) if index != place]
    strangers = np.concatenate([general[:, place], *others])
    return float((near[place][:, place].mean() + strangers.max()) / 2)


def _left_out(points: Vectors, index: int) -> float:
    """How near one of a topic's points is to the others."""
    others = np.delete(points, index, axis=0)
    return float(((others @ points[index]).max() + _unit(others.mean(axis=0)) @ points[index]) / 2)


def _outside(topic: OwnTopic, near: Vectors, threshold: float) -> tuple[tuple[str, float], ...]:
    return tuple(
        (example, round(float(each), _DECIMALS))
        for example, each in zip(topic.examples, near, strict=True)
        if each < threshold
    )


def _overlaps(topics: Sequence[OwnTopic], near: Sequence[Vectors]) -> list[Overlap]:
    found = []
    for one, two in combinations(range(len(topics)), 2):
        confused = tuple(
            (topics[own].id, example)
            for own, other in ((one, two), (two, one))
            for example, row in zip(topics[own].examples, near[own], strict=True)
            if row[other] >= row[own]
        )
        if len(confused) >= _CONFUSED_SHARE * (len(near[one]) + len(near[two])):
            found.append(Overlap(topics[one].id, topics[two].id, confused))
    return found


def _place(vector: bytes) -> Vectors:
    """Where a text lies, at length 1."""
    return _unit(np.frombuffer(vector, dtype=np.float32).astype(np.float64))


def _unit(vector: Vectors) -> Vectors:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
