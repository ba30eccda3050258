"""Between domain values and rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import RowMapping

from voz_router.domain.cases import Case, CaseEvent
from voz_router.domain.decisions import Decision
from voz_router.domain.events import Customer, Event, Signals
from voz_router.domain.routing import CaseMessage

_SAME_IN_ROW = tuple(each.name for each in fields(Case) if each.name not in ("customer", "signals", "attributes"))


def case_row(case: Case) -> dict[str, Any]:
    """The row of a case."""
    return {
        **{name: getattr(case, name) for name in _SAME_IN_ROW},
        "customer_key": case.customer.key,
        "customer_id": case.customer.id,
        "customer_handle": case.customer.handle,
        "customer_name": case.customer.name,
        "customer_reach": case.customer.reach,
        "signals": signals_json(case.signals),
        "attributes": dict(case.attributes),
    }


def case_of(row: RowMapping) -> Case:
    """The case of a row."""
    return Case(
        **{name: row[name] for name in _SAME_IN_ROW},
        customer=Customer(
            row["customer_key"],
            row["customer_id"],
            row["customer_handle"],
            row["customer_name"],
            row["customer_reach"],
        ),
        signals=signals_of(row["signals"]),
        attributes=row["attributes"],
    )


def case_event_row(happened: CaseEvent) -> dict[str, Any]:
    """The row of something that happened to a case."""
    return {
        "tenant": happened.case.tenant,
        "case_id": happened.case.id,
        "sequence": happened.case.sequence,
        "type": happened.type,
        "occurred_at": happened.occurred_at,
        "agent": happened.agent,
        "note": happened.note,
        "event_id": happened.event_id,
        "queue": happened.case.queue,
        "status": happened.case.status,
    }


def message_row(message: CaseMessage) -> dict[str, Any]:
    """The row of a message of a case."""
    event = message.event
    return {
        "tenant": event.tenant,
        "case_id": message.case_id,
        "event_id": event.id,
        "message_id": event.message_id,
        "added_at": message.added_at,
        "occurred_at": event.occurred_at,
        "direction": event.direction,
        "channel": event.channel,
        "source": event.source,
        "kind": event.kind,
        "audience": event.audience,
        "conversation_id": event.conversation_id,
        "text": event.text,
        "signals": message_signals(event),
        "edited": message.edited,
        "deleted": message.deleted,
    }


def message_signals(event: Event) -> dict[str, Any]:
    """The signals of a message: without the scores of each label, which are as large as everything else together; the
    case has its own."""
    return signals_json(replace(event.signals, scores={}))


def message_of(row: RowMapping, customer: Customer) -> CaseMessage:
    """The message of a row, said in a case of this customer."""
    event = Event(
        id=row["event_id"],
        tenant=row["tenant"],
        source=row["source"],
        channel=row["channel"],
        kind=row["kind"],
        audience=row["audience"],
        direction=row["direction"],
        customer=customer,
        occurred_at=row["occurred_at"],
        signals=signals_of(row["signals"]),
        conversation_id=row["conversation_id"],
        text=row["text"],
    )
    return CaseMessage(row["case_id"], event, row["added_at"], row["edited"], row["deleted"])


def decision_row(decision: Decision) -> dict[str, Any]:
    """The row of a decision."""
    return {name: getattr(decision, name) for name in Decision.__slots__} | {"because": list(decision.because)}


def decision_of(row: RowMapping) -> Decision:
    """The decision of a row."""
    return Decision(**{name: row[name] for name in Decision.__slots__} | {"because": tuple(row["because"])})


def signals_json(signals: Signals) -> dict[str, Any]:
    """Signals as they lie in a row."""
    # Not dataclasses.asdict, which copies deeply: forty times slower.
    return {name: getattr(signals, name) for name in Signals.__slots__} | {"scores": dict(signals.scores)}


def signals_of(stored: Mapping[str, Any]) -> Signals:
    """Signals of a row."""
    return Signals(**{**stored, "intents": tuple(stored["intents"])})
