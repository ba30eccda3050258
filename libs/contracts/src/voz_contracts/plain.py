"""The plain JSON form of an event, which people read and write (the form of `POST /v1/events`)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from voz.v1 import customer_event_pb2 as pb
from voz.v1 import labels_pb2 as labels
from voz_contracts.cloudevents import rfc3339
from voz_contracts.words import word

Plain = dict[str, Any]


def plain(event: pb.CustomerEvent) -> Plain:
    """The event as its sender could have written it; what is empty is left out.

    `id` is the source's own id. Whose it is (tenant), Voz's own id and when it was received aren't part of the form.
    """
    customer = event.customer
    found = _some(
        id=event.source_id,
        source=event.source,
        channel=word(labels.Channel, event.channel),
        kind=word(labels.EventKind, event.kind),
        audience=word(labels.Audience, event.audience),
        direction=word(labels.Direction, event.direction),
        customer=_some(id=customer.id, handle=customer.handle, name=customer.display_name, reach=customer.reach),
        conversation=_some(id=event.conversation.id, reply_to=event.conversation.reply_to),
        text=event.text,
        language=event.language_hint,
        occurred_at=_time(event.occurred_at) if event.HasField("occurred_at") else "",
        attributes=dict(event.attributes),
    )
    payload = event.WhichOneof("payload")
    if payload is not None:
        found[payload] = _PAYLOADS[payload](getattr(event, payload))
    return found


def _survey(survey: pb.Survey) -> Plain:
    scale = survey.scale
    return {
        "metric": word(pb.SurveyMetric, survey.metric),
        "score": _number(survey.score),
        "scale": {"min": _number(scale.min), "max": _number(scale.max), "inverted": scale.inverted},
        **_some(question=survey.question, comment=survey.comment),
    }


def _transaction(transaction: pb.Transaction) -> Plain:
    return _some(
        type=word(pb.TransactionType, transaction.type),
        amount=transaction.amount,
        currency=transaction.currency,
        order_id=transaction.order_id,
    )


def _subscription(subscription: pb.Subscription) -> Plain:
    return _some(status=word(pb.SubscriptionStatus, subscription.status), plan=subscription.plan)


def _behaviour(behaviour: pb.Behaviour) -> Plain:
    found = _some(type=behaviour.type, url=behaviour.url, element=behaviour.element)
    if behaviour.HasField("x"):
        found["x"] = _number(behaviour.x)
    if behaviour.HasField("y"):
        found["y"] = _number(behaviour.y)
    if behaviour.HasField("viewport"):
        found["viewport"] = {"width": behaviour.viewport.width, "height": behaviour.viewport.height}
    return found


def _ticket(ticket: pb.Ticket) -> Plain:
    return _some(
        id=ticket.id,
        status=word(pb.TicketStatus, ticket.status),
        priority=ticket.priority,
        assignee=ticket.assignee,
    )


def _profile(profile: pb.Profile) -> Plain:
    return dict(profile.attributes)


_PAYLOADS: dict[str, Callable[[Any], Plain]] = {
    "survey": _survey,
    "transaction": _transaction,
    "subscription": _subscription,
    "behaviour": _behaviour,
    "ticket": _ticket,
    "profile": _profile,
}


def _some(**fields: Any) -> Plain:
    return {name: value for name, value in fields.items() if value}


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def _time(moment: Timestamp) -> str:
    return rfc3339(datetime.fromtimestamp(moment.seconds, UTC).replace(microsecond=moment.nanos // 1000))
