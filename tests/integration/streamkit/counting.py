"""The smallest service on streamkit: counts amounts by name. As a script it is a consumer process that can be killed.

A record's value is JSON: `{"id": uuid, "name": text, "amount": int}`. The name `refused` can't be applied.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from prometheus_client import CollectorRegistry
from pydantic_settings import SettingsConfigDict
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.schema import CreateSchema

from voz_contracts.topics import DEAD_LETTER
from voz_streamkit.backoff import Backoff
from voz_streamkit.consume import ConsumeLoop
from voz_streamkit.database import create_engine
from voz_streamkit.dead_letters import DeadLetterLimit, DeadLetters
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.health import Health
from voz_streamkit.kafka import create_consumer, create_producer, start
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record
from voz_streamkit.run import read_settings, run_service
from voz_streamkit.settings import DatabaseSettings
from voz_streamkit.sink import ExactlyOnceSink, Incoming
from voz_streamkit.tables import streamkit_tables

SCHEMA, CONSUMER, TOPIC = "sample", "counting", "sample.events"
metadata = MetaData()
tables = streamkit_tables(metadata, SCHEMA)
counted = Table(
    "counted",
    metadata,
    Column("name", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    schema=SCHEMA,
)


class Settings(DatabaseSettings):
    model_config = SettingsConfigDict(env_prefix="VOZ_SAMPLE_")


@dataclass(frozen=True)
class Amount:
    name: str
    amount: int


class Counting:
    """The effects: amounts added up, rows in the order of their names."""

    async def apply(self, connection: AsyncConnection, events: Sequence[Incoming[Amount]]) -> None:
        sums: Counter[str] = Counter()
        for each in events:
            if each.event.name == "refused":
                raise InvalidRecordError("refused", "this name isn't counted", record=each.record)
            sums[each.event.name] += each.event.amount
        statement = insert(counted).values([{"name": name, "amount": sums[name]} for name in sorted(sums)])
        added = {"amount": counted.c.amount + statement.excluded.amount}
        await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=added))


def decode(record: Record) -> Incoming[Amount]:
    try:
        found = json.loads(record.value)
        event = Amount(found["name"], found["amount"])
        return Incoming(record, record.key.decode() or "demo", UUID(found["id"]), event)
    except (ValueError, KeyError) as error:
        raise InvalidRecordError("undecodable", str(error)) from error


def value(event_id: UUID, name: str, amount: int = 1) -> bytes:
    return json.dumps({"id": str(event_id), "name": name, "amount": amount}).encode()


async def create_tables(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(CreateSchema(SCHEMA))
        await connection.run_sync(metadata.create_all)


async def sums(engine: AsyncEngine) -> dict[str, int]:
    async with engine.connect() as connection:
        return {row.name: row.amount for row in await connection.execute(select(counted))}


async def consume(
    settings: Settings, stop: asyncio.Event, *, limit: DeadLetterLimit | None = None, metrics: Metrics | None = None
) -> None:
    """The whole process: a consumer of `sample.events` until `stop`."""
    metrics = metrics or Metrics("sample", CollectorRegistry())
    engine, producer = create_engine(settings), create_producer(settings)
    try:
        await start(producer, stop)
        letters = DeadLetters(producer, settings.topic(DEAD_LETTER), "sample", limit or DeadLetterLimit(), metrics)
        sink = ExactlyOnceSink(engine, SCHEMA, CONSUMER, decode, Counting(), letters)
        consumer = create_consumer(settings, CONSUMER, session_timeout_ms=2000, heartbeat_interval_ms=500)
        await ConsumeLoop(
            consumer,
            [settings.topic(TOPIC)],
            sink,
            Health(),
            metrics,
            max_batch=100,
            max_wait_seconds=0.05,
            backoff=Backoff(0.02, 0.2),
            observe_seconds=0.2,
        ).run(stop)
    finally:
        await producer.stop()
        await engine.dispose()


if __name__ == "__main__":
    raise SystemExit(run_service(lambda stop: consume(read_settings(Settings), stop)))
