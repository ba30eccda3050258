"""The router's answer for one event: act or not, which rule, why. Total: every event gets exactly one answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from voz_router.domain.cases import Case, case_id, scope_of
from voz_router.domain.events import CUSTOMER, OUTBOUND, Event
from voz_router.domain.policy import PER_CUSTOMER, Policy, Rule

Effect = Literal["opened", "joined", "replied", "none"]
OPENED: Final = "opened"
JOINED: Final = "joined"
REPLIED: Final = "replied"
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one event.

    `act` is the policy's answer. `effect` is what followed: a case `opened`, the event `joined` one that was already
    open, the company `replied` in one, or `none`; `case_id` is that case. `rule` is empty when none matched, and
    `because` is what of the event the rule looked at.
    """

    event_id: UUID
    tenant: str
    customer_key: str
    decided_at: datetime
    act: bool
    effect: Effect
    reason: str
    policy_version: str
    rule: str = ""
    queue: str = ""
    because: tuple[str, ...] = ()
    case_id: UUID | None = None


def decide(event: Event, policy: Policy, now: datetime, cases: Sequence[Case]) -> Decision:
    """The decision about an event of a customer whose unresolved cases are `cases`."""
    rule = policy.first_match(event)
    if rule is None:
        effect, reason, case = _unmatched(event, cases)
    elif not rule.act:
        case = _answered(event, cases)
        effect, reason = (REPLIED if case else NONE), rule.reason
    else:
        case = _joined(event, rule, cases)
        effect, reason = (JOINED if case else OPENED), rule.reason
    return Decision(
        event_id=event.id,
        tenant=event.tenant,
        customer_key=event.customer.key,
        decided_at=now,
        act=rule is not None and rule.act,
        effect=effect,
        reason=reason,
        policy_version=policy.version,
        rule=rule.id if rule else "",
        queue=case.queue if case else rule.queue if rule else "",
        because=rule.when.because(event) if rule else (),
        case_id=case.id if case else case_id(event, now) if effect == OPENED else None,
    )


def pass_over(event: Event, policy: Policy, now: datetime, reason: str) -> Decision:
    """The decision about an event that the policy isn't asked about."""
    return Decision(event.id, event.tenant, event.customer.key, now, False, NONE, reason, policy.version)


def _unmatched(event: Event, cases: Sequence[Case]) -> tuple[Effect, str, Case | None]:
    """No rule speaks of the event: why not, and whether it still belongs to a case that is being handled."""
    if event.direction == OUTBOUND:
        case = _answered(event, cases)
        if case:
            return REPLIED, "The company's answer in an open case", case
        return NONE, "The company's own post" if event.answers else "The company's doing, and no answer", None
    if event.audience != CUSTOMER:
        return NONE, "An employee's voice, and no rule names employees", None
    if event.speaks and cases:
        return JOINED, "No rule matches; kept with what is already being handled", _closest(event, cases)
    reason = "No signal to act upon" if event.signals.absent else "No rule matches"
    return NONE, reason, None


def _joined(event: Event, rule: Rule, cases: Sequence[Case]) -> Case | None:
    """The case that the rule's event belongs to: of its scope; of any scope when the rule is per customer."""
    scope = scope_of(event, rule)
    same = [case for case in cases if case.scope == scope]
    if not same and rule.case_per == PER_CUSTOMER:
        same = list(cases)
    return _closest(event, same) if same else None


def _answered(event: Event, cases: Sequence[Case]) -> Case | None:
    """The case that the company's message answers: one that began before it."""
    begun = [case for case in cases if event.answers and case.began_at <= event.occurred_at]
    return _closest(event, begun) if begun else None


def _closest(event: Event, cases: Iterable[Case]) -> Case:
    """The case of the event's conversation, else the newest."""
    same_thread = event.conversation_id != ""
    return max(
        cases,
        key=lambda case: (
            same_thread and case.conversation_id == event.conversation_id,
            case.opened_at,
            case.id,
        ),
    )
