"""What a consumer wrote down: consumed offsets, and the ids of the events it applied."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from aiokafka import TopicPartition
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnClause,
    Integer,
    MetaData,
    Text,
    Uuid,
    and_,
    bindparam,
    column,
    delete,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.selectable import TableValuedAlias

from voz_streamkit.errors import FencedError
from voz_streamkit.tables import StreamkitTables, streamkit_tables


class Ledger:
    """The statements of one consumer over its schema's tables. Each is one round trip, whatever the batch's size."""

    def __init__(self, tables: StreamkitTables, consumer: str) -> None:
        self._offsets, self._ids, self._consumer = tables.consumed_offset, tables.applied_event, consumer

    async def offsets(
        self, connection: AsyncConnection, partitions: Sequence[TopicPartition], *, lock: bool = False
    ) -> dict[TopicPartition, int]:
        """Stored next offsets of those partitions that have one; `lock` holds them until the transaction ends."""
        table, asked = self._offsets, _partitions()
        statement = (
            select(table.c.topic, table.c.partition, table.c.next_offset)
            .join(asked, and_(table.c.topic == asked.c.topic, table.c.partition == asked.c.partition))
            .where(table.c.consumer == self._consumer)
            .order_by(table.c.topic, table.c.partition)
        )
        if lock:
            statement = statement.with_for_update(of=table)
        rows = await connection.execute(statement, _columns(partitions))
        return {TopicPartition(topic, partition): next_offset for topic, partition, next_offset in rows}

    async def fence(self, connection: AsyncConnection, expected: Mapping[TopicPartition, int]) -> None:
        """Lock the stored offsets in one order and compare them. Raises FencedError when one isn't as expected."""
        stored = await self.offsets(connection, list(expected), lock=True)
        missing = sorted(expected.keys() - stored.keys())
        if missing:
            table, asked = self._offsets, _partitions()
            first = select(literal(self._consumer, Text), asked.c.topic, asked.c.partition, literal(0, BigInteger))
            names = ["consumer", "topic", "partition", "next_offset"]
            statement = insert(table).from_select(names, first.order_by(asked.c.topic, asked.c.partition))
            await connection.execute(statement.on_conflict_do_nothing(), _columns(missing))
            stored = await self.offsets(connection, list(expected), lock=True)
        for partition, offset in expected.items():
            if stored[partition] != offset:
                raise FencedError(
                    f"{self._consumer} expected {partition.topic}/{partition.partition} at {offset}, "
                    f"it is at {stored[partition]}: another consumer has it"
                )

    async def insert_ids(
        self,
        connection: AsyncConnection,
        ids: Sequence[tuple[str, UUID]],
        held_off: Collection[tuple[str, UUID]] = (),
    ) -> set[tuple[str, UUID]]:
        """Write ids down, in one order; returns those that were not there before.

        `held_off` are other ids: whoever is writing one of them down is waited for, and whoever comes to it later waits
        until this transaction ends. They are written and deleted again, which leaves the lock of a unique index.
        """
        wanted = [*ids, *held_off]
        if not wanted:
            return set()
        new = await self._insert(connection, wanted)
        mine = sorted(new.intersection(held_off))
        if mine:
            table = self._ids
            await connection.execute(delete(table).where(tuple_(table.c.tenant, table.c.event_id).in_(mine)))
        return new.difference(mine)

    async def _insert(self, connection: AsyncConnection, ids: Sequence[tuple[str, UUID]]) -> set[tuple[str, UUID]]:
        arriving = (
            func.unnest(bindparam("tenants", type_=ARRAY(Text)), bindparam("ids", type_=ARRAY(Uuid)))
            .table_valued(column("tenant", Text), column("event_id", Uuid), name="arriving")
            .render_derived()
        )
        ordered = select(arriving.c.tenant, arriving.c.event_id).order_by(arriving.c.tenant, arriving.c.event_id)
        statement = insert(self._ids).from_select(["tenant", "event_id"], ordered).on_conflict_do_nothing()
        tenants, event_ids = zip(*ids, strict=True)
        rows = await connection.execute(
            statement.returning(self._ids.c.tenant, self._ids.c.event_id),
            {"tenants": list(tenants), "ids": list(event_ids)},
        )
        return {(tenant, event_id) for tenant, event_id in rows}

    async def store(self, connection: AsyncConnection, next_offsets: Mapping[TopicPartition, int]) -> None:
        """Move the stored offsets, which `fence` has locked."""
        table, moved = self._offsets, _partitions(with_offsets=True)
        statement = (
            update(table)
            .values(next_offset=moved.c.next_offset, updated_at=func.now())
            .where(
                table.c.consumer == self._consumer,
                table.c.topic == moved.c.topic,
                table.c.partition == moved.c.partition,
            )
        )
        parameters = _columns(list(next_offsets)) | {"next_offsets": list(next_offsets.values())}
        await connection.execute(statement, parameters)


async def trim_applied_events(engine: AsyncEngine, schema: str, older_than: datetime, *, batch: int = 10_000) -> int:
    """Delete the ids of events applied before `older_than`; returns how many.

    Only what Kafka can't deliver again may be forgotten: `older_than` lies before the topics' retention, and a margin.
    Short transactions of `batch` rows, so that consumers are never held up; two trimmers share the work.
    """
    ids = streamkit_tables(MetaData(), schema).applied_event
    old = select(ids.c.tenant, ids.c.event_id).where(ids.c.applied_at < older_than).limit(batch)
    statement = delete(ids).where(tuple_(ids.c.tenant, ids.c.event_id).in_(old.with_for_update(skip_locked=True)))
    trimmed = 0
    while True:
        async with engine.begin() as connection:
            deleted = (await connection.execute(statement)).rowcount
        trimmed += deleted
        if deleted < batch:
            return trimmed


def _partitions(*, with_offsets: bool = False) -> TableValuedAlias:
    """The partitions of a statement's parameters as rows."""
    arrays = [bindparam("topics", type_=ARRAY(Text)), bindparam("partitions", type_=ARRAY(Integer))]
    columns: list[ColumnClause[Any]] = [column("topic", Text), column("partition", Integer)]
    if with_offsets:
        arrays.append(bindparam("next_offsets", type_=ARRAY(BigInteger)))
        columns.append(column("next_offset", BigInteger))
    return func.unnest(*arrays).table_valued(*columns, name="asked").render_derived()


def _columns(partitions: Sequence[TopicPartition]) -> dict[str, list[str] | list[int]]:
    return {"topics": [each.topic for each in partitions], "partitions": [each.partition for each in partitions]}
