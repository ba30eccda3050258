"""From an event to its record: partition key, protobuf value, CloudEvents headers."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple

import orjson
from aiokafka.partitioner import murmur2
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.timestamp_pb2 import Timestamp

from voz.v1 import customer_event_pb2 as pb
from voz.v1 import labels_pb2 as labels
from voz_contracts import cloudevents, identity, words
from voz_contracts.wire import field, tag
from voz_ingest.domain.event import (
    Audience,
    Behaviour,
    Channel,
    Customer,
    Direction,
    EventKind,
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
_FIXED_HEADERS = cloudevents.fixed_headers(EVENT_SOURCE, EVENT_TYPE)
_TAGS = {name: tag(found.number) for name, found in pb.CustomerEvent.DESCRIPTOR.fields_by_name.items()}
_ID, _SOURCE_ID, _TEXT, _LANGUAGE_HINT = (_TAGS[name] for name in ("id", "source_id", "text", "language_hint"))
_OCCURRED_AT, _RECEIVED_AT, _ATTRIBUTES = (_TAGS[name] for name in ("occurred_at", "received_at", "attributes"))
_KEY, _VALUE = tag(1), tag(2)  # of a map's entry
_DEFAULTED = pb.CustomerEvent(occurred_at_defaulted=True).SerializeToString()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Address(NamedTuple):
    """Where a customer's events go."""

    customer_key: str
    key: bytes
    """Kafka's key, tenant/customer key."""
    hash: int
    """The key's hash as Kafka's default partitioner takes it: partition = hash mod number of partitions."""


def address(tenant: str, source: str, customer_id: str, handle: str) -> Address:
    """A customer's address: by the company's id, whatever the source; else by the handle there."""
    return address_of(tenant, identity.customer_key(tenant, source, customer_id=customer_id, handle=handle))


def address_of(tenant: str, customer_key: str) -> Address:
    """The address of a customer whose key is known."""
    key = identity.partition_key(tenant, customer_key)
    return Address(customer_key, key, murmur2(key) & 0x7FFFFFFF)


class Sender(NamedTuple):
    """Whose events they are: where they go, and what of their value is always the same."""

    address: Address
    encoded: bytes


@lru_cache(maxsize=8192)  # customers come again, and an address costs as much as the rest of a record
def sender(tenant: str, source: str, customer: Customer, customer_key: str = "") -> Sender:
    """A customer of a tenant at a source; `customer_key` when a link says another than follows from who they are."""
    to = address_of(tenant, customer_key) if customer_key else address(tenant, source, *customer.known_by)
    message = pb.CustomerEvent(
        tenant=tenant,
        source=source,
        customer=pb.Customer(
            key=to.customer_key,
            id=customer.id,
            handle=customer.handle,
            display_name=customer.name,
            reach=customer.reach,
        ),
    )
    return Sender(to, message.SerializeToString())


def value(received: ReceivedEvent, of: Sender) -> bytes:
    """A record's value: an event as protobuf, field by field; those that many events share are encoded once."""
    event, conversation = received.event, received.event.conversation
    received_at = _timestamp(received.received_at)
    parts = [
        of.encoded,
        _words(event.channel, event.kind, event.audience, event.direction),
        field(_ID, received.id.encode()),
        field(_TEXT, event.text.encode()),
        field(_RECEIVED_AT, received_at),
    ]
    if event.occurred_at_defaulted:
        parts += (_DEFAULTED, field(_OCCURRED_AT, received_at))
    else:
        parts.append(field(_OCCURRED_AT, _timestamp(event.occurred_at)))
    if event.source_id:
        parts.append(field(_SOURCE_ID, event.source_id.encode()))
    if event.language:
        parts.append(field(_LANGUAGE_HINT, event.language.encode()))
    for name, label in event.attributes.items():
        parts.append(field(_ATTRIBUTES, field(_KEY, name.encode()) + field(_VALUE, label.encode())))
    if conversation.id or conversation.reply_to:
        rest = pb.CustomerEvent(conversation=pb.Conversation(id=conversation.id, reply_to=conversation.reply_to))
        parts.append(rest.SerializeToString())
    if event.payload is not None:
        rest = pb.CustomerEvent(**{event.kind.value: _payload_message(event.payload)})
        parts.append(rest.SerializeToString())
    return b"".join(parts)


def message(received: ReceivedEvent) -> pb.CustomerEvent:
    """The protobuf message of an event."""
    event = received.event
    return pb.CustomerEvent.FromString(value(received, sender(received.tenant, event.source, event.customer)))


def event_headers(received: ReceivedEvent, key: bytes) -> cloudevents.Headers:
    """CloudEvents headers of an event's record; its key is their subject."""
    found = [
        *_FIXED_HEADERS,
        ("ce_id", received.id.encode()),
        ("ce_time", orjson.dumps(received.event.occurred_at, option=orjson.OPT_UTC_Z)[1:-1]),
        ("ce_subject", key),
    ]
    if received.traceparent:
        found.append(("traceparent", received.traceparent.encode()))
    return found


def _number(enum: EnumTypeWrapper, label: str) -> Any:
    """A label's number; untyped, because the messages' stubs want each enum's own type."""
    return words.number(enum, label)


@cache
def _words(channel: Channel, kind: EventKind, audience: Audience, direction: Direction) -> bytes:
    return pb.CustomerEvent(
        channel=_number(labels.Channel, channel),
        kind=_number(labels.EventKind, kind),
        audience=_number(labels.Audience, audience),
        direction=_number(labels.Direction, direction),
    ).SerializeToString()


@lru_cache(maxsize=256)  # events of one request share the moment of their receipt
def _timestamp(moment: datetime) -> bytes:
    since = moment - _EPOCH
    seconds = since.days * 86400 + since.seconds
    return Timestamp(seconds=seconds, nanos=since.microseconds * 1000).SerializeToString()


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
