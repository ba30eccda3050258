"""What the pipeline makes of one run's events, read from its topics: answers, cases, dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from voz.v1.case_pb2 import CASE_EVENT_TYPE_OPENED, CASE_EVENT_TYPE_RESOLVED, CaseEvent, SupportCase
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts.topics import CASES, DEAD_LETTER, ENRICHED


@dataclass
class Tally:
    """What became of one run's events, whoever else speaks meanwhile; what is delivered twice counts once.

    A case is of this run when its customer is: one of those whose accepted events were enriched.
    """

    accepted: set[str] = field(default_factory=set)
    """Ids of the run's events, filled by whoever sends them."""
    _enriched: dict[str, str] = field(default_factory=dict)
    _opened: dict[str, SupportCase] = field(default_factory=dict)
    _resolved: set[str] = field(default_factory=set)
    dead_letters: int = 0

    def add_enriched(self, value: bytes) -> None:
        """An answer of enrich."""
        event = EnrichedEvent.FromString(value).event
        self._enriched[event.id] = event.customer.key

    def add_case(self, value: bytes) -> None:
        """Something that happened to a case."""
        happened = CaseEvent.FromString(value)
        case = happened.support_case
        if happened.type == CASE_EVENT_TYPE_OPENED:
            self._opened.setdefault(case.id, case)
        if happened.type == CASE_EVENT_TYPE_RESOLVED:
            self._resolved.add(case.id)

    @property
    def enriched(self) -> int:
        """Of the accepted events."""
        return len(self.accepted & self._enriched.keys())

    @property
    def cases(self) -> list[SupportCase]:
        """Cases of this run's customers, in the order of their opening."""
        customers = {self._enriched[each] for each in self.accepted & self._enriched.keys()}
        return [case for case in self._opened.values() if case.customer.key in customers]

    @property
    def resolved(self) -> int:
        """How many of them were resolved, be it for a while."""
        return sum(case.id in self._resolved for case in self.cases)


@asynccontextmanager
async def tallying(bootstrap: str, prefix: str) -> AsyncIterator[Tally]:
    """A tally of everything that is published from now on, kept up in the background."""
    tally = Tally()
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
