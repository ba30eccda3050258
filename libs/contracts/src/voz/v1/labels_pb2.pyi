from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class Channel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANNEL_UNSPECIFIED: _ClassVar[Channel]
    CHANNEL_SOCIAL: _ClassVar[Channel]
    CHANNEL_EMAIL: _ClassVar[Channel]
    CHANNEL_CHAT: _ClassVar[Channel]
    CHANNEL_PHONE: _ClassVar[Channel]
    CHANNEL_STORE: _ClassVar[Channel]
    CHANNEL_WEB: _ClassVar[Channel]
    CHANNEL_APP: _ClassVar[Channel]
    CHANNEL_SURVEY: _ClassVar[Channel]
    CHANNEL_REVIEW: _ClassVar[Channel]
    CHANNEL_TICKET: _ClassVar[Channel]
    CHANNEL_COMMUNITY: _ClassVar[Channel]
    CHANNEL_CRM: _ClassVar[Channel]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_MESSAGE: _ClassVar[EventKind]
    EVENT_KIND_SURVEY: _ClassVar[EventKind]
    EVENT_KIND_BEHAVIOUR: _ClassVar[EventKind]
    EVENT_KIND_TRANSACTION: _ClassVar[EventKind]
    EVENT_KIND_TICKET: _ClassVar[EventKind]
    EVENT_KIND_SUBSCRIPTION: _ClassVar[EventKind]
    EVENT_KIND_PROFILE: _ClassVar[EventKind]

