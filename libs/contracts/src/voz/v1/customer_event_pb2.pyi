import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from voz.v1 import labels_pb2 as _labels_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SurveyMetric(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SURVEY_METRIC_UNSPECIFIED: _ClassVar[SurveyMetric]
    SURVEY_METRIC_NPS: _ClassVar[SurveyMetric]
    SURVEY_METRIC_CSAT: _ClassVar[SurveyMetric]
    SURVEY_METRIC_CES: _ClassVar[SurveyMetric]

class TransactionType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSACTION_TYPE_UNSPECIFIED: _ClassVar[TransactionType]
    TRANSACTION_TYPE_ORDER_PLACED: _ClassVar[TransactionType]
    TRANSACTION_TYPE_ORDER_PAID: _ClassVar[TransactionType]
    TRANSACTION_TYPE_ORDER_DELIVERED: _ClassVar[TransactionType]
    TRANSACTION_TYPE_REFUND: _ClassVar[TransactionType]
    TRANSACTION_TYPE_RETURN: _ClassVar[TransactionType]

class SubscriptionStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUBSCRIPTION_STATUS_UNSPECIFIED: _ClassVar[SubscriptionStatus]
    SUBSCRIPTION_STATUS_STARTED: _ClassVar[SubscriptionStatus]
    SUBSCRIPTION_STATUS_RENEWED: _ClassVar[SubscriptionStatus]
    SUBSCRIPTION_STATUS_UPGRADED: _ClassVar[SubscriptionStatus]
    SUBSCRIPTION_STATUS_DOWNGRADED: _ClassVar[SubscriptionStatus]
    SUBSCRIPTION_STATUS_CANCELLED: _ClassVar[SubscriptionStatus]
    SUBSCRIPTION_STATUS_ENDED: _ClassVar[SubscriptionStatus]

class TicketStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TICKET_STATUS_UNSPECIFIED: _ClassVar[TicketStatus]
    TICKET_STATUS_NEW: _ClassVar[TicketStatus]
    TICKET_STATUS_OPEN: _ClassVar[TicketStatus]
    TICKET_STATUS_PENDING: _ClassVar[TicketStatus]
    TICKET_STATUS_SOLVED: _ClassVar[TicketStatus]
    TICKET_STATUS_CLOSED: _ClassVar[TicketStatus]
    TICKET_STATUS_REOPENED: _ClassVar[TicketStatus]
SURVEY_METRIC_UNSPECIFIED: SurveyMetric
SURVEY_METRIC_NPS: SurveyMetric
SURVEY_METRIC_CSAT: SurveyMetric
SURVEY_METRIC_CES: SurveyMetric
TRANSACTION_TYPE_UNSPECIFIED: TransactionType
TRANSACTION_TYPE_ORDER_PLACED: TransactionType
TRANSACTION_TYPE_ORDER_PAID: TransactionType
TRANSACTION_TYPE_ORDER_DELIVERED: TransactionType
TRANSACTION_TYPE_REFUND: TransactionType
TRANSACTION_TYPE_RETURN: TransactionType
SUBSCRIPTION_STATUS_UNSPECIFIED: SubscriptionStatus
SUBSCRIPTION_STATUS_STARTED: SubscriptionStatus
SUBSCRIPTION_STATUS_RENEWED: SubscriptionStatus
SUBSCRIPTION_STATUS_UPGRADED: SubscriptionStatus
SUBSCRIPTION_STATUS_DOWNGRADED: SubscriptionStatus
SUBSCRIPTION_STATUS_CANCELLED: SubscriptionStatus
SUBSCRIPTION_STATUS_ENDED: SubscriptionStatus
TICKET_STATUS_UNSPECIFIED: TicketStatus
TICKET_STATUS_NEW: TicketStatus
TICKET_STATUS_OPEN: TicketStatus
TICKET_STATUS_PENDING: TicketStatus
TICKET_STATUS_SOLVED: TicketStatus
TICKET_STATUS_CLOSED: TicketStatus
TICKET_STATUS_REOPENED: TicketStatus

class CustomerEvent(_message.Message):
    __slots__ = ("id", "tenant", "source", "source_id", "channel", "kind", "audience", "direction", "customer", "conversation", "text", "language_hint", "occurred_at", "occurred_at_defaulted", "received_at", "attributes", "survey", "transaction", "subscription", "behaviour", "ticket", "profile")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_HINT_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_DEFAULTED_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SURVEY_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    BEHAVIOUR_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    source: str
    source_id: str
    channel: _labels_pb2.Channel
    kind: _labels_pb2.EventKind
    audience: _labels_pb2.Audience
    direction: _labels_pb2.Direction
    customer: Customer
    conversation: Conversation
    text: str
    language_hint: str
    occurred_at: _timestamp_pb2.Timestamp
    occurred_at_defaulted: bool
    received_at: _timestamp_pb2.Timestamp
    attributes: _containers.ScalarMap[str, str]
    survey: Survey
    transaction: Transaction
    subscription: Subscription
    behaviour: Behaviour
    ticket: Ticket
    profile: Profile
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., source: _Optional[str] = ..., source_id: _Optional[str] = ..., channel: _Optional[_Union[_labels_pb2.Channel, str]] = ..., kind: _Optional[_Union[_labels_pb2.EventKind, str]] = ..., audience: _Optional[_Union[_labels_pb2.Audience, str]] = ..., direction: _Optional[_Union[_labels_pb2.Direction, str]] = ..., customer: _Optional[_Union[Customer, _Mapping]] = ..., conversation: _Optional[_Union[Conversation, _Mapping]] = ..., text: _Optional[str] = ..., language_hint: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., occurred_at_defaulted: _Optional[bool] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attributes: _Optional[_Mapping[str, str]] = ..., survey: _Optional[_Union[Survey, _Mapping]] = ..., transaction: _Optional[_Union[Transaction, _Mapping]] = ..., subscription: _Optional[_Union[Subscription, _Mapping]] = ..., behaviour: _Optional[_Union[Behaviour, _Mapping]] = ..., ticket: _Optional[_Union[Ticket, _Mapping]] = ..., profile: _Optional[_Union[Profile, _Mapping]] = ...) -> None: ...

