"""The topic of events as a reader sees it."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition

from voz.v1.customer_event_pb2 import CustomerEvent
from voz_contracts.topics import EVENTS
from voz_streamkit.kafka import record_of
from voz_streamkit.records import Record
from voz_streamkit.settings import ServiceSettings
from voz_streamkit.topics import ensure_topics


def settings(bootstrap: str, prefix: str) -> ServiceSettings:
    """The shared settings of an installation."""
    return ServiceSettings.model_validate({"kafka_bootstrap": bootstrap, "topic_prefix": prefix})


async def make_topic(bootstrap: str, prefix: str) -> None:
    """Make `voz.events`."""
    await ensure_topics(settings(bootstrap, prefix), [EVENTS])


async def read_records(bootstrap: str, prefix: str) -> list[Record]:
    """Everything on `voz.events`, partition after partition."""
    return await read_topic(bootstrap, settings(bootstrap, prefix).topic(EVENTS))


async def read_topic(bootstrap: str, topic: str) -> list[Record]:
    """Everything on a topic of eight partitions, partition after partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(EVENTS.partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[Record] = []
        for partition in partitions:
            consumer.seek(partition, 0)
        while [each for each in partitions if await consumer.position(each) < ends[each]]:
            for messages in (await consumer.getmany(timeout_ms=200)).values():
                found += map(record_of, messages)
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


async def read_events(bootstrap: str, prefix: str) -> list[CustomerEvent]:
    """Their messages."""
    return [CustomerEvent.FromString(record.value) for record in await read_records(bootstrap, prefix)]
