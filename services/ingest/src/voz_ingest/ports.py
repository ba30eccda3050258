"""What ingest needs from outside."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from voz_ingest.domain.connection import Connection
from voz_ingest.domain.connector import ConnectorState, Key, Lease, Position
from voz_ingest.domain.event import ReceivedEvent
from voz_ingest.domain.groups import Member, Verdict
from voz_ingest.domain.identities import Identity


class LogUnavailableError(Exception):
    """The log did not acknowledge in time, or has no room: nothing is promised, the caller tries again later.

    Events that were on their way may still arrive; they keep their ids, so a second delivery is the same event.
    """

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.detail, self.retry_after_seconds = detail, retry_after_seconds


Settled = Callable[[LogUnavailableError | None], None]


class Part(NamedTuple):
    """Events of one caller, at least one, and whom to tell what became of them: with None, they are replicated. It is
    called once, and raises nothing."""

    events: Sequence[ReceivedEvent]
    settled: Settled


class EventLog(Protocol):
    """Where events are kept, in order within a customer."""

    def begin(self, parts: Sequence[Part]) -> None:
        """Append events of several callers, of which none waits for another's. Raises nothing."""
        ...

    async def append(self, events: Sequence[ReceivedEvent]) -> None:
        """Return when every one of `events` is replicated; one customer's stand in the order given.

        Raises LogUnavailableError when that isn't certain.
        """
        ...


class Evidence(Protocol):
    """Where payloads go that can't be understood: the dead-letter topic."""

    async def put(
        self,
        connection: Connection,
        body: bytes,
        headers: Mapping[str, str],
        *,
        reason: str,
        detail: str,
        attempts: int = 1,
    ) -> None:
        """Return when it is replicated. `reason` is one word for metrics, `detail` is for people; of `headers` what
        authenticates is left out. Raises LogUnavailableError when that isn't certain.
        """
        ...


class Usage(Protocol):
    """What tenants have sent in a day, as all processes count it."""

    async def add(self, day: date, counts: Mapping[str, int]) -> Mapping[str, int]:
        """Add what this process has counted, by tenant; returns the day's totals."""
        ...


class RawPayloads(Protocol):
    """Where payloads are kept byte for byte, of connections that ask for it."""

    async def put(
        self,
        connection: Connection,
        body: bytes,
        headers: Mapping[str, str],
        *,
        received_at: datetime,
        ids: Sequence[str],
    ) -> None:
        """Return when it is replicated. `ids`: of the events that it became; of `headers` what authenticates is left
        out. Raises LogUnavailableError when that isn't certain.
        """
        ...


class Nonces(Protocol):
    """Values that may be used once, with what they were used for."""

    async def claim(self, connection: Connection, nonce: str, digest: bytes) -> bool:
        """Use a value for what has this digest. False when it was used for something else, within the last two days."""
        ...


class Fetch(Protocol):
    """Asks others by HTTP, and only those named."""

    async def fetch(self, url: str, *, hosts: Collection[str]) -> bytes:
        """What stands behind a URL, on one of the hosts. Raises when it isn't there or must not be asked."""
        ...


@dataclass(frozen=True, slots=True)
class Announcement:
    """A payload that only says that there is something to be fetched."""

    tenant: str
    id: int
    connection_id: str
    source: str
    body: bytes
    headers: Mapping[str, str]
    received_at: datetime
    attempts: int
    """How often it was taken, this time included."""


class Announcements(Protocol):
    """Payloads whose content is still to be fetched: kept from before the source has its answer until the content is
    acknowledged."""

    async def add(self, connection: Connection, body: bytes, headers: Mapping[str, str]) -> None:
        """Return when it is kept. Of `headers` what authenticates is left out. Raises when PostgreSQL can't take it
        (streamkit's `is_transient` says whether it is away)."""
        ...

    async def take(self, limit: int, *, for_seconds: float) -> Sequence[Announcement]:
        """Some that are due, the oldest first. Nobody else gets them for so long; what is neither done nor postponed
        by then is due again."""
        ...

    async def done(self, announcement: Announcement) -> None:
        """Forget it."""
        ...

    async def postpone(self, announcement: Announcement, error: str, *, seconds: float) -> None:
        """Let it be due again after so long."""
        ...

    async def pending(self) -> Mapping[str, int]:
        """How many are kept, by source."""
        ...