class Customer(_message.Message):
    __slots__ = ("key", "id", "handle", "display_name", "reach")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    REACH_FIELD_NUMBER: _ClassVar[int]
    key: str
    id: str
    handle: str
    display_name: str
    reach: int
    def __init__(self, key: _Optional[str] = ..., id: _Optional[str] = ..., handle: _Optional[str] = ..., display_name: _Optional[str] = ..., reach: _Optional[int] = ...) -> None: ...

class Conversation(_message.Message):
    __slots__ = ("id", "reply_to")
    ID_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    id: str
    reply_to: str
    def __init__(self, id: _Optional[str] = ..., reply_to: _Optional[str] = ...) -> None: ...

class Survey(_message.Message):
    __slots__ = ("metric", "score", "scale", "question", "comment")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    metric: SurveyMetric
    score: float
    scale: Scale
    question: str
    comment: str
    def __init__(self, metric: _Optional[_Union[SurveyMetric, str]] = ..., score: _Optional[float] = ..., scale: _Optional[_Union[Scale, _Mapping]] = ..., question: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class Scale(_message.Message):
    __slots__ = ("min", "max", "inverted")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    INVERTED_FIELD_NUMBER: _ClassVar[int]
    min: float
    max: float
    inverted: bool
    def __init__(self, min: _Optional[float] = ..., max: _Optional[float] = ..., inverted: _Optional[bool] = ...) -> None: ...

class Transaction(_message.Message):
    __slots__ = ("type", "amount", "currency", "order_id")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    type: TransactionType
    amount: str
    currency: str
    order_id: str
    def __init__(self, type: _Optional[_Union[TransactionType, str]] = ..., amount: _Optional[str] = ..., currency: _Optional[str] = ..., order_id: _Optional[str] = ...) -> None: ...

class Subscription(_message.Message):
    __slots__ = ("status", "plan")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    status: SubscriptionStatus
    plan: str
    def __init__(self, status: _Optional[_Union[SubscriptionStatus, str]] = ..., plan: _Optional[str] = ...) -> None: ...

class Behaviour(_message.Message):
    __slots__ = ("type", "url", "element", "x", "y", "viewport")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    ELEMENT_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    VIEWPORT_FIELD_NUMBER: _ClassVar[int]
    type: str
    url: str
    element: str
    x: float
    y: float
    viewport: Viewport
    def __init__(self, type: _Optional[str] = ..., url: _Optional[str] = ..., element: _Optional[str] = ..., x: _Optional[float] = ..., y: _Optional[float] = ..., viewport: _Optional[_Union[Viewport, _Mapping]] = ...) -> None: ...

class Viewport(_message.Message):
    __slots__ = ("width", "height")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Ticket(_message.Message):
    __slots__ = ("id", "status", "priority", "assignee")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ASSIGNEE_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: TicketStatus
    priority: str
    assignee: str
    def __init__(self, id: _Optional[str] = ..., status: _Optional[_Union[TicketStatus, str]] = ..., priority: _Optional[str] = ..., assignee: _Optional[str] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("attributes",)
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...
