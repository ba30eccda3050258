"""The tables of schema `metrics`. `tenant` stands in every key; what grows with time is partitioned by it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    false,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from voz_metrics_api.domain.counters import Counters
from voz_metrics_api.domain.windows import Level
from voz_streamkit.tables import streamkit_tables

SCHEMA: Final = "metrics"
CONSUMER: Final = "metrics-api"
metadata = MetaData(schema=SCHEMA)
streamkit = streamkit_tables(metadata, SCHEMA)
_TIME: Final = DateTime(timezone=True)

# One row for each combination of values that was ever seen; `id` is the digest of the values.
DIMENSION_COLUMNS: Final = (
    "kind",
    "direction",
    "channel",
    "source",
    "language",
    "stage",
    "topic",
    "emotion",
    "sentiment",
    "product",
    "campaign",
    "segment",
    "queue",
    "audience",
)
dimension_set = Table(
    "dimension_set",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("id", Uuid, nullable=False),
    *(Column(name, Text, nullable=False) for name in DIMENSION_COLUMNS),
    Column("intents", ARRAY(Text), nullable=False),
    PrimaryKeyConstraint("tenant", "id"),
)


def _rollup(level: Level) -> Table:
    return Table(
        f"rollup_{level}",
        metadata,
        Column("tenant", Text, nullable=False),
        Column("bucket", _TIME, nullable=False),
        Column("dimensions", Uuid, nullable=False),
        *(Column(name, BigInteger, nullable=False) for name in Counters._fields),
        PrimaryKeyConstraint("tenant", "bucket", "dimensions"),
        postgresql_partition_by="RANGE (bucket)",
    )


def _rollup_duration(level: Level) -> Table:
    return Table(
        f"rollup_duration_{level}",
        metadata,
        Column("tenant", Text, nullable=False),
        Column("bucket", _TIME, nullable=False),
        Column("dimensions", Uuid, nullable=False),
        Column("measure", Text, nullable=False),
        Column("bin", SmallInteger, nullable=False),
        Column("n", BigInteger, nullable=False),
        Column("micros", BigInteger, nullable=False),
        PrimaryKeyConstraint("tenant", "bucket", "dimensions", "measure", "bin"),
        postgresql_partition_by="RANGE (bucket)",
    )


ROLLUPS: Final = {level: _rollup(level) for level in Level}
DURATION_ROLLUPS: Final = {level: _rollup_duration(level) for level in Level}

# The newest state of each case, so that its contribution to the rollups can be taken back.
case_state = Table(
    "case_state",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("case_id", Uuid, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("dimensions", Uuid, nullable=False),
    Column("opened_at", _TIME, nullable=False),
    Column("resolved", Boolean, nullable=False),
    Column("first_response_at", _TIME),
    Column("first_resolved_at", _TIME),
    Column("resolved_at", _TIME),
    PrimaryKeyConstraint("tenant", "case_id"),
)

# Messages that were edited or taken back, and the event that is their newest version; null: none has come yet.
message_state = Table(
    "message_state",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("message_id", Uuid, nullable=False),
    Column("newest", Uuid),
    Column("version", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("changed_at", _TIME, nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("tenant", "message_id"),
    Index("message_state_changed_at", "changed_at", postgresql_using="brin"),
)

customer_profile = Table(
    "customer_profile",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("customer_key", Text, nullable=False),
    Column("first_seen", _TIME, nullable=False),
    Column("last_seen", _TIME, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("inbound", BigInteger, nullable=False),
    Column("negative", BigInteger, nullable=False),
    Column("neutral", BigInteger, nullable=False),
    Column("positive", BigInteger, nullable=False),
    Column("scored", BigInteger, nullable=False),
    Column("score_micros", BigInteger, nullable=False),
    Column("handles", ARRAY(Text), nullable=False),
    # name → [when it was said, by which event, value]
    Column("known", JSONB, nullable=False),
    PrimaryKeyConstraint("tenant", "customer_key"),
    Index("customer_profile_handles", "handles", postgresql_using="gin"),
)

# Keys of customers that turned out to be one person, and the key in force; its own for one that was parted again.
customer_join = Table(
    "customer_join",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("customer_key", Text, nullable=False),
    Column("joined_to", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "customer_key"),
    Index("customer_join_joined_to", "tenant", "joined_to"),
)

touchpoint = Table(
    "touchpoint",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("customer_key", Text, nullable=False),
    Column("occurred_at", _TIME, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("sentiment", Text, nullable=False),
    Column("sentiment_score", Double),
    Column("emotion", Text, nullable=False),
    Column("intents", ARRAY(Text), nullable=False),
    Column("topic", Text, nullable=False),
    Column("effort", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    # What it added to the rollups and where, so that it can be taken back; null before that was kept.
    Column("dimensions", Uuid),
    Column("counters", JSONB),
    # A later version of what was said first; taken back by its author, without what was said.
    Column("edited", Boolean, nullable=False, server_default=false()),
    Column("deleted", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("tenant", "customer_key", "occurred_at", "event_id"),
    Index("touchpoint_event_id", "event_id"),
    postgresql_partition_by="RANGE (occurred_at)",
)
