"""What a batch of events does to decisions and cases, computed in memory from the customers' unresolved cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from voz_router.domain import decisions
from voz_router.domain.cases import OPEN, Case, CaseEvent, add_message, escalate, open_case, reply
from voz_router.domain.decisions import Decision, decide
from voz_router.domain.events import Event
from voz_router.domain.policy import Policy


@dataclass(frozen=True, slots=True)
class CaseMessage:
    """An event that belongs to a case."""

    case_id: UUID
    event: Event
    added_at: datetime


@dataclass(slots=True)
class Plan:
    """What to write: a decision for every event, and what happened to cases, each in order."""

    decisions: list[Decision] = field(default_factory=list)
    case_events: list[CaseEvent] = field(default_factory=list)
    messages: list[CaseMessage] = field(default_factory=list)

    def opened_cases(self) -> list[Case]:
        """New cases as they stand at the end, by id."""
        return [case for first, case in self._changes() if first == 1]

    def changed_cases(self) -> list[Case]:
        """Cases that were there before, as they stand at the end, by id."""
        return [case for first, case in self._changes() if first > 1]

    def _changes(self) -> list[tuple[int, Case]]:
        first: dict[UUID, int] = {}
        last: dict[UUID, Case] = {}
        for happened in self.case_events:
            first.setdefault(happened.case.id, happened.case.sequence)
            last[happened.case.id] = happened.case
        return [(first[key], last[key]) for key in sorted(last)]


def plan(events: Sequence[Event], cases: Iterable[Case], policy: Policy, now: datetime) -> Plan:
    """Decide about each event in order. `cases` are the unresolved ones of these events' customers."""
    made = Plan()
    active: dict[tuple[str, str], dict[UUID, Case]] = defaultdict(dict)
    for case in cases:
        active[case.tenant, case.customer.key][case.id] = case
    for event in events:
        mine = active[event.tenant, event.customer.key]
        decision = decide(event, policy, now, list(mine.values()))
        happened = _apply(event, decision, mine, policy, now)
        made.decisions.append(decision)
        made.case_events += happened
        for change in happened:
            mine[change.case.id] = change.case
        if decision.case_id is not None:
            made.messages.append(CaseMessage(decision.case_id, event, now))
    return made


def _apply(event: Event, decision: Decision, cases: dict[UUID, Case], policy: Policy, now: datetime) -> list[CaseEvent]:
    rule = policy.rule(decision.rule)
    if decision.effect == decisions.OPENED and rule is not None:
        return [open_case(event, rule, policy.queues[rule.queue], policy.version, now)]
    if decision.case_id is None:
        return []
    case = cases[decision.case_id]
    if decision.effect == decisions.REPLIED:
        return [reply(case, event, now)]
    joined = add_message(case, event, now)
    moves = rule is not None and case.status == OPEN and rule.queue != case.queue and policy.outranks(rule, case.rule)
    if rule is None or not moves:
        return [joined]
    return [joined, escalate(joined.case, rule, policy.queues[rule.queue], policy.version, now, event.id)]
