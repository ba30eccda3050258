"""Payloads that can't be understood, on the dead-letter topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from aiokafka import AIOKafkaProducer

from voz_ingest.adapters.outbound.side_producer import SideProducer
from voz_ingest.domain.connection import Connection
from voz_ingest.domain.evidence import without_credentials
from voz_streamkit.dead_letters import DeadLetterLimit, DeadLetters
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record


class KafkaEvidence:
    """Evidence over a producer of its own.

    A payload came by no topic: its letter's topic is `connection:<id>`, its offset the moment, in microseconds since
    1970, and its key `tenant/connection`.
    """

    def __init__(
        self,
        make_producer: Callable[[], AIOKafkaProducer],
        topic: str,
        metrics: Metrics,
        *,
        timeout_seconds: float = 10.0,
    ) -> None:
        self._topic, self._metrics = topic, metrics
        self._producer = SideProducer(make_producer, timeout_seconds=timeout_seconds)

    async def put(
        self,
        connection: Connection,
        body: bytes,
        headers: Mapping[str, str],
        *,
        reason: str,
        detail: str,
        attempts: int = 1,
    ) -> None:
        """As the port says."""
        record = Record(
            topic=f"connection:{connection.id}",
            partition=0,
            offset=time.time_ns() // 1000,
            key=f"{connection.tenant}/{connection.id}".encode(),
            value=body,
            headers=tuple((name, value.encode()) for name, value in without_credentials(headers).items()),
            timestamp_ms=time.time_ns() // 1_000_000,
        )
        async with self._producer.sending("The payload can't be kept as evidence at present") as producer:
            # A source that sends nonsense stops nothing of ours, so its letters are under no limit.
            letters = DeadLetters(producer, self._topic, "ingest", DeadLetterLimit(), self._metrics)
            await letters.publish(record, InvalidRecordError(reason, detail), attempts)

    async def close(self) -> None:
        """Deliver what is pending."""
        await self._producer.close()
