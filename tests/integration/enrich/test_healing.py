"""Faust is made to skip or to repeat, by committing its group's offsets for it; the answers stay whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from voz_contracts import topics

from ...chaos.enrich_harness import Feeder, Installation, Proof, Worker, prove

pytestmark = pytest.mark.integration
StartWorker = Callable[..., Worker]


async def commit(installation: Installation, place: Callable[[int], int]) -> None:
    """Commit `place(end)` for every partition of the source, in the worker's group."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=installation.bootstrap, group_id=f"{installation.prefix}voz-enrich", enable_auto_commit=False
    )
    await consumer.start()
    try:
        at = [TopicPartition(installation.topic(topics.EVENTS), number) for number in range(installation.partitions)]
        consumer.assign(at)
        ends = await consumer.end_offsets(at)
        await consumer.commit({each: place(ends[each]) for each in at})
    finally:
        await consumer.stop()


async def test_what_faust_passes_over_is_read_first(installation: Installation, start_worker: StartWorker) -> None:
    feeder = Feeder(installation, customers=30, bad_every=31)
    await feeder.feed(400)
    await commit(installation, lambda end: end - 10)
    # The watch is put off, so that it is the gap in front of what is delivered that is noticed.
    worker = start_worker(installation, VOZ_ENRICH_IDLE_SECONDS="60")
    assert await installation.wait_answered(400), worker.said()[-3000:]
    assert await asyncio.to_thread(worker.metric, "voz_enrich_gaps_total") == installation.partitions
    assert (
        await asyncio.to_thread(worker.metric, "voz_enrich_healed_events_total") == 400 - 10 * installation.partitions
    )
    assert worker.stop() == 0
    assert await prove(installation) == Proof(sent=400)


async def test_what_nothing_follows_is_found_at_the_end_of_the_log(
    installation: Installation, start_worker: StartWorker
) -> None:
    feeder = Feeder(installation, customers=30, bad_every=31)
    await feeder.feed(400)
    await commit(installation, lambda end: end)
    worker = start_worker(installation)
    assert await installation.wait_answered(400), worker.said()[-3000:]
    assert await asyncio.to_thread(worker.metric, "voz_enrich_idle_reads_total") >= installation.partitions
    assert await asyncio.to_thread(worker.metric, "voz_enrich_healed_events_total") == 400
    assert worker.stop() == 0
    assert await prove(installation) == Proof(sent=400)


async def test_what_faust_repeats_is_dropped(installation: Installation, start_worker: StartWorker) -> None:
    feeder = Feeder(installation, customers=30, bad_every=31)
    await feeder.feed(400)
    first = start_worker(installation)
    assert await installation.wait_answered(400), first.said()[-3000:]
    assert first.stop() == 0
    await commit(installation, lambda end: 0)
    await feeder.feed(100)
    second = start_worker(installation, "two")
    assert await installation.wait_answered(500), second.said()[-3000:]
    assert await asyncio.to_thread(second.metric, "voz_enrich_repeats_total") > 0
    assert second.stop() == 0
    assert await prove(installation) == Proof(sent=500)
