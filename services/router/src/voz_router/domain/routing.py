"""What a batch of events does to decisions and cases, computed in memory from the customers' unresolved cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from voz_router.domain import decisions
from voz_router.domain.cases import (
    MESSAGE_DELETED,
    MESSAGE_EDITED,
    OPEN,
    Case,
    CaseEvent,
    add_message,
    delete_message,
    edit_message,
    escalate,
    open_case,
    reply,
)
from voz_router.domain.decisions import Decision, decide, pass_over
from voz_router.domain.events import Event
from voz_router.domain.policy import Policy
from voz_router.domain.revisions import MessageKey, MessageState, Revised

TAKES_BACK: Final = "Its author took a message back"
TAKEN_BACK: Final = "Its author took it back before it was read"
SUPERSEDED: Final = "Its author has edited it since"
NOTHING_REVISED: Final = Revised()


@dataclass(frozen=True, slots=True)
class CaseMessage:
    """An event that belongs to a case. `edited`: a later version of what was said first; `deleted`: taken back."""

    case_id: UUID
    event: Event
    added_at: datetime
    edited: bool = False
    deleted: bool = False


@dataclass(slots=True)
class Plan:
    """What to write: a decision for every event, and what happened to cases, each in order.

    `changes` are messages that read otherwise from now on, wherever they are held and those of `messages` included: as
    this version, or as one that was taken back. `states` is what is known of messages that were edited or taken back.
    """

    decisions: list[Decision] = field(default_factory=list)
    case_events: list[CaseEvent] = field(default_factory=list)
    messages: list[CaseMessage] = field(default_factory=list)
    changes: dict[MessageKey, Event] = field(default_factory=dict)
    states: dict[MessageKey, MessageState] = field(default_factory=dict)

    def opened_cases(self) -> list[Case]:
        """New cases as they stand at the end, by id."""
        return [case for first, case in self._changes() if first == 1]

    def changed_cases(self) -> list[Case]:
        """Cases that were there before, as they stand at the end, by id."""
        return [case for first, case in self._changes() if first > 1]

    def reworded_cases(self) -> list[Case]:
        """Those of `changed_cases` whose text may be another."""
        reworded = {each.case.id for each in self.case_events if each.type in (MESSAGE_EDITED, MESSAGE_DELETED)}
        return [case for case in self.changed_cases() if case.id in reworded]

    def _changes(self) -> list[tuple[int, Case]]:
        first: dict[UUID, int] = {}
        last: dict[UUID, Case] = {}
        for happened in self.case_events:
            first.setdefault(happened.case.id, happened.case.sequence)
            last[happened.case.id] = happened.case
        return [(first[key], last[key]) for key in sorted(last)]


def plan(
    events: Sequence[Event], cases: Iterable[Case], policy: Policy, now: datetime, revised: Revised = NOTHING_REVISED
) -> Plan:
    """Decide about each event in order. `cases` are the unresolved ones of these events' customers, `revised` is what
    is known of messages that were edited or taken back."""
    batch = _Batch(policy, now, revised)
    for case in cases:
        batch.know(case)
    for event in events:
        batch.take(event)
    return batch.made


class _Batch:
    """The cases as they stand after each event."""

    def __init__(self, policy: Policy, now: datetime, revised: Revised) -> None:
        self.made = Plan(states=dict(revised.states))
        self._policy, self._now = policy, now
        self._cases: dict[UUID, Case] = {case.id: case for case in revised.cases}
        self._of_customer: defaultdict[tuple[str, str], list[UUID]] = defaultdict(list)
        self._holders: dict[MessageKey, list[UUID]] = {key: list(ids) for key, ids in revised.holders.items()}

    def know(self, case: Case) -> None:
        """An unresolved case."""
        self._cases[case.id] = case
        self._of_customer[case.tenant, case.customer.key].append(case.id)

    def take(self, event: Event) -> None:
        """Decide about an event and do what follows."""
        key = (event.tenant, event.message_id)
        state = self.made.states.get(key)
        if event.deletes:
            self._pass_over(event, TAKES_BACK)
            if not (state and state.deleted):
                self._reword(key, event)
        elif state and state.deleted:
            self._pass_over(event, TAKEN_BACK)
        elif state and not state.is_older_than(event):
            self._pass_over(event, SUPERSEDED)
        else:
            self._decide(key, event)
        if state:
            self.made.states[key] = state.after(event)

    def _pass_over(self, event: Event, reason: str) -> None:
        self.made.decisions.append(pass_over(event, self._policy, self._now, reason))

    def _decide(self, key: MessageKey, event: Event) -> None:
        mine = [self._cases[each] for each in self._of_customer[event.tenant, event.customer.key]]
        held = [case for case in mine if case.id in self._holders.get(key, ())]
        decision = decide(event, self._policy, self._now, held or mine)
        self.made.decisions.append(decision)
        # Before what follows: an edit is no new message of a case that holds the message already.
        self._reword(key, event)
        for happened in self._follow(key, event, decision):
            self._happened(happened)
        if decision.case_id is not None and decision.case_id not in self._holders.setdefault(key, []):
            self._holders[key].append(decision.case_id)
            edited = bool(event.version)
            self.made.messages.append(CaseMessage(decision.case_id, event, self._now, edited))

    def _reword(self, key: MessageKey, event: Event) -> None:
        """Make the cases that hold the message hold it as it reads now."""
        holders = self._holders.get(key, ())
        for case_id in holders:
            change = delete_message if event.deletes else edit_message
            self._happened(change(self._cases[case_id], event, self._now))
        if holders:
            self.made.changes[key] = event

    def _happened(self, happened: CaseEvent) -> None:
        case = happened.case
        if case.id not in self._cases:
            self._of_customer[case.tenant, case.customer.key].append(case.id)
        self._cases[case.id] = case
        self.made.case_events.append(happened)

    def _follow(self, key: MessageKey, event: Event, decision: Decision) -> list[CaseEvent]:
        policy, now = self._policy, self._now
        rule = policy.rule(decision.rule)
        if decision.effect == decisions.OPENED and rule is not None:
            return [open_case(event, rule, policy.queues[rule.queue], policy.version, now)]
        if decision.case_id is None:
            return []
        case = self._cases[decision.case_id]
        happened = []
        if case.id not in self._holders.get(key, ()):
            happened.append((reply if decision.effect == decisions.REPLIED else add_message)(case, event, now))
            case = happened[-1].case
        joined = decision.effect == decisions.JOINED
        if joined and rule and case.status == OPEN and rule.queue != case.queue and policy.outranks(rule, case.rule):
            happened.append(escalate(case, rule, policy.queues[rule.queue], policy.version, now, event.id))
        return happened
