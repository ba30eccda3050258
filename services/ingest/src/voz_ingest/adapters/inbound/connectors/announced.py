"""What webhooks only announce is fetched here: asked for, read, delivered, and only then forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.inbound.connections import ConnectionsInForce
from voz_ingest.adapters.inbound.connectors.declared import allowed_hosts
from voz_ingest.adapters.inbound.connectors.delivery import Read
from voz_ingest.adapters.inbound.connectors.runner import Parts
from voz_ingest.adapters.inbound.sources import Payload
from voz_ingest.adapters.outbound.web import StatusError
from voz_ingest.domain.connection import Connection
from voz_ingest.domain.evidence import without_secrets
from voz_ingest.domain.pacing import backoff_seconds, refusal_seconds
from voz_ingest.ports import Announcement, Announcements, LogUnavailableError
from voz_streamkit.backoff import pause
from voz_streamkit.errors import is_transient

_log = structlog.get_logger(__name__)
AT_ONCE = 10
TAKEN_SECONDS = 300.0
"""For how long an announcement is ours: longer than asking for all that it announces may take."""
FIRST_WAIT_SECONDS = 5.0


class Fetcher:
    """Takes announcements that are due, asks the source for each, and delivers the answers.

    Several processes share the work. One that is killed loses nothing: its announcements are due again after a while,
    and what was delivered already is the same events. After `max_attempts` one is put aside as evidence.
    """

    def __init__(
        self,
        announcements: Announcements,
        connections: ConnectionsInForce,
        parts: Parts,
        *,
        max_attempts: int,
        poll_seconds: float,
    ) -> None:
        self._announcements, self._connections, self._parts = announcements, connections, parts
        self._max_attempts, self._poll_seconds = max_attempts, poll_seconds
        self._gauged: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what is under way then is finished."""
        while not stop.is_set():
            try:
                taken = await self._announcements.take(AT_ONCE, for_seconds=TAKEN_SECONDS)
                for failed in await asyncio.gather(*map(self._handle, taken), return_exceptions=True):
                    if isinstance(failed, BaseException):
                        raise failed
                self._gauge(await self._announcements.pending())
            except Exception as error:
                if not is_transient(error):
                    raise
                _log.warning("announcements can't be taken", error=str(error)[:300])
                taken = []
            if len(taken) < AT_ONCE:
                await pause(self._poll_seconds, stop)

    async def _handle(self, announcement: Announcement) -> None:
        """Whatever becomes of it, the others go on. Raises only when PostgreSQL is away."""
        try:
            await self._fetch(announcement)
        except Exception as error:  # also a fault of ours
            await self._failed(announcement, error)
            return
        await self._announcements.done(announcement)
        self._count(announcement, "done")

    async def _fetch(self, announcement: Announcement) -> None:
        connection = self._connection(announcement)
        if connection is None:
            raise LookupError(f"there is no connection {announcement.connection_id} any more")
        source = sources.load(connection.source)
        assert source.announced is not None
        payload = Payload(
            announcement.body,
            announcement.headers,
            connection.own,
            connection.options,
            received_at=announcement.received_at,
        )
        for pull in source.announced(payload, connection.secrets):
            answers = await self._parts.transports.ask(pull, connection, allowed_hosts(connection, source))
            reads = [Read(answer, source.drafts(answer)) for answer in answers]
            await self._parts.delivery.deliver(connection, source, reads)

    async def _failed(self, announcement: Announcement, error: Exception) -> None:
        connection = self._connection(announcement) or Connection(
            announcement.connection_id, announcement.tenant, announcement.source
        )
        detail = without_secrets(f"{type(error).__name__}: {error}", connection.secrets, connection.options)
        kafka_away = isinstance(error, LogUnavailableError)
        last = announcement.attempts >= self._max_attempts and not kafka_away
        _log.warning(
            "announcement failed",
            connection=announcement.connection_id,
            attempt=announcement.attempts,
            given_up=last,
            error=detail[:500],
        )
        if last:
            try:
                await self._parts.delivery.evidence.put(
                    connection,
                    announcement.body,
                    announcement.headers,
                    reason="unfetchable",
                    detail=detail,
                    attempts=announcement.attempts,
                )
            except LogUnavailableError:
                pass  # it stays, and is tried once more
            else:
                await self._announcements.done(announcement)
                self._count(announcement, "given_up")
                return
        await self._announcements.postpone(announcement, detail, seconds=self._wait(announcement, error))
        self._count(announcement, "postponed")

    def _wait(self, announcement: Announcement, error: Exception) -> float:
        told: float | None = None
        if isinstance(error, StatusError):
            told = refusal_seconds(error.fetched.headers, datetime.now(UTC))
        wait = backoff_seconds(
            announcement.attempts,
            self._parts.jitter(),
            initial_seconds=FIRST_WAIT_SECONDS,
            max_seconds=self._parts.max_backoff_seconds,
        )
        return max(wait, told or 0.0)

    def _connection(self, announcement: Announcement) -> Connection | None:
        found = self._connections.value.by_id.get(announcement.connection_id)
        return found if found and (found.tenant, found.source) == (announcement.tenant, announcement.source) else None

    def _count(self, announcement: Announcement, outcome: str) -> None:
        self._parts.metrics.announcements.labels(announcement.source, outcome).inc()

    def _gauge(self, pending: Mapping[str, int]) -> None:
        self._gauged |= pending.keys()
        for source in self._gauged:
            self._parts.metrics.announcements_pending.labels(source).set(pending.get(source, 0))
