"""What the use cases need of the world."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from voz_router.domain.cases import Case, CaseEvent, Status
from voz_router.domain.decisions import Decision
from voz_router.domain.events import Event
from voz_router.domain.policy import Policy
from voz_router.domain.revisions import Revised
from voz_router.domain.routing import CaseMessage, Plan

Clock = Callable[[], datetime]
Json = Mapping[str, object]


class PolicySource(Protocol):
    """Gives the policy in force."""

    @property
    def policy(self) -> Policy:
        """The policy in force now."""


class RoutingStore(Protocol):
    """What routing a batch reads and writes, all of it within the batch's own transaction."""

    async def lock(self, events: Sequence[Event]) -> tuple[list[Case], Revised]:
        """Unresolved cases of these events' customers, and what is known of messages that were edited or taken back
        (or are by these events), all of it locked until the transaction ends, in one order."""

    async def save(self, plan: Plan) -> None:
        """Write decisions, cases, messages and how they read, history and outbox. Raises when another case was opened
        meanwhile: the whole batch is then to be tried again."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request that may be sent again: its idempotency key, and a fingerprint of all that it asks."""

    key: str
    fingerprint: bytes


class CaseTransaction(Protocol):
    """One change of one case, with what follows from it; nothing of it stays when the transaction fails."""

    async def answered(self, tenant: str, request: Request, now: datetime) -> Json | None:
        """The answer that this request was given before; None when it is new, and then it is taken: the same
        request sent meanwhile waits. Raises KeyReusedError when the key came with another request."""

    async def remember(self, tenant: str, request: Request, answer: Json) -> None:
        """Keep the answer of a request that is new."""

    async def lock(self, tenant: str, case_id: UUID) -> Case | None:
        """The tenant's case, locked until the transaction ends."""

    async def save(self, happened: CaseEvent) -> None:
        """Write the case after the event, its history and the outbox. Raises OtherCaseOpenError when it would be
        the second unresolved case of its scope."""


class CaseStore(Protocol):
    """Opens transactions on cases."""

    def transaction(self) -> AbstractAsyncContextManager[CaseTransaction]:
        """Committed when left without an error."""


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How a queue stands. `waiting` are open cases that nobody has claimed; times in seconds."""

    queue: str
    waiting: int = 0
    claimed: int = 0
    waiting_for_customer: int = 0
    past_due: int = 0
    oldest_waiting_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened to a case, and where the case stood afterwards."""

    sequence: int
    type: str
    occurred_at: datetime
    agent: str
    note: str
    event_id: UUID | None
    queue: str
    status: Status


@dataclass(frozen=True, slots=True)
class CaseDetail:
    """A case with what was said and done in it, oldest first."""

    case: Case
    messages: list[CaseMessage]
    history: list[HistoryEntry]


class CaseQueries(Protocol):
    """Reading, one tenant at a time."""

    async def queue_counts(self, tenant: str, now: datetime) -> list[QueueCounts]:
        """Every queue that has unresolved cases."""

    async def queue_cases(
        self, tenant: str, queue: str, status: Status, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Case]:
        """Cases of a queue by due time, those after (due_at, id)."""

    async def case_detail(self, tenant: str, case_id: UUID) -> CaseDetail | None:
        """One case, None when the tenant has none of this id."""

    async def decisions_of_event(self, tenant: str, event_id: UUID) -> list[Decision]:
        """What was decided about an event: one, or none yet."""

    async def decisions_of_customer(
        self, tenant: str, customer_keys: Collection[str], before: tuple[datetime, UUID] | None, limit: int
    ) -> list[Decision]:
        """Decisions about a customer under any of these keys, newest first, those before (decided_at, event id)."""


class KeyReusedError(Exception):
    """An idempotency key came again with a different request."""


class OtherCaseOpenError(Exception):
    """The customer already has an unresolved case of this scope."""
