"""Putting aside what can't be understood, with the evidence, and refusing to put aside a whole stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from voz.v1.dead_letter_pb2 import DeadLetter, Header
from voz_contracts.cloudevents import headers
from voz_streamkit.errors import DeadLetterLimitError, InvalidRecordError
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record
from voz_streamkit.tracing import inject_traceparent

_log = structlog.get_logger(__name__)
# A dead letter is its record and some more; when the broker refuses that as too large, this much of the value is kept.
KEPT_VALUE_BYTES = 64 * 1024


class DeadLetterLimit:
    """Of the last `window` records at most `max_ratio` may be invalid; the first `min_records` are not judged.

    A wrong deployment or a changed schema makes everything invalid: then the stream is better stopped than diverted.
    """

    def __init__(self, *, max_ratio: float = 0.1, window: int = 1000, min_records: int = 100) -> None:
        self._max_ratio, self._min_records = max_ratio, min_records
        self._outcomes: deque[bool] = deque(maxlen=window)
        self._invalid = 0

    def record(self, ok: bool) -> None:
        """Take in one record's outcome. Raises DeadLetterLimitError when the limit is passed."""
        if len(self._outcomes) == self._outcomes.maxlen and not self._outcomes[0]:
            self._invalid -= 1
        self._outcomes.append(ok)
        if ok:
            return
        self._invalid += 1
        seen = len(self._outcomes)
        if seen >= self._min_records and self._invalid > self._max_ratio * seen:
            raise DeadLetterLimitError(
                f"{self._invalid} of the last {seen} records are invalid, more than {self._max_ratio:.0%}: "
                "stopped rather than diverting the stream"
            )


class DeadLetters:
    """Writes `voz.dead-letter`."""

    def __init__(
        self, producer: AIOKafkaProducer, topic: str, service: str, limit: DeadLetterLimit, metrics: Metrics
    ) -> None:
        self._producer, self._topic, self._service = producer, topic, service
        self._limit, self._metrics = limit, metrics

    def judge(self, outcomes: Iterable[bool]) -> None:
        """Count outcomes of records in order: True for a valid one.

        Raises DeadLetterLimitError: call it before publishing what it counts, so that nothing is diverted in vain.
        """
        for ok in outcomes:
            self._limit.record(ok)

    async def send(self, record: Record, error: InvalidRecordError, attempts: int = 1) -> None:
        """Count one invalid record against the limit and publish it. Acknowledged by all replicas on return."""
        self._limit.record(ok=False)
        await self.publish(record, error, attempts)

    async def publish(self, record: Record, error: InvalidRecordError, attempts: int = 1) -> None:
        """Publish one record that was counted already. Acknowledged by all replicas on return."""
        now = datetime.now(UTC)
        letter = DeadLetter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=[Header(name=name, value=value) for name, value in record.headers],
            service=self._service,
            reason=error.reason,
            detail=error.detail,
            attempts=attempts,
            failed_at=now,
        )
        position = f"{record.topic}/{record.partition}/{record.offset}"
        envelope = headers(
            event_id=position,
            source=f"/voz/{self._service}",
            event_type="voz.v1.DeadLetter",
            subject=record.key.decode(errors="replace"),
            time=now,
            traceparent=inject_traceparent(),
        )
        # An empty key is no key: those would else all meet in one partition.
        key = record.key or None
        try:
            await self._producer.send_and_wait(self._topic, letter.SerializeToString(), key=key, headers=envelope)
        except MessageSizeTooLargeError:
            letter.detail += f" (of {len(record.value)} bytes the first {KEPT_VALUE_BYTES} are kept)"
            letter.value = record.value[:KEPT_VALUE_BYTES]
            await self._producer.send_and_wait(self._topic, letter.SerializeToString(), key=key, headers=envelope)
        self._metrics.dead_letters.labels(self._service, error.reason).inc()
        _log.warning("dead letter", position=position, reason=error.reason, detail=error.detail[:500])
