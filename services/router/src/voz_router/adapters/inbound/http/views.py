"""Domain values as the HTTP interface shows them. What is empty is null."""

from __future__ import annotations

from datetime import datetime

from voz_router.adapters.inbound.http.schemas import (
    CaseDetailView,
    CaseView,
    ClockView,
    CustomerView,
    DecisionView,
    HistoryView,
    MessageView,
    QueueView,
    SignalsView,
)
from voz_router.domain.cases import Case
from voz_router.domain.decisions import Decision
from voz_router.domain.events import Signals
from voz_router.domain.policy import Policy
from voz_router.domain.routing import CaseMessage
from voz_router.ports import CaseDetail, HistoryEntry, Json, QueueCounts


def case_json(case: Case, now: datetime) -> Json:
    """A case as JSON, for an answer that is kept."""
    return case_view(case, now).model_dump(mode="json")


def case_view(case: Case, now: datetime) -> CaseView:
    """A case as it stands."""
    customer = case.customer
    return CaseView(
        id=case.id,
        queue=case.queue,
        status=case.status,
        customer=CustomerView(
            key=customer.key,
            id=customer.id or None,
            handle=customer.handle or None,
            name=customer.name or None,
            reach=customer.reach,
        ),
        rule=case.rule,
        policy_version=case.policy_version,
        reason=case.reason,
        signals=_signals(case.signals),
        channel=case.channel,
        source=case.source,
        stage=case.stage or None,
        conversation_id=case.conversation_id or None,
        text=case.text,
        attributes=dict(case.attributes),
        opened_at=case.opened_at,
        due_at=case.due_at,
        past_due=case.past_due(now),
        assignee=case.assignee or None,
        first_response_at=case.first_response_at,
        resolved_at=case.resolved_at,
        outcome=case.outcome or None,
        message_count=case.message_count,
        reopen_count=case.reopen_count,
        transfer_count=case.transfer_count,
    )


def detail_view(detail: CaseDetail, now: datetime) -> CaseDetailView:
    """A case with all that was said and done."""
    return CaseDetailView(
        **case_view(detail.case, now).model_dump(),
        messages=[_message(message) for message in detail.messages],
        clock=_clock(detail.case, now),
        history=[_history(entry) for entry in detail.history],
    )


def queue_view(counts: QueueCounts, policy: Policy) -> QueueView:
    """How a queue stands, with what the policy says of it."""
    queue = policy.queues.get(counts.queue)
    return QueueView(
        queue=counts.queue,
        description=queue.description if queue else "",
        skills=list(queue.skills) if queue else [],
        sla_minutes=queue.sla.total_seconds() / 60 if queue else None,
        waiting=counts.waiting,
        claimed=counts.claimed,
        waiting_for_customer=counts.waiting_for_customer,
        oldest_waiting_seconds=counts.oldest_waiting_seconds,
        past_due=counts.past_due,
    )


def decision_view(decision: Decision) -> DecisionView:
    """A decision with its reason."""
    return DecisionView(
        event_id=decision.event_id,
        customer_key=decision.customer_key,
        act=decision.act,
        effect=decision.effect,
        rule=decision.rule or None,
        queue=decision.queue or None,
        reason=decision.reason,
        because=list(decision.because),
        policy_version=decision.policy_version,
        case_id=decision.case_id,
        decided_at=decision.decided_at,
    )


def _signals(signals: Signals) -> SignalsView:
    return SignalsView(
        sentiment=signals.sentiment or None,
        sentiment_score=signals.sentiment_score,
        emotion=signals.emotion or None,
        intents=list(signals.intents),
        topic=signals.topic or None,
        own_topic=signals.own_topic or None,
        effort=signals.effort or None,
        stage=signals.stage or None,
        language=signals.language or None,
    )


def _message(message: CaseMessage) -> MessageView:
    event = message.event
    return MessageView(
        event_id=event.id,
        occurred_at=event.occurred_at,
        direction=event.direction,
        channel=event.channel,
        source=event.source,
        kind=event.kind,
        text=event.text,
        signals=_signals(event.signals),
        edited=message.edited,
        deleted=message.deleted,
    )


def _clock(case: Case, now: datetime) -> ClockView:
    def since_opening(moment: datetime | None) -> float | None:
        return (moment - case.opened_at).total_seconds() if moment else None

    return ClockView(
        started_at=case.clock_started_at,
        due_at=case.due_at,
        past_due=case.past_due(now),
        seconds_left=(case.due_at - now).total_seconds() if case.active else None,
        first_response_at=case.first_response_at,
        first_response_seconds=since_opening(case.first_response_at),
        first_resolved_at=case.first_resolved_at,
        resolved_at=case.resolved_at,
        resolution_seconds=since_opening(case.resolved_at),
    )


def _history(entry: HistoryEntry) -> HistoryView:
    return HistoryView(
        sequence=entry.sequence,
        type=entry.type,
        occurred_at=entry.occurred_at,
        agent=entry.agent or None,
        note=entry.note or None,
        event_id=entry.event_id,
        queue=entry.queue,
        status=entry.status,
    )
