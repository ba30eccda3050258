"""What the pipeline makes of one run's events, read from its topics: answers, cases, dead letters."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from voz.v1.case_pb2 import CASE_EVENT_TYPE_OPENED, CASE_EVENT_TYPE_RESOLVED, CaseEvent, SupportCase
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts.topics import CASES, DEAD_LETTER, ENRICHED

_SHOWN_CASES = 6


@dataclass
class Tally:
    """Sets of ids, so that what is delivered twice counts once. `run` begins the ids of this run's customers."""

    run: str
    enriched: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    resolved: set[str] = field(default_factory=set)
    dead_letters: int = 0
    newest_cases: deque[SupportCase] = field(default_factory=lambda: deque(maxlen=_SHOWN_CASES))

    def add_enriched(self, value: bytes) -> None:
        """An answer of enrich."""
        event = EnrichedEvent.FromString(value).event
        if event.customer.id.startswith(f"{self.run}-"):
            self.enriched.add(event.id)

    def add_case(self, value: bytes) -> None:
        """Something that happened to a case."""
        happened = CaseEvent.FromString(value)
        case = happened.support_case
        if not case.customer.id.startswith(f"{self.run}-"):
            return
        if happened.type == CASE_EVENT_TYPE_OPENED and case.id not in self.opened:
            self.opened.add(case.id)
            self.newest_cases.append(case)
        if happened.type == CASE_EVENT_TYPE_RESOLVED:
            self.resolved.add(case.id)


@asynccontextmanager
async def tallying(bootstrap: str, prefix: str, run: str) -> AsyncIterator[Tally]:
    """A tally of everything that is published from now on, kept up in the background."""
    tally = Tally(run)
    names = [prefix + topic.name for topic in (ENRICHED, CASES, DEAD_LETTER)]
    consumer = AIOKafkaConsumer(*names, bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        # Named one by one: `latest` would be asked for later, when events have already gone by.
        for partition, end in (await consumer.end_offsets(consumer.assignment())).items():
            consumer.seek(partition, end)
        reading = asyncio.create_task(_read(consumer, tally, prefix))
        try:
            yield tally
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, tally: Tally, prefix: str) -> None:
    while True:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                _add(tally, record, prefix)


def _add(tally: Tally, record: ConsumerRecord[bytes | None, bytes | None], prefix: str) -> None:
    topic = record.topic.removeprefix(prefix)
    if topic == DEAD_LETTER.name:
        tally.dead_letters += 1
    elif record.value is not None and topic == ENRICHED.name:
        tally.add_enriched(record.value)
    elif record.value is not None:
        tally.add_case(record.value)
