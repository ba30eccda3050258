"""Links at work: an event log that gives events the keys that links say, and what keeps a process up to date."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import structlog

from voz_ingest.adapters.outbound.identity_map import IdentityMap, Known
from voz_ingest.domain.event import Profile, ReceivedEvent
from voz_ingest.domain.groups import Verdict
from voz_ingest.domain.identities import Identity, claimed
from voz_ingest.metrics import IdentityMetrics
from voz_ingest.ports import Claim, EventLog, IdentitiesUnavailableError, IdentityStore, LogUnavailableError, Part
from voz_streamkit.backoff import pause

RETRY_AFTER_SECONDS: Final = 5
_CHANGES_AT_ONCE: Final = 20_000
_REFUSED_REMEMBERED: Final = 10_000
_log = structlog.get_logger(__name__)
# The tenant whose they are, and the identities.
_ClaimKey = tuple[str, tuple[Identity, ...]]
_Claims = dict[_ClaimKey, Claim]


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
        self._refused: set[_ClaimKey] = set()
        self._refused_at = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, parts: Sequence[Part]) -> None:
        """As the port says. Parts that say something new of identities follow when it is noted."""
        ready = []
        for part in parts:
            said, learned = self._claims(part.events)
            if said or learned:
                self._spawn(self._begin_noted(part, said, learned))
            else:
                ready.append(Part(self._keyed(part.events), part.settled))
        if ready:
            self._log.begin(ready)

    async def append(self, events: Sequence[ReceivedEvent]) -> None:
        """As the port says."""
        said, learned = self._claims(events)
        await self._note(said, learned)
        await self._log.append(self._keyed(events))

    async def _begin_noted(self, part: Part, said: _Claims, learned: _Claims) -> None:
        try:
            await self._note(said, learned)
        except LogUnavailableError as error:
            part.settled(error)
        except Exception:  # whatever it is, whoever waits is told
            _log.exception("identities can't be noted")
            part.settled(_unavailable())
        else:
            self._log.begin([Part(self._keyed(part.events), part.settled)])

    def _keyed(self, events: Sequence[ReceivedEvent]) -> Sequence[ReceivedEvent]:
        """The events with the keys that links say."""
        if not len(self._links):
            return events
        return [
            received._replace(customer_key=key) if (key := self._known(received).key) else received
            for received in events
        ]

    def _known(self, received: ReceivedEvent) -> Known:
        return self._links.known(received.tenant, received.event.source, received.event.customer)

    def _claims(self, events: Sequence[ReceivedEvent]) -> tuple[_Claims, _Claims]:
        """What profile events say that isn't known, and what is to be learned of the others."""
        said: _Claims = {}
        learned: _Claims = {}
        for received in events:
            # Most events say nothing of identities.
            if type(received.event.payload) is Profile and (claim := self._said(received)):
                said[received.tenant, claim.identities] = claim
            elif len(self._links) and (claim := self._learned(received)):
                learned[received.tenant, claim.identities] = claim
        return said, learned

    def _said(self, received: ReceivedEvent) -> Claim | None:
        """What a profile event says of identities; None when it says nothing new."""
        identities = claimed(received.event)
        if not identities or self._links.one_person(received.tenant, identities):
            return None
        return self._unless_refused(received.tenant, Claim(identities, _sender(received)))

    def _learned(self, received: ReceivedEvent) -> Claim | None:
        """That a customer who is known by another identity has this one, too."""
        known = self._known(received)
        if known.own is None or known.through is None:
            return None
        claim = Claim((known.own, known.through), _sender(received), through=known.through)
        return self._unless_refused(received.tenant, claim)

    async def _note(self, said: _Claims, learned: _Claims) -> None:
        """Note claims. Raises LogUnavailableError when what was said can't be noted; what is learned may wait."""
        for claims in (said, learned):
            by_tenant: defaultdict[str, list[Claim]] = defaultdict(list)
            for (tenant, _), claim in claims.items():
                by_tenant[tenant].append(claim)
            for tenant, mine in by_tenant.items():
                try:
                    await self._link(tenant, mine)
                except IdentitiesUnavailableError as error:
                    self._metrics.claims.labels("unavailable").inc(len(mine))
                    if claims is said:
                        raise _unavailable() from error

    async def _link(self, tenant: str, claims: list[Claim]) -> None:
        verdicts = await self._store.link(tenant, claims)
        if not {Verdict.LINKED, Verdict.KNOWN}.isdisjoint(verdicts):
            await self._follower.refresh()
        for claim, verdict in zip(claims, verdicts, strict=True):
            self._metrics.claims.labels(verdict.value).inc()
            if verdict not in (Verdict.LINKED, Verdict.KNOWN):
                self._refused.add((tenant, claim.identities))

    def _unless_refused(self, tenant: str, claim: Claim) -> Claim | None:
        """The claim, unless the same was refused since anything has changed: the store needn't be asked each time."""
        if self._refused_at != self._links.newest_change or len(self._refused) > _REFUSED_REMEMBERED:
            self._refused, self._refused_at = set(), self._links.newest_change
        return None if (tenant, claim.identities) in self._refused else claim

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _unavailable() -> LogUnavailableError:
    detail = "What is said of identities can't be noted at present."
    return LogUnavailableError(detail, retry_after_seconds=RETRY_AFTER_SECONDS)


def _sender(received: ReceivedEvent) -> str:
    return received.sent_by or f"source:{received.event.source}"
