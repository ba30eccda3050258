"""Records of voz.enriched and voz.cases as facts. Whatever can't be counted is refused here, before it is applied."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypedDict, TypeVar
from uuid import UUID

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from voz.v1.case_pb2 import CASE_STATUS_RESOLVED, CaseEvent, SupportCase
from voz.v1.customer_event_pb2 import Customer, CustomerEvent
from voz.v1.enriched_event_pb2 import EnrichedEvent, Signals
from voz.v1.labels_pb2 import (
    Audience,
    Channel,
    Direction,
    Effort,
    Emotion,
    EventKind,
    Intent,
    Sentiment,
    Stage,
    Topic,
)
from voz_contracts.joins import Join, join_of
from voz_contracts.revisions import ORIGINAL, revision_of
from voz_contracts.words import word
from voz_metrics_api.adapters.inbound.payloads import clean, details, known, moved, own_topic, survey
from voz_metrics_api.domain.dimensions import Dimensions, label
from voz_metrics_api.domain.facts import CaseFacts, CustomerFacts, EventFacts, JoinFacts
from voz_metrics_api.domain.windows import EARLIEST, LATEST
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.records import Record
from voz_streamkit.sink import Incoming

M = TypeVar("M", bound=Message)
Facts = EventFacts | CaseFacts | JoinFacts
UNDECODABLE, INVALID = "undecodable", "invalid"
MAX_KEY_CHARACTERS = 200
# What ingest admits at most.
MAX_ID_CHARACTERS, MAX_NAME_CHARACTERS = 255, 500


def decoder(enriched_topic: str, cases_topic: str) -> Callable[[Record], Incoming[Facts]]:
    """The decoder of both topics. It raises InvalidRecordError for a record that can't be counted."""
    decoders = {enriched_topic: _event, cases_topic: _case}

    def decode(record: Record) -> Incoming[Facts]:
        return decoders[record.topic](record)

    return decode


def _event(record: Record) -> Incoming[Facts]:
    enriched = _parsed(record, EnrichedEvent())
    event, signals = enriched.event, enriched.signals
    join = join_of(event)
    if join is not None:
        return _join(record, event, join)
    revision = revision_of(event)
    facts = EventFacts(
        tenant=_key(event.tenant, "tenant"),
        event_id=_uuid(event.id, "event.id"),
        occurred_at=_time(event, "occurred_at"),
        customer=_customer(event.customer),
        dimensions=_event_dimensions(enriched),
        sentiment_score=_score(signals),
        effort=word(Effort, signals.effort),
        survey=survey(event),
        text=clean(event.text or event.survey.comment),
        conversation_id=clean(event.conversation.id),
        journey_stage=word(Stage, enriched.journey.stage),
        journey_since=_optional_time(enriched.journey, "since"),
        heard_at=_optional_time(enriched.journey, "heard_at"),
        position=enriched.answers.offset,
        details={**details(event), **moved(enriched.journey), **own_topic(signals)},
        known=known(event),
        revises=revision.message_id if revision else None,
        deletes=revision is not None and revision.deleted,
        version=revision.version if revision else ORIGINAL,
    )
    return Incoming(record, facts.tenant, facts.event_id, facts, (facts.revises,) if facts.revises else ())


def _join(record: Record, event: CustomerEvent, join: Join) -> Incoming[Facts]:
    key, other = _key(event.customer.key, "customer.key"), _key(join.other, "profile")
    facts = JoinFacts(_key(event.tenant, "tenant"), other, key if join.joined else other, _sequence(join.number))
    return Incoming(record, facts.tenant, _uuid(event.id, "event.id"), facts)


def _case(record: Record) -> Incoming[Facts]:
    event = _parsed(record, CaseEvent())
    case = event.support_case
    facts = CaseFacts(
        tenant=_key(case.tenant, "tenant"),
        case_id=_uuid(case.id, "support_case.id"),
        sequence=_sequence(event.sequence),
        dimensions=_case_dimensions(case),
        opened_at=_time(case, "opened_at"),
        resolved=case.status == CASE_STATUS_RESOLVED,
        first_response_at=_optional_time(case, "first_response_at"),
        first_resolved_at=_optional_time(case, "first_resolved_at"),
        resolved_at=_optional_time(case, "resolved_at"),
    )
    return Incoming(record, facts.tenant, _uuid(event.id, "id"), facts)


