"""From a record of `voz.enriched` to the router's event. Parsed once; inside, values are right."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.message import DecodeError

from voz.v1.customer_event_pb2 import CustomerEvent, SurveyMetric
from voz.v1.enriched_event_pb2 import EnrichedEvent, SignalOrigin
from voz.v1.enriched_event_pb2 import Signals as SignalsMessage
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
from voz_contracts.revisions import ORIGINAL, revision_of
from voz_contracts.words import word
from voz_router.domain.events import Customer, Event, Signals, SurveyAnswer
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.records import Record
from voz_streamkit.sink import Incoming

# What PostgreSQL's bigint holds; nobody reaches more people.
MAX_REACH = 2**63 - 1
# Both are in indexes, whose entries are bounded.
MAX_KEY_CHARACTERS = 256
# A case carries what stands beside the text, and is published whole: it must fit a record.
MAX_BESIDE_TEXT_BYTES = 256 * 1024


def decode(record: Record) -> Incoming[Event]:
    """The record's event. Raises InvalidRecordError for what is not an EnrichedEvent that can be routed."""
    try:
        message = EnrichedEvent.FromString(record.value)
    except DecodeError as error:
        raise InvalidRecordError("undecodable", f"not a voz.v1.EnrichedEvent: {error}") from error
    try:
        event = event_of(message)
    except (ValueError, OverflowError) as error:
        raise InvalidRecordError("invalid", str(error)) from error
    concerns = (event.revises,) if event.revises else ()
    return Incoming(record=record, tenant=event.tenant, event_id=event.id, event=event, concerns=concerns)


def event_of(message: EnrichedEvent) -> Event:
    """The router's event. Raises ValueError for what can't be routed or stored."""
    source = message.event
    for field, value in (("tenant", source.tenant), ("customer.key", source.customer.key)):
        if not 1 <= len(value) <= MAX_KEY_CHARACTERS:
            raise ValueError(f"event.{field} is empty or longer than {MAX_KEY_CHARACTERS} characters")
    if message.ByteSize() - len(source.text.encode()) > MAX_BESIDE_TEXT_BYTES:
        raise ValueError(f"more than {MAX_BESIDE_TEXT_BYTES} bytes beside the text")
    revision = revision_of(source)
    event = Event(
        id=_uuid(source.id),
        tenant=source.tenant,
        source=source.source,
        channel=word(Channel, source.channel),
        kind=word(EventKind, source.kind),
        audience=word(Audience, source.audience),
        direction=word(Direction, source.direction),
        customer=Customer(
            key=source.customer.key,
            id=source.customer.id,
            handle=source.customer.handle,
            name=source.customer.display_name,
            reach=min(source.customer.reach, MAX_REACH),
        ),
        occurred_at=_occurred_at(source),
        signals=_signals(message.signals),
        stage=word(Stage, message.journey.stage) or word(Stage, message.signals.stage),
        conversation_id=source.conversation.id,
        text=source.text or (source.survey.comment if source.HasField("survey") else ""),
        survey=_survey(source),
        attributes=dict(source.attributes),
        revises=revision.message_id if revision else None,
        deletes=revision is not None and revision.deleted,
        version=revision.version if revision else ORIGINAL,
    )
    _refuse_nul(event)
    return event


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("event.id is not a UUID") from None


def _occurred_at(source: CustomerEvent) -> datetime:
    if not source.HasField("occurred_at"):
        raise ValueError("event.occurred_at is missing")
    return source.occurred_at.ToDatetime(UTC)


def _signals(signals: SignalsMessage) -> Signals:
    score = signals.sentiment_score if signals.HasField("sentiment_score") else None
    if score is not None and not -1 <= score <= 1:  # NaN, too
        raise ValueError("signals.sentiment_score is not within -1…1")
    near = signals.own_topic_score if signals.HasField("own_topic_score") else None
    scores = dict(signals.scores)
    if not all(map(math.isfinite, (*scores.values(), near or 0.0))):
        raise ValueError("signals.scores holds a number that is not finite")
    intents = (word(Intent, intent) for intent in signals.intents)
    return Signals(
        origin=word(SignalOrigin, signals.origin),
        language=signals.language,
        sentiment=word(Sentiment, signals.sentiment),
        sentiment_score=score,
        emotion=word(Emotion, signals.emotion),
        intents=tuple(intent for intent in intents if intent),
        topic=word(Topic, signals.topic),
        effort=word(Effort, signals.effort),
        stage=word(Stage, signals.stage),
        model=signals.model,
        scores=scores,
        own_topic=signals.own_topic,
        own_topic_score=near,
    )


def _survey(source: CustomerEvent) -> SurveyAnswer | None:
    if not source.HasField("survey"):
        return None
    answer = source.survey
    numbers = (answer.score, answer.scale.min, answer.scale.max)
    if not all(map(math.isfinite, numbers)):
        raise ValueError("event.survey holds a number that is not finite")
    return SurveyAnswer(word(SurveyMetric, answer.metric), *numbers, answer.scale.inverted)


def _refuse_nul(event: Event) -> None:
    """PostgreSQL's text holds every character but NUL."""
    customer, signals = event.customer, event.signals
    texts = (
        event.tenant,
        event.source,
        event.conversation_id,
        event.text,
        event.version,
        customer.key,
        customer.id,
        customer.handle,
        customer.name,
        signals.language,
        signals.model,
        signals.own_topic,
        *event.attributes,
        *event.attributes.values(),
        *signals.scores,
    )
    if "\0" in "".join(texts):
        raise ValueError("a NUL character in a text")