class Audience(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIENCE_UNSPECIFIED: _ClassVar[Audience]
    AUDIENCE_CUSTOMER: _ClassVar[Audience]
    AUDIENCE_EMPLOYEE: _ClassVar[Audience]

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_UNSPECIFIED: _ClassVar[Direction]
    DIRECTION_INBOUND: _ClassVar[Direction]
    DIRECTION_OUTBOUND: _ClassVar[Direction]

class Sentiment(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SENTIMENT_UNSPECIFIED: _ClassVar[Sentiment]
    SENTIMENT_NEGATIVE: _ClassVar[Sentiment]
    SENTIMENT_NEUTRAL: _ClassVar[Sentiment]
    SENTIMENT_POSITIVE: _ClassVar[Sentiment]

class Emotion(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EMOTION_UNSPECIFIED: _ClassVar[Emotion]
    EMOTION_ANGER: _ClassVar[Emotion]
    EMOTION_FRUSTRATION: _ClassVar[Emotion]
    EMOTION_DISAPPOINTMENT: _ClassVar[Emotion]
    EMOTION_WORRY: _ClassVar[Emotion]
    EMOTION_CONFUSION: _ClassVar[Emotion]
    EMOTION_JOY: _ClassVar[Emotion]
    EMOTION_GRATITUDE: _ClassVar[Emotion]
    EMOTION_NONE: _ClassVar[Emotion]

class Intent(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTENT_UNSPECIFIED: _ClassVar[Intent]
    INTENT_COMPLAINT: _ClassVar[Intent]
    INTENT_QUESTION: _ClassVar[Intent]
    INTENT_REQUEST: _ClassVar[Intent]
    INTENT_PRAISE: _ClassVar[Intent]
    INTENT_RECOMMENDATION: _ClassVar[Intent]
    INTENT_SUGGESTION: _ClassVar[Intent]
    INTENT_PURCHASE_INTENT: _ClassVar[Intent]
    INTENT_CHURN_RISK: _ClassVar[Intent]
    INTENT_OTHER: _ClassVar[Intent]

class Topic(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOPIC_UNSPECIFIED: _ClassVar[Topic]
    TOPIC_BILLING: _ClassVar[Topic]
    TOPIC_PRICE: _ClassVar[Topic]
    TOPIC_DELIVERY: _ClassVar[Topic]
    TOPIC_PRODUCT: _ClassVar[Topic]
    TOPIC_TECHNICAL: _ClassVar[Topic]
    TOPIC_ACCOUNT: _ClassVar[Topic]
    TOPIC_SERVICE: _ClassVar[Topic]
    TOPIC_RETURNS: _ClassVar[Topic]
    TOPIC_AVAILABILITY: _ClassVar[Topic]
    TOPIC_OTHER: _ClassVar[Topic]

class Effort(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EFFORT_UNSPECIFIED: _ClassVar[Effort]
    EFFORT_HIGH: _ClassVar[Effort]
    EFFORT_LOW: _ClassVar[Effort]
    EFFORT_UNKNOWN: _ClassVar[Effort]

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_DISCOVER: _ClassVar[Stage]
    STAGE_CONSIDER: _ClassVar[Stage]
    STAGE_PURCHASE: _ClassVar[Stage]
    STAGE_ONBOARD: _ClassVar[Stage]
    STAGE_USE: _ClassVar[Stage]
    STAGE_SUPPORT: _ClassVar[Stage]
    STAGE_RENEW: _ClassVar[Stage]
    STAGE_ADVOCATE: _ClassVar[Stage]
    STAGE_LEAVE: _ClassVar[Stage]
CHANNEL_UNSPECIFIED: Channel
CHANNEL_SOCIAL: Channel
CHANNEL_EMAIL: Channel
CHANNEL_CHAT: Channel
CHANNEL_PHONE: Channel
CHANNEL_STORE: Channel
CHANNEL_WEB: Channel
CHANNEL_APP: Channel
CHANNEL_SURVEY: Channel
CHANNEL_REVIEW: Channel
CHANNEL_TICKET: Channel
CHANNEL_COMMUNITY: Channel
CHANNEL_CRM: Channel
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_MESSAGE: EventKind
EVENT_KIND_SURVEY: EventKind
EVENT_KIND_BEHAVIOUR: EventKind
EVENT_KIND_TRANSACTION: EventKind
EVENT_KIND_TICKET: EventKind
EVENT_KIND_SUBSCRIPTION: EventKind
EVENT_KIND_PROFILE: EventKind
AUDIENCE_UNSPECIFIED: Audience
AUDIENCE_CUSTOMER: Audience
AUDIENCE_EMPLOYEE: Audience
DIRECTION_UNSPECIFIED: Direction
DIRECTION_INBOUND: Direction
DIRECTION_OUTBOUND: Direction
SENTIMENT_UNSPECIFIED: Sentiment
SENTIMENT_NEGATIVE: Sentiment
SENTIMENT_NEUTRAL: Sentiment
SENTIMENT_POSITIVE: Sentiment
EMOTION_UNSPECIFIED: Emotion
EMOTION_ANGER: Emotion
EMOTION_FRUSTRATION: Emotion
EMOTION_DISAPPOINTMENT: Emotion
EMOTION_WORRY: Emotion
EMOTION_CONFUSION: Emotion
EMOTION_JOY: Emotion
EMOTION_GRATITUDE: Emotion
EMOTION_NONE: Emotion
INTENT_UNSPECIFIED: Intent
INTENT_COMPLAINT: Intent
INTENT_QUESTION: Intent
INTENT_REQUEST: Intent
INTENT_PRAISE: Intent
INTENT_RECOMMENDATION: Intent
INTENT_SUGGESTION: Intent
INTENT_PURCHASE_INTENT: Intent
INTENT_CHURN_RISK: Intent
INTENT_OTHER: Intent
TOPIC_UNSPECIFIED: Topic
TOPIC_BILLING: Topic
TOPIC_PRICE: Topic
TOPIC_DELIVERY: Topic
TOPIC_PRODUCT: Topic
TOPIC_TECHNICAL: Topic
TOPIC_ACCOUNT: Topic
TOPIC_SERVICE: Topic
TOPIC_RETURNS: Topic
TOPIC_AVAILABILITY: Topic
TOPIC_OTHER: Topic
EFFORT_UNSPECIFIED: Effort
EFFORT_HIGH: Effort
EFFORT_LOW: Effort
EFFORT_UNKNOWN: Effort
STAGE_UNSPECIFIED: Stage
STAGE_DISCOVER: Stage
STAGE_CONSIDER: Stage
STAGE_PURCHASE: Stage
STAGE_ONBOARD: Stage
STAGE_USE: Stage
STAGE_SUPPORT: Stage
STAGE_RENEW: Stage
STAGE_ADVOCATE: Stage
STAGE_LEAVE: Stage
