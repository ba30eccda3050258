"""The tables that a consumer with exactly-once effects has in its own schema."""

from __future__ import annotations

from dataclasses import dataclass

from alembic import op
from alembic.operations.ops import CreateIndexOp, CreateTableOp
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB


@dataclass(frozen=True, slots=True)
class StreamkitTables:
    """Where a schema keeps consumed offsets, the ids of applied events, and messages to be published."""

    consumed_offset: Table
    applied_event: Table
    outbox: Table


def streamkit_tables(metadata: MetaData, schema: str) -> StreamkitTables:
    """The tables, registered in `metadata` under `schema`; asking again gives the same ones."""
    if f"{schema}.consumed_offset" in metadata.tables:
        return StreamkitTables(
            *(metadata.tables[f"{schema}.{name}"] for name in ("consumed_offset", "applied_event", "outbox"))
        )
    return StreamkitTables(
        Table(
            "consumed_offset",
            metadata,
            Column("consumer", Text, primary_key=True),
            Column("topic", Text, primary_key=True),
            Column("partition", Integer, primary_key=True, autoincrement=False),
            Column("next_offset", BigInteger, nullable=False),
            Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
            schema=schema,
        ),
        Table(
            "applied_event",
            metadata,
            # Without a time in the key: an event that comes again after days meets its id, whatever time it bears.
            Column("tenant", Text, primary_key=True),
            Column("event_id", Uuid, primary_key=True),
            Column("applied_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
            # Rows come in the order of time: BRIN finds the old ones at a thousandth of a B-tree's size.
            Index("applied_event_applied_at", "applied_at", postgresql_using="brin"),
            schema=schema,
        ),
        Table(
            "outbox",
            metadata,
            Column("id", BigInteger, Identity(always=True), primary_key=True),
            Column("topic", Text, nullable=False),
            Column("key", LargeBinary, nullable=False),
            Column("value", LargeBinary, nullable=False),
            Column("headers", JSONB, nullable=False),
            Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
            schema=schema,
        ),
    )


def create_streamkit_tables(schema: str | None = None) -> None:
    """Make the tables within a migration, in `schema` or in the one that is being migrated.

    Released once, this never changes: what comes later is a function of its own, called by a later revision.
    """
    target = schema or op.get_context().version_table_schema
    if target is None:
        raise ValueError("which schema? None is being migrated and none was named")
    tables = streamkit_tables(MetaData(), target)
    for table in (tables.consumed_offset, tables.applied_event, tables.outbox):
        op.invoke(CreateTableOp.from_table(table))
        for index in table.indexes:
            op.invoke(CreateIndexOp.from_index(index))
