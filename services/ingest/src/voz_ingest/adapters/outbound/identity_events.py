"""What joining and parting tell the other services: profile events of the source `voz` on `voz.events`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

from voz.v1 import customer_event_pb2 as pb
from voz.v1 import labels_pb2 as labels
from voz_contracts import cloudevents, joins
from voz_contracts.identity import event_id, partition_key
from voz_ingest.adapters.outbound.encoding import EVENT_SOURCE, EVENT_TYPE
from voz_ingest.ports import KeyChange
from voz_streamkit.outbox import OutboxMessage


def published(
    topic: str, tenant: str, changes: Iterable[tuple[KeyChange, UUID]], now: datetime
) -> Iterator[OutboxMessage]:
    """The records of changes, each with the key that was in force before it; what has always had its own key, and keeps
    it, is no news."""
    for change, before in changes:
        if change.customer_key == before:
            continue
        parted = change.customer_key == change.key
        # The customer who is told: whom the key belongs to from now on, or whom it has left.
        customer = str(before if parted else change.customer_key)
        yield _message(topic, tenant, customer, joins.Join(str(change.key), not parted, change.number), now)


def _message(topic: str, tenant: str, customer: str, join: joins.Join, now: datetime) -> OutboxMessage:
    source_id = f"identity:{join.number}"
    event = pb.CustomerEvent(
        id=event_id(tenant, joins.SOURCE, source_id),
        tenant=tenant,
        source=joins.SOURCE,
        source_id=source_id,
        channel=labels.CHANNEL_CRM,
        kind=labels.EVENT_KIND_PROFILE,
        audience=labels.AUDIENCE_CUSTOMER,
        # Nothing that the customer does: it moves nobody, and is no answer.
        direction=labels.DIRECTION_OUTBOUND,
        customer=pb.Customer(key=customer),
        occurred_at=now,
        received_at=now,
        attributes=joins.attributes(join),
        profile=pb.Profile(attributes=joins.profile(join)),
    )
    key = partition_key(tenant, customer)
    headers = cloudevents.headers(
        event_id=event.id, source=EVENT_SOURCE, event_type=EVENT_TYPE, subject=key.decode(), time=now
    )
    return OutboxMessage(topic, key, event.SerializeToString(), headers)
