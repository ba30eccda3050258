"""A producer for what is seldom sent: connected when it is first needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from voz_ingest.ports import LogUnavailableError
from voz_streamkit.errors import TransientError
from voz_streamkit.kafka import start

RETRY_AFTER_SECONDS = 5


class SideProducer:
    """Starts its producer at the first use; a use that takes longer than `timeout_seconds` is given up."""

    def __init__(self, make_producer: Callable[[], AIOKafkaProducer], *, timeout_seconds: float = 10.0) -> None:
        self._make_producer, self._timeout_seconds = make_producer, timeout_seconds
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    @asynccontextmanager
    async def sending(self, what: str) -> AsyncIterator[AIOKafkaProducer]:
        """The producer, for one use. Raises LogUnavailableError, saying `what`, when Kafka doesn't take it."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                yield await self._started()
        except (TimeoutError, TransientError, KafkaError) as error:
            raise LogUnavailableError(f"{what}: {error}", retry_after_seconds=RETRY_AFTER_SECONDS) from error

    async def close(self) -> None:
        """Deliver what is pending."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = self._make_producer()
                try:
                    await start(producer, wait_seconds=self._timeout_seconds)
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
        return self._producer
