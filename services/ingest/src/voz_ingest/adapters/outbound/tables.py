"""Ingest's tables, in the schema `ingest`. Every key starts with the tenant."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
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

SCHEMA = "ingest"
metadata = MetaData()
streamkit = streamkit_tables(metadata, SCHEMA)

Moment = DateTime(timezone=True)

# A connection that pulls: where it stands, and whose it is at present. `lease_token` grows whenever the position or its
# owner changes hands, so whoever writes with an older one is refused. `due_at`: when the source may be asked next.
# `recent`: digests of the newest events that it brought, eight bytes each.
connector = Table(
    "connector",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("connection_id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("position", JSONB, nullable=False, server_default=text("'{}'")),
    Column("recent", LargeBinary, nullable=False, server_default=text("''")),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("lease_owner", Text),
    Column("lease_token", BigInteger, nullable=False, server_default=text("0")),
    Column("lease_until", Moment),
    Column("due_at", Moment, nullable=False, server_default=func.now()),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("last_success_at", Moment),
    Column("last_error", Text),
    Column("last_error_at", Moment),
    Column("updated_at", Moment, nullable=False, server_default=func.now()),
    schema=SCHEMA,
)

# A webhook that only says that there is something, until it was fetched. Taken by moving `due_at` ahead.
announcement = Table(
    "announcement",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("connection_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("received_at", Moment, nullable=False, server_default=func.now()),
    Column("due_at", Moment, nullable=False, server_default=func.now()),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    Index("announcement_due", "due_at"),
    schema=SCHEMA,
)

# One name of a person (`space:value`): the customer key that it has by itself, and the one in force. `group_id` is null
# for one that stands by itself. `change` numbers changes in the order of their commits. `through`: the identity that it
# was learned by.
identity = Table(
    "identity",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("key", Uuid, nullable=False),
    Column("customer_key", Uuid, nullable=False),
    Column("group_id", BigInteger),
    Column("ordinal", BigInteger, Identity(always=True), nullable=False),
    Column("through", Text),
    Column("change", BigInteger, nullable=False),
    Index("identity_group", "tenant", "group_id", postgresql_where=text("group_id is not null")),
    Index("identity_change", "change", unique=True),
    schema=SCHEMA,
)

# Pairs that a person has parted, `one` before `other`: nothing but a person joins them again.
identity_apart = Table(
    "identity_apart",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("one", Text, primary_key=True),
    Column("other", Text, primary_key=True),
    schema=SCHEMA,
)

# Who has said what of identities, and when.
identity_said = Table(
    "identity_said",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("said_at", Moment, nullable=False, server_default=func.now()),
    Column("said_by", Text, nullable=False),
    Column("linked", Boolean, nullable=False),
    Column("identities", ARRAY(Text), nullable=False),
    Column("note", Text, nullable=False),
    Index("identity_said_identities", "identities", postgresql_using="gin"),
    schema=SCHEMA,
)

# Events of each tenant in a UTC day, as all processes count them.
daily_usage = Table(
    "daily_usage",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("events", BigInteger, nullable=False),
    schema=SCHEMA,
)

# Values that signatures may use once, with a digest of what they were used for; kept for two days.
webhook_nonce = Table(
    "webhook_nonce",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("connection_id", Text, primary_key=True),
    Column("nonce", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("seen_at", Moment, nullable=False, server_default=func.now()),
    Index("webhook_nonce_seen_at", "seen_at", postgresql_using="brin"),
    schema=SCHEMA,
)
