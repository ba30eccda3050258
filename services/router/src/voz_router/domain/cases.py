"""A case and what may happen to it. Every change is a CaseEvent that carries the case as it stands afterwards.

open ──claim──► claimed ◄──customer's message── waiting
 ▲  └──transfer── │ └──────reply or note──────────►│
 │                └───────────resolve──────────────┤
 └────────────reopen──────────── resolved ◄────────┘
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID, uuid5

from voz_router.domain.events import Customer, Event, Signals
from voz_router.domain.policy import PER_CUSTOMER_TOPIC, Queue, Rule

# Namespace of case ids (UUIDv5 of tenant, opening event and time), fixed for ever.
CASE_NAMESPACE = UUID("5d0c8c0b-64a1-5b0e-8a47-9d1f0b7e3a52")
# A case is published whole with everything that happens to it; the full text stays in its first message.
MAX_TEXT_CHARACTERS = 10_000

Status = Literal["open", "claimed", "waiting", "resolved"]
OPEN: Final = "open"
CLAIMED: Final = "claimed"
WAITING: Final = "waiting"
RESOLVED: Final = "resolved"

OPENED, MESSAGE_ADDED, WAS_CLAIMED, NOTED = "opened", "message_added", "claimed", "noted"
REPLIED, TRANSFERRED, WAS_RESOLVED, REOPENED = "replied", "transferred", "resolved", "reopened"
MESSAGE_EDITED, MESSAGE_DELETED = "message_edited", "message_deleted"
# After these a case stands newly in its queue.
ENTERS_QUEUE = frozenset({OPENED, TRANSFERRED, REOPENED})


class CaseConflictError(Exception):
    """The case's state forbids what was asked."""


@dataclass(frozen=True, slots=True)
class Case:
    """One customer's problem (or praise) being handled.

    `scope` is the topic when the case is one of customer and topic, else empty: a customer has at most one
    unresolved case of a scope. `began_at` is when the event that opened it occurred; `clock_started_at` when the
    case was opened or last reopened, from which `due_at` counts. `sequence` is the number of its last event.
    `message_id` is the message that opened it, whose text it carries; None where that was not kept yet.
    """

    id: UUID
    tenant: str
    scope: str
    queue: str
    status: Status
    customer: Customer
    rule: str
    policy_version: str
    reason: str
    signals: Signals
    channel: str
    source: str
    audience: str
    conversation_id: str
    text: str
    stage: str
    began_at: datetime
    opened_at: datetime
    clock_started_at: datetime
    due_at: datetime
    attributes: Mapping[str, str] = field(default_factory=dict)
    assignee: str = ""
    first_response_at: datetime | None = None
    first_resolved_at: datetime | None = None
    resolved_at: datetime | None = None
    outcome: str = ""
    message_count: int = 1
    reopen_count: int = 0
    transfer_count: int = 0
    sequence: int = 0
    message_id: UUID | None = None

    @property
    def active(self) -> bool:
        """Whether it is still being handled."""
        return self.status != RESOLVED

    def past_due(self, now: datetime) -> bool:
        """Whether its clock ran out unresolved."""
        return self.active and self.due_at < now


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One thing that happened to a case; `case` is the case after it. `agent` is empty when Voz did it."""

    type: str
    case: Case
    occurred_at: datetime
    agent: str = ""
    note: str = ""
    event_id: UUID | None = None

    @property
    def id(self) -> UUID:
        """The same on every delivery: UUIDv5 of case and sequence."""
        return uuid5(self.case.id, str(self.case.sequence))


def case_id(event: Event, now: datetime) -> UUID:
    """The id of the case that this event opens now. With the time in it: an event that comes again after its id was
    forgotten is a new one, and so is its case."""
    return uuid5(CASE_NAMESPACE, f"{event.tenant}/{event.id}/{now.isoformat()}")


def scope_of(event: Event, rule: Rule) -> str:
    """The scope of a case that this rule opens for this event."""
    return event.signals.topic if rule.case_per == PER_CUSTOMER_TOPIC else ""


def open_case(event: Event, rule: Rule, queue: Queue, policy_version: str, now: datetime) -> CaseEvent:
    """A new case for the event, in the rule's queue."""
    case = Case(
        id=case_id(event, now),
        tenant=event.tenant,
        scope=scope_of(event, rule),
        queue=queue.name,
        status=OPEN,
        customer=event.customer,
        rule=rule.id,
        policy_version=policy_version,
        reason=rule.reason,
        signals=event.signals,
        channel=event.channel,
        source=event.source,
        audience=event.audience,
        conversation_id=event.conversation_id,
        text=event.text[:MAX_TEXT_CHARACTERS],
        stage=event.stage,
        attributes=event.attributes,
        began_at=event.occurred_at,
        opened_at=now,
        clock_started_at=now,
        due_at=now + queue.sla,
        message_id=event.message_id,
    )
    return _happened(case, OPENED, now, event_id=event.id)


