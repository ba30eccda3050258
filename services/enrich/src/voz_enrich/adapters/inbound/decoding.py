"""From the bytes of `voz.events` to an event with its facts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from google.protobuf.message import DecodeError

from voz.v1.customer_event_pb2 import CustomerEvent, SubscriptionStatus, SurveyMetric, TicketStatus, TransactionType
from voz.v1.labels_pb2 import AUDIENCE_EMPLOYEE, DIRECTION_OUTBOUND
from voz_contracts.identity import partition_key
from voz_contracts.revisions import is_deletion, revision_of
from voz_contracts.words import word
from voz_enrich.domain import facts
from voz_enrich.domain.facts import EventFacts, Payload, SurveyAnswer
from voz_enrich.ports import Heard
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.records import Record

_EARLIEST = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
W = TypeVar("W", bound=StrEnum)


def decode(record: Record) -> Heard:
    """The customer event in a record of `voz.events`.

    Raises InvalidRecordError: `undecodable` for bytes that are no such message, `invalid` for one that lacks what
    every event has, or whose key isn't its own (order within a customer would be lost).
    """
    try:
        message = CustomerEvent.FromString(record.value)
    except DecodeError as error:
        raise InvalidRecordError("undecodable", f"not a CustomerEvent: {error}") from error
    for name, value in (("id", message.id), ("tenant", message.tenant), ("customer.key", message.customer.key)):
        if not value:
            raise InvalidRecordError("invalid", f"{name} is missing")
    if record.key != partition_key(message.tenant, message.customer.key):
        # Not quoted: what stands there may name a person, and details are logged. The dead letter has the key.
        raise InvalidRecordError("invalid", "the record's key isn't that of its customer")
    if not (message.HasField("occurred_at") and _EARLIEST <= message.occurred_at.seconds < _LATEST):
        raise InvalidRecordError("invalid", "occurred_at is missing or out of range")
    revision = revision_of(message)
    known = EventFacts(
        inbound=message.direction != DIRECTION_OUTBOUND,
        from_customer=message.audience != AUDIENCE_EMPLOYEE,
        occurred_at_ms=message.occurred_at.ToMilliseconds(),
        payload=_payload(message),
        edit=revision is not None and not revision.deleted,
    )
    return Heard(message, known, _text(message))


def _text(message: CustomerEvent) -> str:
    """What was said; nothing where something was taken back, whatever stands there."""
    text = message.text or (message.survey.comment if message.HasField("survey") else "")
    return "" if text.isspace() or is_deletion(message) else text


def _payload(message: CustomerEvent) -> Payload | None:
    """The typed payload; None also for a value that a newer contract may have added: it says nothing here yet."""
    match message.WhichOneof("payload"):
        case "survey":
            return _survey(message)
        case "transaction":
            return _known(facts.TransactionType, word(TransactionType, message.transaction.type))
        case "subscription":
            return _known(facts.SubscriptionStatus, word(SubscriptionStatus, message.subscription.status))
        case "ticket":
            return _known(facts.TicketStatus, word(TicketStatus, message.ticket.status))
        case "behaviour" if is_deletion(message):
            return facts.Retraction()
        case "behaviour" if message.behaviour.type != "rating":
            return facts.Behaviour(message.behaviour.type)
        case "profile":
            return facts.Profile()
        case "behaviour" | None:
            return _rating(message.attributes)
        case _:
            return None


def _rating(attributes: Mapping[str, str]) -> facts.Rating | None:
    """The stars of a review: `rating` of `rating_max`. The least is 1, or 0 where one is all there is (a thumb), unless
    `rating_min` says otherwise. None when they aren't such numbers: an attribute may mean anything."""
    try:
        # Not by index: a protobuf map makes the entry that it is asked for.
        score, high = float(attributes.get("rating", "")), float(attributes.get("rating_max", ""))
        low = float(attributes.get("rating_min") or (1 if high > 1 else 0))
    except ValueError:
        return None
    return facts.Rating(score, low, high) if math.isfinite(score) and -math.inf < low < high < math.inf else None


def _survey(message: CustomerEvent) -> SurveyAnswer | None:
    survey = message.survey
    metric = _known(facts.Metric, word(SurveyMetric, survey.metric))
    if metric is None:
        return None
    scale = survey.scale
    if not (math.isfinite(survey.score) and scale.min < scale.max and scale.min <= survey.score <= scale.max):
        raise InvalidRecordError(
            "invalid", f"survey.score {survey.score} is outside its scale {scale.min} to {scale.max}"
        )
    return SurveyAnswer(metric, survey.score, scale.min, scale.max, scale.inverted)


def _known(vocabulary: type[W], value: str) -> W | None:
    return vocabulary(value) if value in vocabulary.__members__.values() else None
