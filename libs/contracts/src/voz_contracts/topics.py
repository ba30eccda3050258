"""The topics of Voz. Generated from proto/topics/*.yaml by `make proto`: change those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic, or (with `<queue>` in its name) one family of topics.

    `config` holds Kafka's topic settings: retention, compaction and what else the YAML file says.
    """

    name: str
    value: str
    partitions: int
    config: Mapping[str, str]


CASES = TopicSpec(
    name="voz.cases",
    value="voz.v1.CaseEvent",
    partitions=8,
    config={
        "cleanup.policy": "compact,delete",
        "min.compaction.lag.ms": "2592000000",
        "retention.ms": "7776000000",
    },
)
DEAD_LETTER = TopicSpec(
    name="voz.dead-letter",
    value="voz.v1.DeadLetter",
    partitions=8,
    config={
        "cleanup.policy": "delete",
        "retention.ms": "2592000000",
    },
)
ENRICHED = TopicSpec(
    name="voz.enriched",
    value="voz.v1.EnrichedEvent",
    partitions=8,
    config={
        "cleanup.policy": "delete",
        "retention.ms": "2592000000",
    },
)
EVENTS = TopicSpec(
    name="voz.events",
    value="voz.v1.CustomerEvent",
    partitions=8,
    config={
        "cleanup.policy": "delete",
        "retention.ms": "604800000",
    },
)
JOURNEY = TopicSpec(
    name="voz.journey",
    value="enrich's own",
    partitions=8,
    config={
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": "3600000",
        "segment.ms": "3600000",
    },
)
QUEUE = TopicSpec(
    name="voz.queue.<queue>",
    value="voz.v1.SupportCase",
    partitions=8,
    config={
        "cleanup.policy": "delete",
        "retention.ms": "2592000000",
    },
)
RAW = TopicSpec(
    name="voz.raw",
    value="voz.v1.RawPayload",
    partitions=8,
    config={
        "cleanup.policy": "delete",
        "retention.ms": "604800000",
    },
)

TOPICS: tuple[TopicSpec, ...] = (CASES, DEAD_LETTER, ENRICHED, EVENTS, JOURNEY, QUEUE, RAW)
