"""The policy: ordered rules that say when to act and when not to, and the queues that cases wait in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from voz_router.domain.events import Event

PER_CUSTOMER, PER_CUSTOMER_TOPIC = "customer", "customer_topic"

# What a condition on words may look at, and where the word stands in an event.
WORD_FIELDS: Mapping[str, Callable[[Event], str]] = {
    "sentiment": lambda event: event.signals.sentiment,
    "emotion": lambda event: event.signals.emotion,
    "topic": lambda event: event.signals.topic,
    "own_topic": lambda event: event.signals.own_topic,
    "effort": lambda event: event.signals.effort,
    "stage": lambda event: event.stage,
    "language": lambda event: event.signals.language,
    "direction": lambda event: event.direction,
    "audience": lambda event: event.audience,
    "channel": lambda event: event.channel,
    "source": lambda event: event.source,
    "kind": lambda event: event.kind,
    "tenant": lambda event: event.tenant,
}


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `minimum` to `maximum`, both included; an end that is None is open."""

    minimum: float | None = None
    maximum: float | None = None

    def __contains__(self, value: float | None) -> bool:
        """Whether the value lies within; no value never does."""
        return (
            value is not None
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
        )


@dataclass(frozen=True, slots=True)
class SurveyCondition:
    """An answer to a survey of one of these metrics, by its score as given or by its position (0 worst … 1 best)."""

    metrics: frozenset[str]
    score: Range | None = None
    position: Range | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold, all of it, for a rule to match."""

    words: Mapping[str, frozenset[str]] = field(default_factory=dict)
    intents_any: frozenset[str] = frozenset()
    intents_all: frozenset[str] = frozenset()
    sentiment_score: Range | None = None
    reach: Range | None = None
    survey: SurveyCondition | None = None
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def hold(self, event: Event) -> bool:
        """Whether every condition holds for the event."""
        intents = event.signals.intents
        return (
            (not self.intents_any or not self.intents_any.isdisjoint(intents))
            and self.intents_all.issubset(intents)
            and all(WORD_FIELDS[name](event) in accepted for name, accepted in self.words.items())
            and (self.sentiment_score is None or event.signals.sentiment_score in self.sentiment_score)
            and (self.reach is None or event.customer.reach in self.reach)
            and (self.survey is None or self._answer_holds(event, self.survey))
            and all(event.attributes.get(name) in accepted for name, accepted in self.attributes.items())
        )

    def because(self, event: Event) -> tuple[str, ...]:
        """What of the event they looked at, as `field: value`: the evidence of a decision."""
        found = [f"{name}: {WORD_FIELDS[name](event)}" for name in self.words]
        if self.intents_any or self.intents_all:
            named = self.intents_any | self.intents_all
            found.append("intents: " + ", ".join(intent for intent in event.signals.intents if intent in named))
        if self.sentiment_score is not None:
            found.append(f"sentiment_score: {event.signals.sentiment_score:g}")
        if self.reach is not None:
            found.append(f"reach: {event.customer.reach}")
        if self.survey is not None and event.survey is not None:
            found.append(f"survey: {event.survey.metric} {event.survey.score:g}")
        found += [f"attributes.{name}: {event.attributes.get(name, '')}" for name in self.attributes]
        return tuple(found)

    @staticmethod
    def _answer_holds(event: Event, wanted: SurveyCondition) -> bool:
        answer = event.survey
        return (
            answer is not None
            and answer.metric in wanted.metrics
            and (wanted.score is None or answer.score in wanted.score)
            and (wanted.position is None or answer.position in wanted.position)
        )


@dataclass(frozen=True, slots=True)
class Queue:
    """Where cases wait for people. `sla` is the calendar time from opening (or reopening) to resolution."""

    name: str
    sla: timedelta
    description: str = ""
    skills: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `queue` is empty when it says not to act."""

    id: str
    when: Conditions
    act: bool
    reason: str
    queue: str = ""
    case_per: str = PER_CUSTOMER


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules in order of importance: the first that matches decides. `version` is the author's, with the content's hash.

    Every rule's queue is in `queues`.
    """

    version: str
    queues: Mapping[str, Queue]
    rules: tuple[Rule, ...]

    def first_match(self, event: Event) -> Rule | None:
        """The rule that decides about the event."""
        return next((rule for rule in self.rules if rule.when.hold(event)), None)

    def rule(self, rule_id: str) -> Rule | None:
        """The rule of that id."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)

    def outranks(self, rule: Rule, other_id: str) -> bool:
        """Whether `rule` stands before the rule of that id; False when that one is no longer in the policy."""
        ids = [known.id for known in self.rules]
        return other_id in ids and ids.index(rule.id) < ids.index(other_id)
