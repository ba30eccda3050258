"""From signals to the bytes and headers of `voz.enriched`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from voz.v1 import enriched_event_pb2 as contract
from voz.v1 import labels_pb2 as labels
from voz_contracts.cloudevents import SOURCE_OFFSET, SOURCE_PARTITION, header, headers
from voz_contracts.words import number
from voz_enrich.domain.event_signals import Signals
from voz_enrich.domain.journey import Step
from voz_enrich.ports import Heard, Output, Prepared


class EnrichedEncoder:
    """Encodes answers. `source_topic`: the name that answers give for where their question came from."""

    def __init__(self, source_topic: str, model: str) -> None:
        self._source_topic, self._model = source_topic, model

    def __call__(self, prepared: Prepared, heard: Heard, signals: Signals, step: Step | None) -> Output:
        """The answer to one record. `step`: what it was to its customer's journey; None while nothing is known."""
        record, message = prepared.record, heard.message
        at = datetime.now(UTC)
        enriched = contract.EnrichedEvent(
            event=message,
            signals=self._signals(signals, asked_model=prepared.text is not None),
            journey=_journey(step) if step else None,
            answers=contract.SourcePosition(topic=self._source_topic, partition=record.partition, offset=record.offset),
            enriched_at=at,
        )
        envelope = headers(
            event_id=message.id,
            source="/voz/enrich",
            event_type="voz.v1.EnrichedEvent",
            subject=record.key.decode(errors="replace"),
            time=at,
            traceparent=header(record.headers, "traceparent"),
        )
        envelope.append((SOURCE_PARTITION, b"%d" % record.partition))
        envelope.append((SOURCE_OFFSET, b"%d" % record.offset))
        return Output(enriched.SerializeToString(), envelope)

    def _signals(self, signals: Signals, *, asked_model: bool) -> contract.Signals:
        return contract.Signals(
            origin=_number(contract.SignalOrigin, signals.origin),
            language=signals.language,
            sentiment=_number(labels.Sentiment, signals.sentiment),
            sentiment_score=signals.sentiment_score,
            emotion=_number(labels.Emotion, signals.emotion),
            intents=[_number(labels.Intent, intent) for intent in signals.intents],
            topic=_number(labels.Topic, signals.topic),
            own_topic=signals.own_topic.id if signals.own_topic else "",
            own_topic_score=signals.own_topic.score if signals.own_topic else None,
            effort=_number(labels.Effort, signals.effort),
            stage=_number(labels.Stage, signals.stage),
            model=self._model if asked_model else "",
            scores={
                f"{head}.{label}": score for head, scores in signals.scores.items() for label, score in scores.items()
            },
        )


def _journey(step: Step) -> contract.Journey:
    state, moved = step.after, step.transition
    return contract.Journey(
        stage=_number(labels.Stage, state.stage),
        previous_stage=_number(labels.Stage, step.previous),
        since=_time(state.since_ms),
        cause=_number(contract.TransitionCause, moved.cause if moved else None),
        cause_type=moved.event_type if moved else "",
        in_previous_stage=_duration(moved.lasted_ms if moved else None),
        heard_at=_time(state.heard_ms),
        silence=_duration(step.silence_ms),
        at_risk=step.at_risk,
    )


def _time(ms: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(ms)
    return time


def _duration(ms: int | None) -> Duration | None:
    if ms is None:
        return None
    duration = Duration()
    duration.FromMilliseconds(ms)
    return duration


def _number(vocabulary: Any, label: StrEnum | None) -> Any:
    # Any: generated enums are integers with a type of their own for each vocabulary.
    return number(vocabulary, label.value) if label is not None else 0
