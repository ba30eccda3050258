"""Faust loses events when a Table's recovery ends on a backlog; with the repair it does not."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from voz_devstack.testing import KafkaAddress

pytestmark = pytest.mark.integration
COMMITTED, COUNT = 100, 1500


async def seen_offsets(kafka: KafkaAddress, topic: str, folder: Path, *, repair: bool) -> list[int]:
    """What a plain Faust worker's agent sees of a backlog, with 5 records in its Table's changelog."""
    group = f"{topic}-group"
    changelog = f"{group}-seen-changelog"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1), NewTopic(changelog, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", linger_ms=5)
    await producer.start()
    sent = [await producer.send(topic, b"v" * 200, key=b"k%d" % (n % 10)) for n in range(COUNT)]
    sent += [await producer.send(changelog, b"v", key=b"k%d" % n) for n in range(5)]
    await asyncio.gather(*sent)
    await producer.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    await consumer.commit({TopicPartition(topic, 0): COMMITTED})
    await consumer.stop()

    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("faust_race.py")),
        env={
            **os.environ,
            "VOZ_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "RACE_TOPIC": topic,
            "RACE_GROUP": group,
            "RACE_FOLDER": str(folder),
            "RACE_REPAIR": str(int(repair)),
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert worker.stdout is not None
    offsets: list[int] = []
    try:
        async with asyncio.timeout(90):
            while not offsets or offsets[-1] < COUNT - 1:
                line = await worker.stdout.readline()
                assert line, "the worker ended"
                offsets.append(int(line))
    finally:
        worker.kill()
        await worker.communicate()
    return offsets


async def test_faust_alone_passes_over_events(kafka: KafkaAddress, topic_prefix: str, tmp_path: Path) -> None:
    offsets = await seen_offsets(kafka, f"{topic_prefix}race", tmp_path, repair=False)
    lost = set(range(COMMITTED, COUNT)) - set(offsets)
    assert lost, "Faust has changed: is the repair still needed?"


async def test_the_repair_keeps_them(kafka: KafkaAddress, topic_prefix: str, tmp_path: Path) -> None:
    offsets = await seen_offsets(kafka, f"{topic_prefix}race", tmp_path, repair=True)
    assert offsets == list(range(COMMITTED, COUNT))
