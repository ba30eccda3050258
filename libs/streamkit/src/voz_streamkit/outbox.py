"""The transactional outbox: messages are committed with the effects they speak of, and published afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from sqlalchemy import MetaData, Row, delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voz_streamkit.backoff import Backoff, pause, persist
from voz_streamkit.errors import is_transient
from voz_streamkit.metrics import Metrics
from voz_streamkit.tables import StreamkitTables, streamkit_tables

_log = structlog.get_logger(__name__)
# Kafka's default limit for one record is 1 MiB with its envelope. What can't be published is refused before commit.
MAX_VALUE_BYTES = 1_000_000
LOCK_NAMESPACE = 0x766F7A6F  # "vozo": keeps the relays' advisory locks apart from anybody else's


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A record to be published: the topic's full name, the partition key, the bytes, and text headers."""

    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


async def enqueue(connection: AsyncConnection, tables: StreamkitTables, messages: Sequence[OutboxMessage]) -> None:
    """Add messages to the outbox within the caller's transaction, in order.

    Messages of one key are published in the order of their ids. So a caller holds a lock that belongs to the key (its
    case's row) from before this until it commits. Raises ValueError for a value over MAX_VALUE_BYTES.
    """
    if not messages:
        return
    for message in messages:
        if len(message.value) > MAX_VALUE_BYTES:
            raise ValueError(f"a message of {len(message.value)} bytes can't be published to {message.topic}")
    await connection.execute(
        insert(tables.outbox),
        [
            {
                "topic": message.topic,
                "key": message.key,
                "value": message.value,
                "headers": [[name, value.decode()] for name, value in message.headers],
            }
            for message in messages
        ],
    )


class OutboxRelay:
    """Publishes a schema's outbox to Kafka: in the order of ids, acknowledged by all replicas before deletion.

    A relay that dies between the two publishes again what it had published: consumers drop known ids. One relay works
    at a time, by an advisory lock of the session; others wait and take over when its session ends.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        schema: str,
        producer: AIOKafkaProducer,
        *,
        poll_seconds: float = 0.1,
        batch: int = 500,
        backoff: Backoff | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._engine, self._schema, self._producer = engine, schema, producer
        self._outbox = streamkit_tables(MetaData(), schema).outbox
        self._poll_seconds, self._batch, self._backoff = poll_seconds, batch, backoff or Backoff()
        self._metrics = metrics
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """There is something to publish: don't wait for the next look."""
        self._nudged.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop`. Transient errors are tried again with backoff; any other is raised."""

        def say(attempt: int, error: BaseException) -> None:
            _log.warning("the outbox waits", schema=self._schema, attempt=attempt, error=str(error)[:500])

        try:
            await persist(lambda: self._relay(stop), self._backoff, stop, say)
        except Exception as error:
            if not (stop.is_set() and is_transient(error)):
                raise

    async def _relay(self, stop: asyncio.Event) -> None:
        # One connection for the lock and for the work: when it breaks, both end.
        async with self._engine.connect() as opened:
            connection = await opened.execution_options(isolation_level="AUTOCOMMIT")
            try:
                while not (stop.is_set() or await self._locked(connection)):
                    await pause(max(1.0, self._poll_seconds), stop)
                while not stop.is_set():
                    self._nudged.clear()
                    if await self._publish(connection) < self._batch:
                        await self._wait(stop)
            finally:
                # Back in the pool the session would keep the lock.
                await opened.invalidate()

    async def _locked(self, connection: AsyncConnection) -> bool:
        statement = text("select pg_try_advisory_lock(:namespace, hashtext(:schema))")
        return bool(await connection.scalar(statement, {"namespace": LOCK_NAMESPACE, "schema": self._schema}))

    async def _publish(self, connection: AsyncConnection) -> int:
        """Publish and delete the oldest messages; returns how many."""
        outbox = self._outbox
        rows = (
            await connection.execute(
                select(outbox.c.id, outbox.c.topic, outbox.c.key, outbox.c.value, outbox.c.headers)
                .order_by(outbox.c.id)
                .limit(self._batch)
            )
        ).all()
        await self._show_pending(connection, len(rows))
        if not rows:
            return 0
        outcomes = await self._send(rows)
        # After a message that failed nothing is deleted: its key's later ones are to follow it again.
        failed = next((index for index, outcome in enumerate(outcomes) if isinstance(outcome, BaseException)), None)
        done = [row.id for row in rows[:failed]]
        if done:
            await connection.execute(delete(outbox).where(outbox.c.id.in_(done)))
        if self._metrics:
            self._metrics.outbox_published.labels(self._metrics.service).inc(len(done))
        if failed is not None:
            error = outcomes[failed]
            assert isinstance(error, BaseException)
            raise error
        return len(rows)

    async def _send(self, rows: Sequence[Row[Any, Any, Any, Any, Any]]) -> list[object]:
        """What became of each row, in order: an exception, or an acknowledgement. Ends at the first refusal."""
        # What a client knows of a topic is forgotten when it asks for another that it didn't know, unless it was told
        # to keep it: what is on its way to the first would then wait for a leader until it is too old, half a minute.
        for topic in dict.fromkeys(row.topic for row in rows):
            await self._producer.client.add_topic(topic)
        sent = []
        refusal: list[object] = []
        for row in rows:
            headers = [(name, value.encode()) for name, value in row.headers]
            try:
                sent.append(await self._producer.send(row.topic, row.value, key=row.key, headers=headers))
            except KafkaError as error:
                refusal = [error]
                break
        return [*await asyncio.gather(*sent, return_exceptions=True), *refusal]

    async def _show_pending(self, connection: AsyncConnection, seen: int) -> None:
        if self._metrics:
            # Counting is only worth a query when there is more than was read anyway.
            count = select(func.count()).select_from(self._outbox)
            pending = seen if seen < self._batch else await connection.scalar(count)
            self._metrics.outbox_pending.labels(self._metrics.service).set(pending or 0)

    async def _wait(self, stop: asyncio.Event) -> None:
        waits = [asyncio.create_task(self._nudged.wait()), asyncio.create_task(stop.wait())]
        await asyncio.wait(waits, timeout=self._poll_seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