class LeaseLostError(Exception):
    """Somebody else has the connector now, or its position was set meanwhile."""


class UnknownConnectorError(Exception):
    """No connector has this id."""


class ConnectorStore(Protocol):
    """Where connectors stand, and whose they are. All times are the store's own clock."""

    async def declare(self, connectors: Mapping[Key, str]) -> None:
        """Know these connectors, with their sources; what was known of them stays."""
        ...

    async def claim(self, keys: Collection[Key], owner: str, *, limit: int, seconds: float) -> Sequence[Lease]:
        """Take over up to `limit` of these connectors, those that nobody holds and nobody has paused."""
        ...

    async def renew(self, tokens: Mapping[Key, int], *, seconds: float) -> Collection[Key]:
        """Hold them longer. Those that come back are still held; the others were lost."""
        ...

    async def save(self, lease: Lease, position: Position, recent: bytes | None, *, wait_seconds: float = 0.0) -> None:
        """Keep where the connector stands (`recent`: None when unchanged), and that it works. Raises LeaseLostError."""
        ...

    async def fail(self, lease: Lease, position: Position, error: str, *, failures: int, wait_seconds: float) -> None:
        """Keep that it doesn't work, and how long its source is to be left alone. Raises LeaseLostError."""
        ...

    async def release(self, lease: Lease) -> None:
        """Let others have it at once. Nothing happens when they have it already."""
        ...

    async def states(self) -> Sequence[ConnectorState]:
        """All known connectors, by tenant and id."""
        ...

    async def pause(self, key: Key, paused: bool) -> None:
        """Stop it, wherever it runs, or let it go on at once, whatever it waits for. Raises UnknownConnectorError."""
        ...

    async def rewind(self, key: Key, position: Position) -> None:
        """Set where it stands; whoever runs it begins anew there. Raises UnknownConnectorError."""
        ...


class IdentitiesUnavailableError(Exception):
    """What is known of identities can't be asked or changed now; the same may work later."""


class Claim(NamedTuple):
    """These identities are one person, says `said_by` (a key, a connection, somebody at the command line).

    `by_hand`: a person says it, who may also join what was parted. `through`: an event has the first one and this one,
    by which its customer is known already.
    """

    identities: tuple[Identity, ...]
    said_by: str
    note: str = ""
    by_hand: bool = False
    through: Identity | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """Who has said what, and when. `linked`: these are one person; else they were taken out of their group."""

    at: datetime
    said_by: str
    linked: bool
    identities: tuple[Identity, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Person:
    """The identities that are one person, oldest first, with the customer key in force; and what was said of them."""

    customer_key: UUID
    members: tuple[Member, ...]
    said: tuple[Said, ...]


class KeyChange(NamedTuple):
    """The key in force for what has `key` of its own. Changes are numbered in the order in which they were made."""

    number: int
    key: UUID
    customer_key: UUID
    linked: bool
    """Whether it is one of several identities; else it stands by itself."""


class IdentityStore(Protocol):
    """Which identities are one person, for each tenant. Every method may raise IdentitiesUnavailableError; saying a
    thing again changes nothing."""

    async def link(self, tenant: str, claims: Sequence[Claim]) -> list[Verdict]:
        """Judge the claims one after another and do what follows; what changed is published."""
        ...

    async def unlink(self, tenant: str, identities: Sequence[Identity], said_by: str, note: str = "") -> None:
        """Take identities out of their groups. Only a person joins them to the same ones again."""
        ...

    async def person(self, tenant: str, identity: Identity) -> Person:
        """Whose identity it is; nobody else's, when it is not linked."""
        ...

    async def changes(self, after: int, limit: int) -> list[KeyChange]:
        """The newest change of each key that is newer than number `after`, oldest first."""
        ...


class IdentityDesk(Protocol):
    """Where people of the company say who is who. Every method may raise IdentitiesUnavailableError; what was said
    holds in this process when they return."""

    async def link(self, tenant: str, claim: Claim) -> Verdict:
        """Say that identities are one person."""
        ...

    async def unlink(self, tenant: str, identities: Sequence[Identity], said_by: str, note: str = "") -> None:
        """Take identities out of their groups again."""
        ...

    async def person(self, tenant: str, identity: Identity) -> Person:
        """Whose identity it is."""
        ...


PhoneIds = Callable[[str], bool]
"""Whether a source's ids of people are telephone numbers."""
