"""From payloads to acknowledged events: what every way of fetching shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from voz_ingest.adapters.inbound.connections import ConnectionsInForce
from voz_ingest.adapters.inbound.connectors.reading import happened_at
from voz_ingest.adapters.inbound.sources import Payload, Source
from voz_ingest.domain.connection import Connection
from voz_ingest.domain.draft import Draft
from voz_ingest.metrics import ConnectMetrics, IngestMetrics
from voz_ingest.ports import EventLog, Evidence, RawPayloads
from voz_ingest.use_cases import Outcome, Rejected, Submission

PART = 500
_SHOWN_ERRORS = 5
_Part = Sequence[tuple[Payload, Draft]]


@dataclass(frozen=True, slots=True)
class Read:
    """A payload and the events that are in it."""

    payload: Payload
    drafts: Sequence[Draft]


class Delivery:
    """Hands events to the log, and what is wrong to the evidence."""

    def __init__(
        self,
        log: EventLog,
        evidence: Evidence,
        raw: RawPayloads,
        connections: ConnectionsInForce,
        metrics: IngestMetrics,
        connect_metrics: ConnectMetrics,
        *,
        max_text_bytes: int,
    ) -> None:
        self._log, self.evidence, self._raw, self._connections = log, evidence, raw, connections
        self._metrics, self._connect_metrics = metrics, connect_metrics
        self._max_text_bytes = max_text_bytes

    async def deliver(self, connection: Connection, source: Source, reads: Sequence[Read]) -> None:
        """Return when every valid event is acknowledged and every other one is kept as evidence, with its payload.

        Raises LogUnavailableError; then some may have been acknowledged, and all can be delivered again.
        """
        for part in _parts([(read.payload, draft) for read in reads for draft in read.drafts]):
            submission = self._submission(connection, source)
            try:
                outcome = await submission.finish([draft for _, draft in part])
            finally:
                self._metrics.accepted.inc(len(submission.outcome.ids))
            for payload, rejected in _by_payload(part, outcome.rejected):
                await self.evidence.put(
                    connection, payload.body, payload.headers, reason="rejected", detail=_detail(rejected)
                )
            await self._keep_raw(connection, part, outcome)
            self._metrics.rejected.inc(len(outcome.rejected))
            self._count(connection, "accepted", len(outcome.ids))
            self._count(connection, "rejected", len(outcome.rejected))
        self._note_newest(connection, reads)

    async def _keep_raw(self, connection: Connection, part: _Part, outcome: Outcome) -> None:
        """Keep the payloads of a connection that asks for it, with the ids of their events."""
        if connection.options.get("keep_raw") is not True:
            return
        refused = {each.index for each in outcome.rejected}
        taken = [payload for place, (payload, _) in enumerate(part) if place not in refused]
        ids: dict[int, tuple[Payload, list[str]]] = {}
        for payload, event_id in zip(taken, outcome.ids, strict=True):
            ids.setdefault(id(payload), (payload, []))[1].append(event_id)
        for payload, found in ids.values():
            await self._raw.put(connection, payload.body, payload.headers, received_at=payload.received_at, ids=found)

    def _submission(self, connection: Connection, source: Source) -> Submission:
        return Submission(
            self._log,
            uuid4,
            tenant=connection.tenant,
            received_at=datetime.now(UTC),
            max_text_bytes=self._max_text_bytes,
            company_ids=not source.knows_customers_itself(connection.options),
            pseudonym_key=self._connections.value.tenant(connection.tenant).pseudonym_key,
            sent_by=f"connection:{connection.id}",
        )

    def _count(self, connection: Connection, outcome: str, events: int) -> None:
        if events:
            self._connect_metrics.events.labels(connection.id, connection.source, outcome).inc(events)

    def _note_newest(self, connection: Connection, reads: Sequence[Read]) -> None:
        said = [happened_at(draft) for read in reads for draft in read.drafts]
        newest = max((moment for moment in said if moment is not None), default=None)
        if newest is not None:
            self._connect_metrics.newest_event.labels(connection.id, connection.source).set(newest.timestamp())


def _parts(events: list[tuple[Payload, Draft]]) -> Iterator[_Part]:
    for start in range(0, len(events), PART):
        yield events[start : start + PART]


def _by_payload(part: _Part, rejected: Sequence[Rejected]) -> Iterator[tuple[Payload, list[Rejected]]]:
    found: dict[int, tuple[Payload, list[Rejected]]] = {}
    for each in rejected:
        payload = part[each.index][0]
        found.setdefault(id(payload), (payload, []))[1].append(each)
    yield from found.values()


def _detail(rejected: Sequence[Rejected]) -> str:
    said = [f"{error.pointer or 'the event'}: {error.detail}" for each in rejected for error in each.errors]
    more = f" (and {len(said) - _SHOWN_ERRORS} more)" if len(said) > _SHOWN_ERRORS else ""
    return f"{len(rejected)} of its events: {'; '.join(said[:_SHOWN_ERRORS])}{more}"