def _parsed(record: Record, message: M) -> M:
    try:
        message.ParseFromString(record.value)
    except DecodeError as error:
        raise InvalidRecordError(UNDECODABLE, f"not a {message.DESCRIPTOR.full_name}: {error}") from None
    return message


def _event_dimensions(enriched: EnrichedEvent) -> Dimensions:
    event, signals = enriched.event, enriched.signals
    return Dimensions(
        kind=word(EventKind, event.kind),
        direction=word(Direction, event.direction),
        channel=word(Channel, event.channel),
        source=label(event.source),
        language=label(signals.language or event.language_hint),
        # Where the customer is, not where one message alone would place them.
        stage=word(Stage, enriched.journey.stage) or word(Stage, signals.stage),
        audience=word(Audience, event.audience),
        **_signal_dimensions(signals),
        **_attribute_dimensions(event.attributes),
    )


def _case_dimensions(case: SupportCase) -> Dimensions:
    return Dimensions(
        channel=word(Channel, case.channel),
        source=label(case.source),
        language=label(case.signals.language),
        stage=word(Stage, case.stage) or word(Stage, case.signals.stage),
        audience=word(Audience, case.audience),
        queue=label(case.queue),
        **_signal_dimensions(case.signals),
        **_attribute_dimensions(case.attributes),
    )


class _SignalDimensions(TypedDict):
    topic: str
    intents: tuple[str, ...]
    emotion: str
    sentiment: str


def _signal_dimensions(signals: Signals) -> _SignalDimensions:
    intents = sorted({word(Intent, intent) for intent in signals.intents} - {""})
    return {
        "topic": word(Topic, signals.topic),
        "intents": tuple(intents),
        "emotion": word(Emotion, signals.emotion),
        "sentiment": word(Sentiment, signals.sentiment),
    }


class _AttributeDimensions(TypedDict):
    product: str
    campaign: str
    segment: str


def _attribute_dimensions(attributes: Mapping[str, str]) -> _AttributeDimensions:
    return {
        "product": label(attributes.get("product", "")),
        "campaign": label(attributes.get("campaign", "")),
        "segment": label(attributes.get("segment", "")),
    }


def _customer(customer: Customer) -> CustomerFacts:
    return CustomerFacts(
        key=_key(customer.key, "customer.key"),
        id=label(customer.id, MAX_ID_CHARACTERS),
        handle=label(customer.handle, MAX_ID_CHARACTERS),
        name=label(customer.display_name, MAX_NAME_CHARACTERS),
        reach=customer.reach,
    )


def _key(value: str, name: str) -> str:
    """A value that stands in primary keys."""
    if not value or len(value) > MAX_KEY_CHARACTERS or "\0" in value:
        raise InvalidRecordError(INVALID, f"{name} must have 1 to {MAX_KEY_CHARACTERS} characters and no NUL")
    return value


def _uuid(value: str, name: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise InvalidRecordError(INVALID, f"{name} is not a UUID") from None


def _sequence(sequence: int) -> int:
    if not 1 <= sequence < 1 << 63:
        raise InvalidRecordError(INVALID, f"sequence {sequence} is not 1, 2, 3 …")
    return sequence


def _time(message: Message, field: str) -> datetime:
    found = _optional_time(message, field)
    if found is None:
        raise InvalidRecordError(INVALID, f"{field} is missing")
    return found


def _optional_time(message: Message, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    try:
        found = stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidRecordError(INVALID, f"{field} is not a time") from None
    if not EARLIEST <= found < LATEST:
        raise InvalidRecordError(INVALID, f"{field} lies outside {EARLIEST.year}..{LATEST.year - 1}")
    return found


def _score(signals: Signals) -> float | None:
    if not signals.HasField("sentiment_score"):
        return None
    score = signals.sentiment_score
    if math.isnan(score) or not -1 <= score <= 1:
        raise InvalidRecordError(INVALID, f"sentiment_score {score} lies outside -1..1")
    return score
