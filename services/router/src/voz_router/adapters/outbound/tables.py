"""The router's tables, in the schema `router`. Every key starts with the tenant."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from voz_streamkit.tables import streamkit_tables

SCHEMA = "router"
metadata = MetaData()
streamkit = streamkit_tables(metadata, SCHEMA)

Moment = DateTime(timezone=True)

# One row a case as it stands. Not partitioned: an unresolved case has no end, and the one-open-case index must see all.
support_case = Table(
    "support_case",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("customer_key", Text, nullable=False),
    Column("customer_id", Text, nullable=False),
    Column("customer_handle", Text, nullable=False),
    Column("customer_name", Text, nullable=False),
    Column("customer_reach", BigInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("signals", JSONB, nullable=False),
    Column("channel", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("attributes", JSONB, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("clock_started_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("assignee", Text, nullable=False),
    Column("first_response_at", Moment),
    Column("first_resolved_at", Moment),
    Column("resolved_at", Moment),
    Column("outcome", Text, nullable=False),
    Column("message_count", Integer, nullable=False),
    Column("reopen_count", Integer, nullable=False),
    Column("transfer_count", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    # The message that opened it; null where that was not kept yet.
    Column("message_id", Uuid),
    schema=SCHEMA,
)
# A customer has at most one unresolved case of a scope, whoever writes.
ONE_OPEN_CASE = "support_case_one_open"
Index(
    ONE_OPEN_CASE,
    support_case.c.tenant,
    support_case.c.customer_key,
    support_case.c.scope,
    unique=True,
    postgresql_where=text("status <> 'resolved'"),
)
Index(
    "support_case_by_due",
    support_case.c.tenant,
    support_case.c.queue,
    support_case.c.status,
    support_case.c.due_at,
    support_case.c.id,
)
Index("support_case_resolved", support_case.c.resolved_at, postgresql_where=text("status = 'resolved'"))

# What was said in a case. Partitioned by when it was added.
case_message = Table(
    "case_message",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("case_id", Uuid, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("added_at", Moment, primary_key=True),
    Column("occurred_at", Moment, nullable=False),
    Column("direction", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("signals", JSONB, nullable=False),
    # All versions of a message share it; the row holds the newest.
    Column("message_id", Uuid, nullable=False),
    Column("edited", Boolean, nullable=False, server_default=false()),
    Column("deleted", Boolean, nullable=False, server_default=false()),
    schema=SCHEMA,
    postgresql_partition_by="RANGE (added_at)",
)
Index("case_message_message", case_message.c.tenant, case_message.c.message_id)

# What is known of messages that were edited or taken back: the newest version (null: none has come yet), and whether
# the author wants it to be known.
message_state = Table(
    "message_state",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("message_id", Uuid, primary_key=True),
    Column("version", Text),
    Column("deleted", Boolean, nullable=False),
    Column("changed_at", Moment, nullable=False, server_default=func.now()),
    Index("message_state_changed_at", "changed_at", postgresql_using="brin"),
    schema=SCHEMA,
)

# What happened to a case. Partitioned by when it was recorded.
case_event = Table(
    "case_event",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("case_id", Uuid, primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("recorded_at", Moment, primary_key=True, server_default=func.now()),
    Column("type", Text, nullable=False),
    Column("occurred_at", Moment, nullable=False),
    Column("agent", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("event_id", Uuid),
    Column("queue", Text, nullable=False),
    Column("status", Text, nullable=False),
    schema=SCHEMA,
    postgresql_partition_by="RANGE (recorded_at)",
)

# The answer for every event. Partitioned by when it was decided.
decision = Table(
    "decision",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("decided_at", Moment, primary_key=True),
    Column("customer_key", Text, nullable=False),
    Column("act", Boolean, nullable=False),
    Column("effect", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("because", ARRAY(Text), nullable=False),
    Column("case_id", Uuid),
    schema=SCHEMA,
    postgresql_partition_by="RANGE (decided_at)",
)
Index(
    "decision_by_customer",
    decision.c.tenant,
    decision.c.customer_key,
    decision.c.decided_at.desc(),
    decision.c.event_id.desc(),
)

# Requests with an Idempotency-Key and the answers they got.
idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    # Not jsonb, which would order the members anew: a repeated answer is the same to the letter.
    Column("answer", JSON),
    Column("created_at", Moment, nullable=False),
    Index("idempotency_key_created_at", "created_at"),
    schema=SCHEMA,
)
IDEMPOTENCY_KEYS_KEPT = timedelta(days=7)
