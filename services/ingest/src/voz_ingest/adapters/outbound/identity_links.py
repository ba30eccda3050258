"""Links at work: an event log that gives events the keys that links say, and what keeps a process up to date."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from voz_ingest.adapters.outbound.identity_map import IdentityMap, Known
from voz_ingest.domain.event import Profile, ReceivedEvent
from voz_ingest.domain.groups import Verdict
from voz_ingest.domain.identities import Identity, claimed
from voz_ingest.metrics import IdentityMetrics
from voz_ingest.ports import Claim, EventLog, IdentitiesUnavailableError, IdentityStore, LogUnavailableError
from voz_streamkit.backoff import pause

RETRY_AFTER_SECONDS: Final = 5
_CHANGES_AT_ONCE: Final = 20_000
_REFUSED_REMEMBERED: Final = 10_000
_log = structlog.get_logger(__name__)
# A claim, and the tenant whose it is.
_Noted = tuple[str, Claim]


class IdentityFollower:
    """Keeps a process's map at what the store says: all of it at the start, then what has changed."""

    def __init__(
        self, store: IdentityStore, links: IdentityMap, metrics: IdentityMetrics, *, poll_seconds: float = 1.0
    ) -> None:
        self.loaded = asyncio.Event()
        self._store, self._links, self._poll_seconds = store, links, poll_seconds
        self._metrics = metrics
        self._one_at_a_time = asyncio.Lock()
        metrics.links.set_function(lambda: len(links))

    async def refresh(self) -> None:
        """Take over what has changed. Raises IdentitiesUnavailableError; then what was known stays in force."""
        async with self._one_at_a_time:
            while True:
                changes = await self._store.changes(self._links.newest_change, _CHANGES_AT_ONCE)
                self._links.learn(changes)
                if len(changes) < _CHANGES_AT_ONCE:
                    break
        self.loaded.set()
        self._metrics.refreshed.set_to_current_time()

    async def run(self, stop: asyncio.Event) -> None:
        """Refresh until `stop`, through every outage."""
        away = False
        while not stop.is_set():
            try:
                await self.refresh()
            except IdentitiesUnavailableError as error:
                if not away:
                    _log.warning("links can't be read, what was known stays in force", error=str(error)[:300])
                away = True
            else:
                away = False
            await pause(self._poll_seconds, stop)


class LinkedEventLog:
    """EventLog over another one. Events of a linked customer get the key in force.

    What a profile event says of identities is noted before it is appended, and holds for it, too: when it can't be
    noted, LogUnavailableError. Whoever is known by another identity than their own (a handle, an address) is noted with
    their own as well, so that they are known when the other changes; that may wait for the next event.
    """

    def __init__(
        self,
        log: EventLog,
        store: IdentityStore,
        links: IdentityMap,
        follower: IdentityFollower,
        metrics: IdentityMetrics,
    ) -> None:
        self._log, self._store, self._links, self._follower, self._metrics = log, store, links, follower, metrics
        self._refused: set[tuple[str, tuple[Identity, ...]]] = set()
        self._refused_at = 0

    async def append(self, events: Sequence[ReceivedEvent]) -> None:
        """As the port says."""
        # Most events say nothing of identities.
        said = [self._said(each) for each in events if type(each.event.payload) is Profile]
        await self._note(said, required=True)
        if len(self._links):
            known = [self._links.known(each.tenant, each.event.source, each.event.customer) for each in events]
            await self._note([self._learned(*each) for each in zip(events, known, strict=True)], required=False)
            events = [
                received._replace(customer_key=found.key) if found.key else received
                for received, found in zip(events, known, strict=True)
            ]
        await self._log.append(events)

    def _said(self, received: ReceivedEvent) -> _Noted | None:
        """What a profile event says that isn't known yet."""
        identities = claimed(received.event)
        if not identities or self._links.one_person(received.tenant, identities):
            return None
        return received.tenant, Claim(identities, _sender(received))

    def _learned(self, received: ReceivedEvent, known: Known) -> _Noted | None:
        """That a customer who is known by another identity has this one, too."""
        if known.own is None or known.through is None:
            return None
        return received.tenant, Claim((known.own, known.through), _sender(received), through=known.through)

    async def _note(self, noted: Iterable[_Noted | None], *, required: bool) -> None:
        claims: defaultdict[str, dict[tuple[Identity, ...], Claim]] = defaultdict(dict)
        for tenant, claim in filter(None, noted):
            if not self._was_refused(tenant, claim):
                claims[tenant][claim.identities] = claim
        for tenant, said in claims.items():
            try:
                await self._link(tenant, list(said.values()))
            except IdentitiesUnavailableError as error:
                self._metrics.claims.labels("unavailable").inc(len(said))
                if required:
                    detail = "What is said of identities can't be noted at present."
                    raise LogUnavailableError(detail, retry_after_seconds=RETRY_AFTER_SECONDS) from error

    async def _link(self, tenant: str, claims: list[Claim]) -> None:
        verdicts = await self._store.link(tenant, claims)
        if not {Verdict.LINKED, Verdict.KNOWN}.isdisjoint(verdicts):
            await self._follower.refresh()
        for claim, verdict in zip(claims, verdicts, strict=True):
            self._metrics.claims.labels(verdict.value).inc()
            if verdict not in (Verdict.LINKED, Verdict.KNOWN):
                self._refused.add((tenant, claim.identities))

    def _was_refused(self, tenant: str, claim: Claim) -> bool:
        """Whether the same was refused since anything has changed: the store needn't be asked each time."""
        if self._refused_at != self._links.newest_change or len(self._refused) > _REFUSED_REMEMBERED:
            self._refused, self._refused_at = set(), self._links.newest_change
        return (tenant, claim.identities) in self._refused


def _sender(received: ReceivedEvent) -> str:
    return received.sent_by or f"source:{received.event.source}"
