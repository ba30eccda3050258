import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from voz.v1 import customer_event_pb2 as _customer_event_pb2
from voz.v1 import enriched_event_pb2 as _enriched_event_pb2
from voz.v1 import labels_pb2 as _labels_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CaseStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CASE_STATUS_UNSPECIFIED: _ClassVar[CaseStatus]
    CASE_STATUS_OPEN: _ClassVar[CaseStatus]
    CASE_STATUS_CLAIMED: _ClassVar[CaseStatus]
    CASE_STATUS_WAITING: _ClassVar[CaseStatus]
    CASE_STATUS_RESOLVED: _ClassVar[CaseStatus]

class CaseEventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CASE_EVENT_TYPE_UNSPECIFIED: _ClassVar[CaseEventType]
    CASE_EVENT_TYPE_OPENED: _ClassVar[CaseEventType]
    CASE_EVENT_TYPE_MESSAGE_ADDED: _ClassVar[CaseEventType]
    CASE_EVENT_TYPE_CLAIMED: _ClassVar[CaseEventType]
    CASE_EVENT_TYPE_NOTED: _ClassVar[CaseEventType]
    CASE_EVENT_TYPE_REPLIED: _ClassVar[CaseEventType]
    CASE_EVENT_TYPE_TRANSFERRED: _ClassVar[CaseEventType]
    CASE_EVENT_TYPE_RESOLVED: _ClassVar[CaseEventType]
    CASE_EVENT_TYPE_REOPENED: _ClassVar[CaseEventType]
    CASE_EVENT_TYPE_MESSAGE_EDITED: _ClassVar[CaseEventType]
    CASE_EVENT_TYPE_MESSAGE_DELETED: _ClassVar[CaseEventType]
CASE_STATUS_UNSPECIFIED: CaseStatus
CASE_STATUS_OPEN: CaseStatus
CASE_STATUS_CLAIMED: CaseStatus
CASE_STATUS_WAITING: CaseStatus
CASE_STATUS_RESOLVED: CaseStatus
CASE_EVENT_TYPE_UNSPECIFIED: CaseEventType
CASE_EVENT_TYPE_OPENED: CaseEventType
CASE_EVENT_TYPE_MESSAGE_ADDED: CaseEventType
CASE_EVENT_TYPE_CLAIMED: CaseEventType
CASE_EVENT_TYPE_NOTED: CaseEventType
CASE_EVENT_TYPE_REPLIED: CaseEventType
CASE_EVENT_TYPE_TRANSFERRED: CaseEventType
CASE_EVENT_TYPE_RESOLVED: CaseEventType
CASE_EVENT_TYPE_REOPENED: CaseEventType
CASE_EVENT_TYPE_MESSAGE_EDITED: CaseEventType
CASE_EVENT_TYPE_MESSAGE_DELETED: CaseEventType

class SupportCase(_message.Message):
    __slots__ = ("id", "tenant", "queue", "status", "customer", "rule", "policy_version", "reason", "signals", "channel", "source", "audience", "attributes", "conversation_id", "opened_at", "due_at", "assignee", "first_response_at", "first_resolved_at", "resolved_at", "outcome", "message_count", "reopen_count", "transfer_count", "text", "stage")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    ASSIGNEE_FIELD_NUMBER: _ClassVar[int]
    FIRST_RESPONSE_AT_FIELD_NUMBER: _ClassVar[int]
    FIRST_RESOLVED_AT_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_AT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    REOPEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_COUNT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    queue: str
    status: CaseStatus
    customer: _customer_event_pb2.Customer
    rule: str
    policy_version: str
    reason: str
    signals: _enriched_event_pb2.Signals
    channel: _labels_pb2.Channel
    source: str
    audience: _labels_pb2.Audience
    attributes: _containers.ScalarMap[str, str]
    conversation_id: str
    opened_at: _timestamp_pb2.Timestamp
    due_at: _timestamp_pb2.Timestamp
    assignee: str
    first_response_at: _timestamp_pb2.Timestamp
    first_resolved_at: _timestamp_pb2.Timestamp
    resolved_at: _timestamp_pb2.Timestamp
    outcome: str
    message_count: int
    reopen_count: int
    transfer_count: int
    text: str
    stage: _labels_pb2.Stage
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., queue: _Optional[str] = ..., status: _Optional[_Union[CaseStatus, str]] = ..., customer: _Optional[_Union[_customer_event_pb2.Customer, _Mapping]] = ..., rule: _Optional[str] = ..., policy_version: _Optional[str] = ..., reason: _Optional[str] = ..., signals: _Optional[_Union[_enriched_event_pb2.Signals, _Mapping]] = ..., channel: _Optional[_Union[_labels_pb2.Channel, str]] = ..., source: _Optional[str] = ..., audience: _Optional[_Union[_labels_pb2.Audience, str]] = ..., attributes: _Optional[_Mapping[str, str]] = ..., conversation_id: _Optional[str] = ..., opened_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., assignee: _Optional[str] = ..., first_response_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., first_resolved_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resolved_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[str] = ..., message_count: _Optional[int] = ..., reopen_count: _Optional[int] = ..., transfer_count: _Optional[int] = ..., text: _Optional[str] = ..., stage: _Optional[_Union[_labels_pb2.Stage, str]] = ...) -> None: ...

class CaseEvent(_message.Message):
    __slots__ = ("id", "type", "sequence", "support_case", "occurred_at", "agent", "note", "event_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_CASE_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: CaseEventType
    sequence: int
    support_case: SupportCase
    occurred_at: _timestamp_pb2.Timestamp
    agent: str
    note: str
    event_id: str
    def __init__(self, id: _Optional[str] = ..., type: _Optional[_Union[CaseEventType, str]] = ..., sequence: _Optional[int] = ..., support_case: _Optional[_Union[SupportCase, _Mapping]] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., agent: _Optional[str] = ..., note: _Optional[str] = ..., event_id: _Optional[str] = ...) -> None: ...
