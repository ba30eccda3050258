"""The router's jobs: route a batch of events; do to a case what a person asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from voz_router.domain import cases
from voz_router.domain.cases import Case, CaseConflictError, CaseEvent
from voz_router.domain.events import Event
from voz_router.domain.policy import Policy, Queue
from voz_router.domain.routing import Plan, plan
from voz_router.ports import CaseStore, Clock, Json, OtherCaseOpenError, PolicySource, Request, RoutingStore


class UnknownCaseError(Exception):
    """The tenant has no case of this id."""


class UnknownQueueError(Exception):
    """The policy in force has no queue of this name."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Take an open case."""

    agent: str


@dataclass(frozen=True, slots=True)
class Note:
    """Note the answer that was given."""

    agent: str
    text: str


@dataclass(frozen=True, slots=True)
class Resolve:
    """End it, and say how."""

    agent: str
    outcome: str
    note: str


@dataclass(frozen=True, slots=True)
class Reopen:
    """Take it up again."""

    agent: str
    reason: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """Move it to another queue."""

    agent: str
    queue: str


Command = Claim | Note | Resolve | Reopen | Transfer


class RouteEvents:
    """Decides about new events and opens, joins and answers cases."""

    def __init__(self, policies: PolicySource, clock: Clock) -> None:
        self._policies, self._clock = policies, clock

    async def route(self, events: Sequence[Event], store: RoutingStore) -> Plan:
        """Write what follows from the events, in order, and return it. Each event is decided exactly once."""
        active, revised = await store.lock(events)
        made = plan(events, active, self._policies.policy, self._clock(), revised)
        await store.save(made)
        return made


class WorkCases:
    """Does what people ask of a case, one at a time however many ask."""

    def __init__(self, store: CaseStore, policies: PolicySource, clock: Clock, present: Callable[[Case], Json]) -> None:
        self._store, self._policies, self._clock, self._present = store, policies, clock, present

    async def perform(self, tenant: str, case_id: UUID, command: Command, request: Request | None) -> tuple[Json, bool]:
        """The case after the command as people see it, and whether that is the answer to an earlier delivery.

        Raises UnknownCaseError, UnknownQueueError, CaseConflictError, KeyReusedError; nothing is changed then.
        """
        now = self._clock()
        async with self._store.transaction() as transaction:
            if request is not None:
                earlier = await transaction.answered(tenant, request, now)
                if earlier is not None:
                    return earlier, True
            case = await transaction.lock(tenant, case_id)
            if case is None:
                raise UnknownCaseError(f"No case {case_id}.")
            happened = _apply(case, command, self._policies.policy, now)
            try:
                await transaction.save(happened)
            except OtherCaseOpenError as error:
                raise CaseConflictError("The customer has another case open already; work on that one.") from error
            answer = self._present(happened.case)
            if request is not None:
                await transaction.remember(tenant, request, answer)
        return answer, False


def _apply(case: Case, command: Command, policy: Policy, now: datetime) -> CaseEvent:
    match command:
        case Claim(agent):
            return cases.claim(case, agent, now)
        case Note(agent, text):
            return cases.note(case, agent, text, now)
        case Resolve(agent, outcome, text):
            return cases.resolve(case, agent, outcome, text, now)
        case Reopen(agent, reason):
            return cases.reopen(case, agent, reason, _queue(policy, case.queue), now)
        case Transfer(agent, queue):
            return cases.transfer(case, agent, _queue(policy, queue), now)


def _queue(policy: Policy, name: str) -> Queue:
    try:
        return policy.queues[name]
    except KeyError:
        raise UnknownQueueError(f"The policy has no queue `{name}`.") from None
