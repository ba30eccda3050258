"""From payloads to acknowledged events: what every way of fetching shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from voz_ingest.adapters.inbound.connections import ConnectionsInForce
from voz_ingest.adapters.inbound.sources import Payload, Source
from voz_ingest.domain.connection import Connection
from voz_ingest.domain.draft import Draft
from voz_ingest.metrics import ConnectMetrics, IngestMetrics
from voz_ingest.ports import EventLog, Evidence
from voz_ingest.use_cases import Rejected, Submission

PART = 500
_SHOWN_ERRORS = 5


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
        connections: ConnectionsInForce,
        metrics: IngestMetrics,
        connect_metrics: ConnectMetrics,
        *,
        max_text_bytes: int,
    ) -> None:
        self._log, self.evidence, self._connections = log, evidence, connections
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
            self._metrics.rejected.inc(len(outcome.rejected))
            self._count(connection, "accepted", len(outcome.ids))
            self._count(connection, "rejected", len(outcome.rejected))
        self._note_newest(connection, reads)

    def _submission(self, connection: Connection, source: Source) -> Submission:
        return Submission(
            self._log,
            uuid4,
            tenant=connection.tenant,
            received_at=datetime.now(UTC),
            max_text_bytes=self._max_text_bytes,
            company_ids=not source.knows_customers_itself(connection.options),
            pseudonym_key=self._connections.value.tenant(connection.tenant).pseudonym_key,
        )

    def _count(self, connection: Connection, outcome: str, events: int) -> None:
        if events:
            self._connect_metrics.events.labels(connection.id, connection.source, outcome).inc(events)

    def _note_newest(self, connection: Connection, reads: Sequence[Read]) -> None:
        said = [draft.plain.get("occurred_at") for read in reads for draft in read.drafts if _is_plain(draft)]
        newest = max((moment for each in said if (moment := _timestamp(each)) is not None), default=None)
        if newest is not None:
            self._connect_metrics.newest_event.labels(connection.id, connection.source).set(newest)


def _parts(events: list[tuple[Payload, Draft]]) -> Iterator[list[tuple[Payload, Draft]]]:
    for start in range(0, len(events), PART):
        yield events[start : start + PART]


def _by_payload(
    part: Sequence[tuple[Payload, Draft]], rejected: Sequence[Rejected]
) -> Iterator[tuple[Payload, list[Rejected]]]:
    found: dict[int, tuple[Payload, list[Rejected]]] = {}
    for each in rejected:
        payload = part[each.index][0]
        found.setdefault(id(payload), (payload, []))[1].append(each)
    yield from found.values()


def _detail(rejected: Sequence[Rejected]) -> str:
    said = [f"{error.pointer or 'the event'}: {error.detail}" for each in rejected for error in each.errors]
    more = f" (and {len(said) - _SHOWN_ERRORS} more)" if len(said) > _SHOWN_ERRORS else ""
    return f"{len(rejected)} of its events: {'; '.join(said[:_SHOWN_ERRORS])}{more}"


def _is_plain(draft: Draft) -> bool:
    return isinstance(draft.plain, dict) and not draft.errors


def _timestamp(said: object) -> float | None:
    if not isinstance(said, str):
        return None
    try:
        return datetime.fromisoformat(said).timestamp()
    except ValueError:
        return None