def add_message(case: Case, event: Event, now: datetime) -> CaseEvent:
    """The customer said more. A case that waited for the customer goes back to whoever holds it."""
    status = CLAIMED if case.status == WAITING else case.status
    count = case.message_count + 1
    return _happened(case, MESSAGE_ADDED, now, event_id=event.id, status=status, message_count=count)


def edit_message(case: Case, event: Event, now: datetime) -> CaseEvent:
    """A message of the case now reads as this version. It is no new message, and answers nothing."""
    opener = case.message_id == event.message_id
    changes: dict[str, Any] = {"text": event.text[:MAX_TEXT_CHARACTERS], "signals": event.signals} if opener else {}
    return _happened(case, MESSAGE_EDITED, now, event_id=event.id, **changes)


def delete_message(case: Case, event: Event, now: datetime) -> CaseEvent:
    """The author took a message of the case back: its words are gone. What was made of it stays, the case included."""
    changes: dict[str, Any] = {"text": ""} if case.message_id == event.message_id else {}
    return _happened(case, MESSAGE_DELETED, now, event_id=event.id, **changes)


def escalate(case: Case, rule: Rule, queue: Queue, policy_version: str, now: datetime, event_id: UUID) -> CaseEvent:
    """A later message matched a more important rule: the waiting case moves to that rule's queue, never due later."""
    return _happened(
        case,
        TRANSFERRED,
        now,
        event_id=event_id,
        queue=queue.name,
        rule=rule.id,
        reason=rule.reason,
        policy_version=policy_version,
        due_at=min(case.due_at, now + queue.sla),
        transfer_count=case.transfer_count + 1,
    )


def reply(case: Case, event: Event, now: datetime) -> CaseEvent:
    """The company answered in the customer's channel, when it says so but neither before the opening nor after now."""
    at = max(case.opened_at, min(event.occurred_at, now))
    return _happened(case, REPLIED, at, event_id=event.id, **_answered(case, at))


def claim(case: Case, agent: str, now: datetime) -> CaseEvent:
    """The agent takes an open case."""
    if case.status != OPEN:
        holder = f" by {case.assignee}" if case.active else "; reopen it first"
        raise CaseConflictError(f"The case is {case.status}{holder}.")
    return _happened(case, WAS_CLAIMED, now, agent, status=CLAIMED, assignee=agent)


def note(case: Case, agent: str, text: str, now: datetime) -> CaseEvent:
    """The agent notes the answer given. The first one is the first response; a claimed case then waits."""
    _require_active(case)
    return _happened(case, NOTED, now, agent, text, **_answered(case, now))


def resolve(case: Case, agent: str, outcome: str, text: str, now: datetime) -> CaseEvent:
    """The agent ends an open case or one of their own."""
    _require_active(case)
    if case.assignee not in ("", agent):
        raise CaseConflictError(f"The case is {case.status} by {case.assignee}, who alone can resolve it.")
    return _happened(
        case,
        WAS_RESOLVED,
        now,
        agent,
        text,
        status=RESOLVED,
        assignee=agent,
        outcome=outcome,
        resolved_at=now,
        first_resolved_at=case.first_resolved_at or now,
    )


def reopen(case: Case, agent: str, reason: str, queue: Queue, now: datetime) -> CaseEvent:
    """A resolved case goes back to its queue, free to be claimed, with a new clock."""
    if case.active:
        raise CaseConflictError(f"The case is {case.status}; only a resolved one can be reopened.")
    return _happened(
        case,
        REOPENED,
        now,
        agent,
        reason,
        status=OPEN,
        assignee="",
        outcome="",
        resolved_at=None,
        clock_started_at=now,
        due_at=now + queue.sla,
        reopen_count=case.reopen_count + 1,
    )


def transfer(case: Case, agent: str, queue: Queue, now: datetime) -> CaseEvent:
    """The case goes to another queue, free to be claimed; its customer's clock is not set back."""
    _require_active(case)
    if case.queue == queue.name:
        raise CaseConflictError(f"The case already is in {queue.name}.")
    return _happened(
        case,
        TRANSFERRED,
        now,
        agent,
        status=OPEN,
        assignee="",
        queue=queue.name,
        due_at=case.clock_started_at + queue.sla,
        transfer_count=case.transfer_count + 1,
    )


def _happened(
    case: Case,
    event_type: str,
    at: datetime,
    agent: str = "",
    note: str = "",
    *,
    event_id: UUID | None = None,
    **changes: Any,
) -> CaseEvent:
    after = replace(case, sequence=case.sequence + 1, **changes)
    return CaseEvent(event_type, after, at, agent, note, event_id)


def _answered(case: Case, at: datetime) -> dict[str, Any]:
    return {
        "first_response_at": case.first_response_at or at,
        "status": WAITING if case.status == CLAIMED else case.status,
    }


def _require_active(case: Case) -> None:
    if not case.active:
        raise CaseConflictError("The case is resolved; reopen it first.")
