"""Kafka clients as Voz wants them. They are made, not started: `start` waits for Kafka."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from voz_streamkit.backoff import Backoff, persist
from voz_streamkit.errors import TransientError, is_transient
from voz_streamkit.records import Record
from voz_streamkit.settings import ServiceSettings

_log = structlog.get_logger(__name__)


class Client(Protocol):
    """What producers, consumers and admin clients of aiokafka share."""

    async def start(self) -> None:
        """Connect; raises KafkaConnectionError when no broker answers."""


def create_producer(settings: ServiceSettings, **overrides: Any) -> AIOKafkaProducer:
    """An idempotent producer: what is acknowledged is on all in-sync replicas, once and in order. Not started."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "acks": "all",
        "enable_idempotence": True,
        # A lone record waits 2 ms for company; under load batches fill up before that.
        "linger_ms": 2,
        "max_batch_size": 256 * 1024,
        "request_timeout_ms": 30_000,
        "metadata_max_age_ms": 60_000,
    }
    return AIOKafkaProducer(**(options | overrides))


def create_consumer(settings: ServiceSettings, group: str, **overrides: Any) -> AIOKafkaConsumer:
    """A consumer of `group` (the installation's prefix is put in front) that commits nothing by itself. Not started."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "group_id": settings.topic(group),
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        # A killed consumer's partitions are taken over after 10 s.
        "session_timeout_ms": 10_000,
        "heartbeat_interval_ms": 3_000,
        # New partitions and topics are noticed within this time.
        "metadata_max_age_ms": 30_000,
    }
    return AIOKafkaConsumer(**(options | overrides))


async def start(client: Client, stop: asyncio.Event | None = None, *, wait_seconds: float = 300.0) -> None:
    """Start a client, waiting for Kafka with backoff and saying so in the log.

    Raises TransientError when Kafka isn't there after `wait_seconds`, or when `stop` is set meanwhile.
    """

    def say(attempt: int, error: BaseException) -> None:
        _log.warning("kafka can't be reached, waiting", attempt=attempt, error=str(error))

    interrupt = asyncio.Event()
    timer = asyncio.get_running_loop().call_later(wait_seconds, interrupt.set)
    forward = asyncio.create_task(_forward(stop, interrupt)) if stop else None
    try:
        await persist(client.start, Backoff(0.2, 5.0), interrupt, say)
    except Exception as error:
        if is_transient(error):
            raise TransientError(f"Kafka can't be reached: {error}") from error
        raise
    finally:
        timer.cancel()
        if forward:
            forward.cancel()


async def ping(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """A readiness check: returns when a broker answers a started client, raises KafkaError otherwise."""
    if isinstance(client, AIOKafkaConsumer):
        await client.topics()
    else:
        await client.client.fetch_all_metadata()


def record_of(message: ConsumerRecord[bytes | None, bytes | None]) -> Record:
    """The record that aiokafka fetched."""
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key or b"",
        value=message.value or b"",
        headers=tuple((name, value or b"") for name, value in message.headers),
        timestamp_ms=message.timestamp,
    )


async def _forward(source: asyncio.Event, target: asyncio.Event) -> None:
    await source.wait()
    target.set()
