"""The policy file: YAML to the domain's Policy and from there to JSON. What is wrong is said with its line."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import yaml

from voz.v1.customer_event_pb2 import SurveyMetric
from voz.v1.labels_pb2 import Audience, Channel, Direction, Effort, Emotion, EventKind, Intent, Sentiment, Stage, Topic
from voz_contracts.words import vocabulary
from voz_router.domain.events import CUSTOMER, INBOUND
from voz_router.domain.policy import (
    PER_CUSTOMER,
    PER_CUSTOMER_TOPIC,
    WORD_FIELDS,
    Conditions,
    Policy,
    Queue,
    Range,
    Rule,
    SurveyCondition,
)
from voz_streamkit.yaml_nodes import (
    boolean,
    compose,
    ends,
    mapping,
    number,
    open_mapping,
    refuse,
    sequence,
    text,
    words,
)

# Words of these fields are checked; the other fields' (own_topic, source, language, tenant) are free.
VOCABULARIES: Mapping[str, tuple[str, ...]] = {
    "sentiment": vocabulary(Sentiment),
    "emotion": vocabulary(Emotion),
    "topic": vocabulary(Topic),
    "effort": vocabulary(Effort),
    "stage": vocabulary(Stage),
    "direction": vocabulary(Direction),
    "audience": vocabulary(Audience),
    "channel": vocabulary(Channel),
    "kind": vocabulary(EventKind),
}
INTENTS, METRICS = vocabulary(Intent), vocabulary(SurveyMetric)
CONDITIONS = (*WORD_FIELDS, "intents", "sentiment_score", "reach", "survey", "attributes")
# A rule speaks of customers' own messages unless it says otherwise.
UNLESS_SAID = {"direction": frozenset({INBOUND}), "audience": frozenset({CUSTOMER})}
# Part of a Kafka topic's name, whose limit is 249.
NAME, NAME_MEANT = r"[a-z0-9][a-z0-9-]{0,62}", "lower-case letters, digits and hyphens, 63 at most"
MAX_SLA_MINUTES = 366 * 24 * 60


def parse_policy(source: str) -> Policy:
    """The policy of a YAML text. Raises FileError with the line of what is wrong."""
    fields = mapping(compose(source), ("version", "case_per", "queues", "rules"), ("version", "queues", "rules"))
    written = text(fields["version"], r"[\w.-]{1,40}", "a version: letters, digits, `.`, `_`, `-`, 40 at most")
    case_per = _case_per(fields.get("case_per"), PER_CUSTOMER)
    queues: dict[str, Queue] = {}
    for node in sequence(fields["queues"]):
        queue = _queue(node)
        if queue.name in queues:
            refuse(node, f"the queue `{queue.name}` stands here twice")
        queues[queue.name] = queue
    rules: dict[str, Rule] = {}
    for node in sequence(fields["rules"]):
        rule = _rule(node, queues, case_per)
        if rule.id in rules:
            refuse(node, f"the rule `{rule.id}` stands here twice")
        rules[rule.id] = rule
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    return Policy(f"{written}+{digest}", queues, tuple(rules.values()))


def _queue(node: yaml.Node) -> Queue:
    fields = mapping(node, ("name", "description", "skills", "sla_minutes"), ("name", "sla_minutes"))
    minutes = number(fields["sla_minutes"])
    if not 1 <= minutes <= MAX_SLA_MINUTES:
        refuse(fields["sla_minutes"], f"expected 1…{MAX_SLA_MINUTES} minutes")
    return Queue(
        name=text(fields["name"], NAME, NAME_MEANT),
        sla=timedelta(minutes=minutes),
        description=text(fields["description"]) if "description" in fields else "",
        skills=tuple(sorted(words(fields["skills"], None))) if "skills" in fields else (),
    )


def _rule(node: yaml.Node, queues: Mapping[str, Queue], case_per: str) -> Rule:
    fields = mapping(node, ("id", "when", "act", "queue", "reason", "case_per"), ("id", "when", "act", "reason"))
    act, queue = boolean(fields["act"]), ""
    if act:
        if "queue" not in fields:
            refuse(node, "a rule that acts names its `queue`")
        queue = text(fields["queue"])
        if queue not in queues:
            refuse(fields["queue"], f"`{queue}` is not one of the queues: {', '.join(queues)}")
    for name in ("queue", "case_per"):
        if not act and name in fields:
            refuse(fields[name], f"a rule that does not act has no `{name}`")
    return Rule(
        id=text(fields["id"], NAME, NAME_MEANT),
        when=_conditions(fields["when"]),
        act=act,
        reason=text(fields["reason"]),
        queue=queue,
        case_per=_case_per(fields.get("case_per"), case_per),
    )


def _case_per(node: yaml.Node | None, default: str) -> str:
    if node is None:
        return default
    found = text(node)
    if found not in (PER_CUSTOMER, PER_CUSTOMER_TOPIC):
        refuse(node, f"expected {PER_CUSTOMER} or {PER_CUSTOMER_TOPIC}")
    return found


def _conditions(node: yaml.Node) -> Conditions:
    fields = mapping(node, CONDITIONS)
    if not fields:
        refuse(node, "a rule needs at least one condition")
    named = {name: words(value, VOCABULARIES.get(name)) for name, value in fields.items() if name in WORD_FIELDS}
    any_of, all_of = _intents(fields["intents"]) if "intents" in fields else (frozenset[str](), frozenset[str]())
    return Conditions(
        words={**UNLESS_SAID, **named},
        intents_any=any_of,
        intents_all=all_of,
        sentiment_score=Range(**ends(fields["sentiment_score"], -1, 1)) if "sentiment_score" in fields else None,
        reach=Range(**ends(fields["reach"], 0, math.inf)) if "reach" in fields else None,
        survey=_survey(fields["survey"]) if "survey" in fields else None,
        attributes={name: words(value, None) for name, value in open_mapping(fields["attributes"]).items()}
        if "attributes" in fields
        else {},
    )


def _intents(node: yaml.Node) -> tuple[frozenset[str], frozenset[str]]:
    """A word or a list (any of them), or `{any: […], all: […]}`."""
    if not isinstance(node, yaml.MappingNode):
        return words(node, INTENTS), frozenset()
    fields = mapping(node, ("any", "all"))
    if not fields:
        refuse(node, "expected `any`, `all` or both")
    any_of, all_of = (words(fields[name], INTENTS) if name in fields else frozenset() for name in ("any", "all"))
    return any_of, all_of


def _survey(node: yaml.Node) -> SurveyCondition:
    fields = mapping(node, ("metric", "score", "position"), ("metric",))
    return SurveyCondition(
        metrics=words(fields["metric"], METRICS),
        score=Range(**ends(fields["score"], -math.inf, math.inf)) if "score" in fields else None,
        position=Range(**ends(fields["position"], 0, 1)) if "position" in fields else None,
    )


def policy_json(policy: Policy) -> dict[str, Any]:
    """The policy as `GET /v1/policy` answers it; the shape is that of the file."""
    return {
        "version": policy.version,
        "queues": [
            {
                "name": queue.name,
                "description": queue.description,
                "skills": list(queue.skills),
                "sla_minutes": queue.sla.total_seconds() / 60,
            }
            for queue in policy.queues.values()
        ],
        "rules": [
            {
                "id": rule.id,
                "when": _conditions_json(rule.when),
                "act": rule.act,
                "reason": rule.reason,
                **({"queue": rule.queue, "case_per": rule.case_per} if rule.act else {}),
            }
            for rule in policy.rules
        ],
    }


def _conditions_json(when: Conditions) -> dict[str, Any]:
    found: dict[str, Any] = {name: sorted(accepted) for name, accepted in when.words.items()}
    intents = {"any": sorted(when.intents_any), "all": sorted(when.intents_all)}
    if any(intents.values()):
        found["intents"] = {name: listed for name, listed in intents.items() if listed}
    for name, limits in (("sentiment_score", when.sentiment_score), ("reach", when.reach)):
        if limits is not None:
            found[name] = _range_json(limits)
    if when.survey is not None:
        found["survey"] = {"metric": sorted(when.survey.metrics)}
        for name, limits in (("score", when.survey.score), ("position", when.survey.position)):
            if limits is not None:
                found["survey"][name] = _range_json(limits)
    if when.attributes:
        found["attributes"] = {name: sorted(accepted) for name, accepted in when.attributes.items()}
    return found


def _range_json(limits: Range) -> dict[str, float]:
    both = {"min": limits.minimum, "max": limits.maximum}
    return {name: end for name, end in both.items() if end is not None}
