"""All that links need in a process that appends events: Identities."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from voz_contracts.topics import EVENTS
from voz_ingest.adapters.outbound.identity_links import IdentityFollower, LinkedEventLog
from voz_ingest.adapters.outbound.identity_map import IdentityMap
from voz_ingest.adapters.outbound.postgres_identities import PostgresIdentityStore
from voz_ingest.adapters.outbound.tables import SCHEMA
from voz_ingest.domain.groups import Verdict
from voz_ingest.domain.identities import Identity
from voz_ingest.metrics import IdentityMetrics
from voz_ingest.ports import Claim, EventLog, Person, PhoneIds
from voz_streamkit.errors import TransientError
from voz_streamkit.kafka import create_producer, start
from voz_streamkit.metrics import Metrics
from voz_streamkit.outbox import OutboxRelay
from voz_streamkit.settings import ServiceSettings

LOAD_SECONDS: Final = 10.0
_log = structlog.get_logger(__name__)


class Identities:
    """IdentityDesk over PostgreSQL, with this process's copy of the links and a relay of what is published.

    Any number of processes may have one: links are read by each, and one relay works at a time.
    """

    def __init__(self, settings: ServiceSettings, engine: AsyncEngine, shared: Metrics, phone_ids: PhoneIds) -> None:
        self._settings, self._engine, self._shared = settings, engine, shared
        self._relay: OutboxRelay | None = None
        self._store = PostgresIdentityStore(engine, settings.topic(EVENTS), self._nudge)
        self._metrics, self._map = IdentityMetrics(shared), IdentityMap(phone_ids)
        self._follower = IdentityFollower(self._store, self._map, self._metrics)

    def over(self, log: EventLog) -> EventLog:
        """The log, with events under the keys that links say."""
        return LinkedEventLog(log, self._store, self._map, self._follower, self._metrics)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the links and publish what changes until `stop`. The schema is there already."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follower.run(stop))
            tasks.create_task(self._publish(stop))

    async def loaded(self, stop: asyncio.Event) -> None:
        """Return when the links are known, at `stop`, or after ten seconds: events are rather taken without them than
        not at all, and what a link would have joined is joined by whoever reads."""
        waits = [asyncio.create_task(self._follower.loaded.wait()), asyncio.create_task(stop.wait())]
        done, pending = await asyncio.wait(waits, timeout=LOAD_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for each in pending:
            each.cancel()
        if not done:
            _log.warning("links can't be read yet: events are taken without them")

    async def link(self, tenant: str, claim: Claim) -> Verdict:
        """See IdentityDesk."""
        (verdict,) = await self._store.link(tenant, [claim])
        await self._follower.refresh()
        return verdict

    async def unlink(self, tenant: str, identities: Sequence[Identity], said_by: str, note: str = "") -> None:
        """See IdentityDesk."""
        await self._store.unlink(tenant, identities, said_by, note)
        await self._follower.refresh()

    async def person(self, tenant: str, identity: Identity) -> Person:
        """See IdentityDesk."""
        return await self._store.person(tenant, identity)

    async def _publish(self, stop: asyncio.Event) -> None:
        producer = create_producer(self._settings)
        self._relay = OutboxRelay(self._engine, SCHEMA, producer, metrics=self._shared)
        try:
            await start(producer, stop, wait_seconds=math.inf)
            await self._relay.run(stop)
        except TransientError:
            if not stop.is_set():
                raise
        finally:
            await producer.stop()

    def _nudge(self) -> None:
        if self._relay:
            self._relay.nudge()
