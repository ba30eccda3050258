"""Payloads byte for byte, on `voz.raw`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from voz.v1.raw_payload_pb2 import RawPayload
from voz_contracts import cloudevents
from voz_ingest.adapters.outbound.side_producer import SideProducer
from voz_ingest.domain.connection import Connection
from voz_ingest.domain.evidence import without_credentials

EVENT_TYPE = RawPayload.DESCRIPTOR.full_name


class KafkaRawPayloads:
    """RawPayloads over a producer of its own."""

    def __init__(self, make_producer: Callable[[], AIOKafkaProducer], topic: str) -> None:
        self._producer, self._topic = SideProducer(make_producer), topic

    async def put(
        self,
        connection: Connection,
        body: bytes,
        headers: Mapping[str, str],
        *,
        received_at: datetime,
        ids: Sequence[str],
    ) -> None:
        """As the port says."""
        payload = RawPayload(
            tenant=connection.tenant,
            connection=connection.id,
            source=connection.source,
            body=body,
            headers=without_credentials(headers),
            received_at=received_at,
            event_ids=ids,
        )
        key = f"{connection.tenant}/{connection.id}"
        envelope = cloudevents.headers(
            event_id=str(uuid4()), source="/voz/ingest", event_type=EVENT_TYPE, subject=key, time=received_at
        )
        async with self._producer.sending("The payload can't be kept at present") as producer:
            await producer.send_and_wait(self._topic, payload.SerializeToString(), key=key.encode(), headers=envelope)

    async def close(self) -> None:
        """Deliver what is pending."""
        await self._producer.close()
