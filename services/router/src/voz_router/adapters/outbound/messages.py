"""What the router publishes: CaseEvent on `voz.cases`, SupportCase on the topic of the queue that a case enters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from voz.v1.case_pb2 import CaseEvent as CaseEventMessage
from voz.v1.case_pb2 import CaseEventType, CaseStatus, SupportCase
from voz.v1.customer_event_pb2 import Customer
from voz.v1.enriched_event_pb2 import SignalOrigin, Signals
from voz.v1.labels_pb2 import Audience, Channel, Effort, Emotion, Intent, Sentiment, Stage, Topic
from voz_contracts.cloudevents import headers
from voz_contracts.identity import partition_key
from voz_contracts.topics import CASES
from voz_contracts.words import number
from voz_router.domain import events
from voz_router.domain.cases import ENTERS_QUEUE, Case, CaseEvent
from voz_streamkit.outbox import OutboxMessage
from voz_streamkit.settings import ServiceSettings

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

SOURCE = "/voz/router"
Publish = Callable[[Iterable[CaseEvent]], Iterator[OutboxMessage]]


def publisher(settings: ServiceSettings) -> Publish:
    """Turns case events into messages for the topics of this installation, in order."""
    cases_topic = settings.topic(CASES)

    def publish(happened: Iterable[CaseEvent]) -> Iterator[OutboxMessage]:
        for event in happened:
            support_case = support_case_message(event.case)
            yield _message(cases_topic, SOURCE, event, case_event_message(event, support_case))
            if event.type in ENTERS_QUEUE:
                # A source of its own: CloudEvents tells events apart by source and id.
                queue = event.case.queue
                yield _message(settings.queue_topic(queue), f"{SOURCE}/queues/{queue}", event, support_case)

    return publish


def _message(topic: str, source: str, event: CaseEvent, value: CaseEventMessage | SupportCase) -> OutboxMessage:
    key = partition_key(event.case.tenant, event.case.customer.key)
    envelope = headers(
        event_id=str(event.id),
        source=source,
        event_type=value.DESCRIPTOR.full_name,
        subject=key.decode(),
        time=event.occurred_at,
    )
    return OutboxMessage(topic, key, value.SerializeToString(), envelope)


def case_event_message(event: CaseEvent, support_case: SupportCase) -> CaseEventMessage:
    """The value of a record of `voz.cases`."""
    return CaseEventMessage(
        id=str(event.id),
        type=_number(CaseEventType, event.type),
        sequence=event.case.sequence,
        support_case=support_case,
        occurred_at=event.occurred_at,
        agent=event.agent,
        note=event.note,
        event_id=str(event.event_id) if event.event_id else "",
    )


def support_case_message(case: Case) -> SupportCase:
    """The value of a record of `voz.queue.<queue>`."""
    return SupportCase(
        id=str(case.id),
        tenant=case.tenant,
        queue=case.queue,
        status=_number(CaseStatus, case.status),
        customer=Customer(
            key=case.customer.key,
            id=case.customer.id,
            handle=case.customer.handle,
            display_name=case.customer.name,
            reach=case.customer.reach,
        ),
        rule=case.rule,
        policy_version=case.policy_version,
        reason=case.reason,
        signals=_signals(case.signals),
        channel=_number(Channel, case.channel),
        source=case.source,
        audience=_number(Audience, case.audience),
        attributes=case.attributes,
        conversation_id=case.conversation_id,
        opened_at=case.opened_at,
        due_at=case.due_at,
        assignee=case.assignee,
        first_response_at=case.first_response_at,
        first_resolved_at=case.first_resolved_at,
        resolved_at=case.resolved_at,
        outcome=case.outcome,
        message_count=case.message_count,
        reopen_count=case.reopen_count,
        transfer_count=case.transfer_count,
        text=case.text,
        stage=_number(Stage, case.stage),
    )


def _signals(signals: events.Signals) -> Signals:
    return Signals(
        origin=_number(SignalOrigin, signals.origin),
        language=signals.language,
        sentiment=_number(Sentiment, signals.sentiment),
        sentiment_score=signals.sentiment_score,
        emotion=_number(Emotion, signals.emotion),
        intents=[_number(Intent, intent) for intent in signals.intents],
        topic=_number(Topic, signals.topic),
        effort=_number(Effort, signals.effort),
        stage=_number(Stage, signals.stage),
        model=signals.model,
        scores=signals.scores,
        own_topic=signals.own_topic,
        own_topic_score=signals.own_topic_score,
    )


def _number(enum: EnumTypeWrapper, label: str) -> Any:
    """The enum's number; the stubs of messages want the enum's own type, which protobuf's numbers are not."""
    return number(enum, label)
