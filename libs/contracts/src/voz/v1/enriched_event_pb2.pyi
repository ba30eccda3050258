import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from voz.v1 import customer_event_pb2 as _customer_event_pb2
from voz.v1 import labels_pb2 as _labels_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SignalOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNAL_ORIGIN_UNSPECIFIED: _ClassVar[SignalOrigin]
    SIGNAL_ORIGIN_TEXT: _ClassVar[SignalOrigin]
    SIGNAL_ORIGIN_PAYLOAD: _ClassVar[SignalOrigin]
    SIGNAL_ORIGIN_BOTH: _ClassVar[SignalOrigin]

class TransitionCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSITION_CAUSE_UNSPECIFIED: _ClassVar[TransitionCause]
    TRANSITION_CAUSE_MESSAGE: _ClassVar[TransitionCause]
    TRANSITION_CAUSE_SURVEY: _ClassVar[TransitionCause]
    TRANSITION_CAUSE_RATING: _ClassVar[TransitionCause]
    TRANSITION_CAUSE_BEHAVIOUR: _ClassVar[TransitionCause]
    TRANSITION_CAUSE_TRANSACTION: _ClassVar[TransitionCause]
    TRANSITION_CAUSE_SUBSCRIPTION: _ClassVar[TransitionCause]
    TRANSITION_CAUSE_TICKET: _ClassVar[TransitionCause]
SIGNAL_ORIGIN_UNSPECIFIED: SignalOrigin
SIGNAL_ORIGIN_TEXT: SignalOrigin
SIGNAL_ORIGIN_PAYLOAD: SignalOrigin
SIGNAL_ORIGIN_BOTH: SignalOrigin
TRANSITION_CAUSE_UNSPECIFIED: TransitionCause
TRANSITION_CAUSE_MESSAGE: TransitionCause
TRANSITION_CAUSE_SURVEY: TransitionCause
TRANSITION_CAUSE_RATING: TransitionCause
TRANSITION_CAUSE_BEHAVIOUR: TransitionCause
TRANSITION_CAUSE_TRANSACTION: TransitionCause
TRANSITION_CAUSE_SUBSCRIPTION: TransitionCause
TRANSITION_CAUSE_TICKET: TransitionCause

class EnrichedEvent(_message.Message):
    __slots__ = ("event", "signals", "journey", "answers", "enriched_at")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    JOURNEY_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    ENRICHED_AT_FIELD_NUMBER: _ClassVar[int]
    event: _customer_event_pb2.CustomerEvent
    signals: Signals
    journey: Journey
    answers: SourcePosition
    enriched_at: _timestamp_pb2.Timestamp
    def __init__(self, event: _Optional[_Union[_customer_event_pb2.CustomerEvent, _Mapping]] = ..., signals: _Optional[_Union[Signals, _Mapping]] = ..., journey: _Optional[_Union[Journey, _Mapping]] = ..., answers: _Optional[_Union[SourcePosition, _Mapping]] = ..., enriched_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Signals(_message.Message):
    __slots__ = ("origin", "language", "sentiment", "sentiment_score", "emotion", "intents", "topic", "effort", "stage", "model", "scores", "own_topic", "own_topic_score")
    class ScoresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    SENTIMENT_FIELD_NUMBER: _ClassVar[int]
    SENTIMENT_SCORE_FIELD_NUMBER: _ClassVar[int]
    EMOTION_FIELD_NUMBER: _ClassVar[int]
    INTENTS_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    EFFORT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    OWN_TOPIC_FIELD_NUMBER: _ClassVar[int]
    OWN_TOPIC_SCORE_FIELD_NUMBER: _ClassVar[int]
    origin: SignalOrigin
    language: str
    sentiment: _labels_pb2.Sentiment
    sentiment_score: float
    emotion: _labels_pb2.Emotion
    intents: _containers.RepeatedScalarFieldContainer[_labels_pb2.Intent]
    topic: _labels_pb2.Topic
    effort: _labels_pb2.Effort
    stage: _labels_pb2.Stage
    model: str
    scores: _containers.ScalarMap[str, float]
    own_topic: str
    own_topic_score: float
    def __init__(self, origin: _Optional[_Union[SignalOrigin, str]] = ..., language: _Optional[str] = ..., sentiment: _Optional[_Union[_labels_pb2.Sentiment, str]] = ..., sentiment_score: _Optional[float] = ..., emotion: _Optional[_Union[_labels_pb2.Emotion, str]] = ..., intents: _Optional[_Iterable[_Union[_labels_pb2.Intent, str]]] = ..., topic: _Optional[_Union[_labels_pb2.Topic, str]] = ..., effort: _Optional[_Union[_labels_pb2.Effort, str]] = ..., stage: _Optional[_Union[_labels_pb2.Stage, str]] = ..., model: _Optional[str] = ..., scores: _Optional[_Mapping[str, float]] = ..., own_topic: _Optional[str] = ..., own_topic_score: _Optional[float] = ...) -> None: ...

class Journey(_message.Message):
    __slots__ = ("stage", "previous_stage", "since", "cause", "cause_type", "in_previous_stage", "heard_at", "silence", "at_risk")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_STAGE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    CAUSE_TYPE_FIELD_NUMBER: _ClassVar[int]
    IN_PREVIOUS_STAGE_FIELD_NUMBER: _ClassVar[int]
    HEARD_AT_FIELD_NUMBER: _ClassVar[int]
    SILENCE_FIELD_NUMBER: _ClassVar[int]
    AT_RISK_FIELD_NUMBER: _ClassVar[int]
    stage: _labels_pb2.Stage
    previous_stage: _labels_pb2.Stage
    since: _timestamp_pb2.Timestamp
    cause: TransitionCause
    cause_type: str
    in_previous_stage: _duration_pb2.Duration
    heard_at: _timestamp_pb2.Timestamp
    silence: _duration_pb2.Duration
    at_risk: bool
    def __init__(self, stage: _Optional[_Union[_labels_pb2.Stage, str]] = ..., previous_stage: _Optional[_Union[_labels_pb2.Stage, str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cause: _Optional[_Union[TransitionCause, str]] = ..., cause_type: _Optional[str] = ..., in_previous_stage: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., heard_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., silence: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., at_risk: _Optional[bool] = ...) -> None: ...

class SourcePosition(_message.Message):
    __slots__ = ("topic", "partition", "offset")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    topic: str
    partition: int
    offset: int
    def __init__(self, topic: _Optional[str] = ..., partition: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...
