"""From an event to its record: partition key, protobuf value, CloudEvents headers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from aiokafka.partitioner import murmur2
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.timestamp_pb2 import Timestamp

from voz.v1 import customer_event_pb2 as pb
from voz.v1 import labels_pb2 as labels
from voz_contracts import cloudevents, identity, words
from voz_ingest.domain.event import (
    Behaviour,
    CustomerEvent,
    Payload,
    Profile,
    ReceivedEvent,
    Subscription,
    Survey,
    Ticket,
    Transaction,
)

EVENT_TYPE = pb.CustomerEvent.DESCRIPTOR.full_name
EVENT_SOURCE = "/voz/ingest"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Address(NamedTuple):
    """Where a customer's events go."""

    customer_key: str
    subject: str
    key: bytes
    """Kafka's key, tenant/customer key."""
    hash: int
    """The key's hash as Kafka's default partitioner takes it: partition = hash mod number of partitions."""


@lru_cache(maxsize=65536)  # customers come again, and an address costs as much as the rest of a record
def address(tenant: str, source: str, customer_id: str, handle: str) -> Address:
    """A customer's address: by the company's id, whatever the source; else by the handle there."""
    customer = identity.customer_key(tenant, source, customer_id=customer_id, handle=handle)
    key = identity.partition_key(tenant, customer)
    return Address(customer, key.decode(), key, murmur2(key) & 0x7FFFFFFF)


def message(received: ReceivedEvent, customer_key: str) -> pb.CustomerEvent:
    """The protobuf message of an event."""
    event = received.event
    customer, conversation = event.customer, event.conversation
    return pb.CustomerEvent(
        id=received.id,
        tenant=received.tenant,
        source=event.source,
        source_id=event.source_id,
        channel=_number(labels.Channel, event.channel),
        kind=_number(labels.EventKind, event.kind),
        audience=_number(labels.Audience, event.audience),
        direction=_number(labels.Direction, event.direction),
        customer=pb.Customer(
            key=customer_key, id=customer.id, handle=customer.handle, display_name=customer.name, reach=customer.reach
        ),
        conversation=pb.Conversation(id=conversation.id, reply_to=conversation.reply_to)
        if conversation.id or conversation.reply_to
        else None,
        text=event.text,
        language_hint=event.language,
        occurred_at=_timestamp(event.occurred_at),
        occurred_at_defaulted=event.occurred_at_defaulted,
        received_at=_timestamp(received.received_at),
        attributes=event.attributes,
        **_payload(event),
    )


def event_headers(received: ReceivedEvent, subject: str) -> cloudevents.Headers:
    """CloudEvents headers of an event's record."""
    return cloudevents.headers(
        event_id=received.id,
        source=EVENT_SOURCE,
        event_type=EVENT_TYPE,
        subject=subject,
        time=received.event.occurred_at,
        traceparent=received.traceparent,
    )


def _number(enum: EnumTypeWrapper, label: str) -> Any:
    """A label's number; untyped, because the messages' stubs want each enum's own type."""
    return words.number(enum, label)


def _timestamp(moment: datetime) -> Timestamp:
    seconds, microseconds = divmod((moment - _EPOCH) // _MICROSECOND, 1_000_000)
    return Timestamp(seconds=seconds, nanos=microseconds * 1000)


def _payload(event: CustomerEvent) -> dict[str, Any]:
    return {} if event.payload is None else {event.kind.value: _payload_message(event.payload)}


def _payload_message(payload: Payload) -> Any:
    match payload:
        case Survey(metric, score, scale, question, comment):
            return pb.Survey(
                metric=_number(pb.SurveyMetric, metric),
                score=score,
                scale=pb.Scale(min=scale.min, max=scale.max, inverted=scale.inverted),
                question=question,
                comment=comment,
            )
        case Transaction(kind, amount, currency, order_id):
            return pb.Transaction(
                type=_number(pb.TransactionType, kind), amount=amount, currency=currency, order_id=order_id
            )
        case Subscription(status, plan):
            return pb.Subscription(status=_number(pb.SubscriptionStatus, status), plan=plan)
        case Behaviour(kind, url, element, x, y, viewport):
            size = pb.Viewport(width=viewport.width, height=viewport.height) if viewport else None
            return pb.Behaviour(type=kind, url=url, element=element, x=x, y=y, viewport=size)
        case Ticket(number_, status, priority, assignee):
            return pb.Ticket(id=number_, status=_number(pb.TicketStatus, status), priority=priority, assignee=assignee)
        case Profile(attributes):
            return pb.Profile(attributes=attributes)
