"""The Faust app: membership and delivery, with the sequence guard behind them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import faust

from voz_enrich.adapters.inbound.faust_recovery import repair_recovery
from voz_enrich.adapters.inbound.guard import SequenceGuard
from voz_enrich.adapters.inbound.journey_table import JourneyTable
from voz_enrich.adapters.inbound.pipeline import ahead, micro_batches
from voz_enrich.ports import Prepared
from voz_streamkit.records import Record


@dataclass(frozen=True, slots=True)
class FaustSettings:
    """app_id: the consumer group. instance_id: static membership, one fixed name per worker, or None."""

    app_id: str
    brokers: str
    source_topic: str
    journey_topic: str
    partitions: int
    session_seconds: float
    instance_id: str | None
    data_folder: str
    batch_events: int
    batch_wait_seconds: float
    depth: int


def build_app(
    settings: FaustSettings,
    guard: SequenceGuard,
    prepare: Callable[[list[Record]], Awaitable[list[Prepared]]],
    ends: Callable[[str, Collection[int]], Awaitable[Mapping[int, int]]],
    customers: Callable[[], MutableMapping[bytes, bytes]],
    on_failure: Callable[[BaseException], None],
) -> faust.App:
    """A Faust app that feeds the guard. Build it inside the running loop.

    Whatever goes wrong goes to `on_failure`, which must end the process: Faust would acknowledge what it held.
    """
    repair_recovery()
    for chatty in ("faust", "mode"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    app = faust.App(
        settings.app_id,
        broker=[f"kafka://{broker.strip()}" for broker in settings.brokers.split(",")],
        store="memory://",
        datadir=settings.data_folder,
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,  # topics are made by `voz-topics apply`, from what proto/topics says
        topic_partitions=settings.partitions,
        topic_disable_leader=True,  # nothing here needs a leader
        stream_wait_empty=False,  # a rebalance doesn't wait for what is buffered: the guard drops it
        stream_buffer_maxsize=max(1024, settings.batch_events * settings.depth * 2),
        broker_commit_interval=1.0,
        broker_session_timeout=settings.session_seconds,
        broker_heartbeat_interval=min(2.0, settings.session_seconds / 4),
        consumer_auto_offset_reset="earliest",
        # KIP-345: a worker that returns under the same name within the session gets its partitions back at once.
        consumer_group_instance_id=settings.instance_id,
    )
    source = app.topic(settings.source_topic, key_type=bytes, value_type=bytes, partitions=settings.partitions)
    changelog = app.topic(
        settings.journey_topic,
        key_type=bytes,
        value_type=bytes,
        partitions=settings.partitions,
        compacting=True,
        internal=True,
        allow_empty=True,
        acks=False,
    )
    app.tables.add(
        JourneyTable(app, changelog_topic=changelog, partitions=settings.partitions, ends=ends, customers=customers)
    )

    async def prepare_events(events: list[Any]) -> list[Prepared]:
        records = [_record(event.message) for event in events]
        wanted = [record for record in records if guard.wanted(record.partition, record.offset)]
        return await prepare(wanted)

    async def deliver(stream: Any) -> None:
        unacknowledged = stream.noack()
        batches = micro_batches(aiter(unacknowledged.events()), settings.batch_events, settings.batch_wait_seconds)
        async for events, prepared in ahead(batches, prepare_events, settings.depth):
            await guard.handle(prepared)
            for event in events:
                if guard.answered(event.message.partition, event.message.offset):
                    await stream.ack(event)

    async def guarded(stream: Any) -> None:
        try:
            await deliver(stream)
        except Exception as error:  # never to Faust: its agent would acknowledge what it held
            on_failure(error)

    app.agent(source, name="guarded")(guarded)

    async def assigned(*sent: Any, **_: Any) -> None:
        await guard.assigned(at.partition for at in sent[-1] if at.topic == settings.source_topic)

    async def revoked(*_: Any, **__: Any) -> None:
        await guard.revoked()

    # Signals hold their receivers weakly unless told otherwise.
    app.on_partitions_assigned.connect(assigned, weak=False)
    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_before_shutdown.connect(revoked, weak=False)
    return app


def _record(message: Any) -> Record:
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key or b"",
        value=message.value or b"",
        headers=tuple((name, value or b"") for name, value in message.headers or ()),
        timestamp_ms=round((message.timestamp or 0) * 1000),
    )
