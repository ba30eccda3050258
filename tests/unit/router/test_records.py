"""From records to events and from cases to records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from voz.v1.case_pb2 import CaseEvent, SupportCase
from voz.v1.customer_event_pb2 import SurveyMetric
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts.cloudevents import header
from voz_router.adapters.inbound.records import MAX_REACH, decode
from voz_router.adapters.outbound.messages import publisher
from voz_router.domain.cases import claim
from voz_router.domain.events import Event
from voz_router.domain.policy import Policy
from voz_router.domain.routing import plan
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.records import Record
from voz_streamkit.settings import ServiceSettings

MakeEvent = Callable[..., Event]
EXAMPLE = Path(__file__).parents[3] / "proto/examples/voz.enriched/message.json"


def record(value: bytes) -> Record:
    return Record("voz.enriched", 0, 7, b"acme/ana", value, (), 0)


@pytest.fixture
def message() -> EnrichedEvent:
    """The golden example of voz.enriched."""
    return json_format.Parse(EXAMPLE.read_text(), EnrichedEvent())


def test_the_golden_example_becomes_an_event(message: EnrichedEvent) -> None:
    incoming = decode(record(message.SerializeToString()))
    event = incoming.event
    assert (incoming.tenant, str(incoming.event_id)) == ("acme", message.event.id)
    assert (event.channel, event.kind, event.direction, event.stage) == ("social", "message", "inbound", "use")
    assert (event.customer.handle, event.customer.reach) == ("@ana", 1200)
    assert event.occurred_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert (event.signals.sentiment, event.signals.sentiment_score) == ("negative", -0.91)
    assert event.signals.intents == ("complaint",)
    assert event.attributes == {"segment": "premium", "product": "fibra-600"}


def test_a_survey_speaks_by_its_comment(message: EnrichedEvent) -> None:
    message.event.text = ""
    message.event.survey.metric = SurveyMetric.SURVEY_METRIC_NPS
    message.event.survey.score = 3
    message.event.survey.scale.max = 10
    message.event.survey.comment = "Nunca contestan"
    message.event.customer.reach = 2**64 - 1
    event = decode(record(message.SerializeToString())).event
    assert event.text == "Nunca contestan"
    assert event.survey is not None
    assert (event.survey.metric, event.survey.position) == ("nps", 0.3)
    assert event.customer.reach == MAX_REACH


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: m.event.ClearField("id"), "not a UUID"),
        (lambda m: m.event.ClearField("tenant"), "event.tenant is empty"),
        (lambda m: m.event.customer.ClearField("key"), "event.customer.key is empty"),
        (lambda m: setattr(m.event, "tenant", "x" * 257), "longer than 256"),
        (lambda m: m.event.ClearField("occurred_at"), "occurred_at is missing"),
        (lambda m: setattr(m.event.occurred_at, "seconds", 2**60), "."),
        (lambda m: setattr(m.signals, "sentiment_score", float("nan")), "-1…1"),
        (lambda m: setattr(m.signals, "sentiment_score", 1.5), "-1…1"),
        (lambda m: m.signals.scores.update({"sentiment.negative": float("inf")}), "not finite"),
        (lambda m: setattr(m.event.survey, "score", float("nan")), "not finite"),
        (lambda m: setattr(m.event, "text", "a\0b"), "NUL"),
        (lambda m: m.event.attributes.update({"a\0": "b"}), "NUL"),
        (lambda m: m.event.attributes.update({"a": "b" * 300_000}), "beside the text"),
    ],
)
def test_what_cannot_be_routed_is_invalid(
    message: EnrichedEvent, spoil: Callable[[EnrichedEvent], object], words: str
) -> None:
    spoil(message)
    with pytest.raises(InvalidRecordError, match=words) as refused:
        decode(record(message.SerializeToString()))
    assert refused.value.reason == "invalid"


@given(st.binary(max_size=80))
def test_any_bytes_are_an_event_or_an_invalid_record(value: bytes) -> None:
    # No event can be made of so few bytes: its id alone takes 36.
    with pytest.raises(InvalidRecordError) as refused:
        decode(record(value))
    assert refused.value.reason in ("undecodable", "invalid")


def test_labels_of_a_later_version_are_no_signal(message: EnrichedEvent) -> None:
    message.signals.sentiment = 99  # type: ignore[assignment]
    message.signals.intents.append(99)  # type: ignore[arg-type]
    event = decode(record(message.SerializeToString())).event
    assert event.signals.sentiment == ""
    assert event.signals.intents == ("complaint",)


def test_cases_are_published_whole_to_their_topics(message: EnrichedEvent, policy: Policy, now: datetime) -> None:
    event = decode(record(message.SerializeToString())).event
    opened = plan([event], [], policy, now).case_events[0]
    publish = publisher(ServiceSettings(topic_prefix="t-"))
    to_cases, to_queue = publish([opened])
    assert (to_cases.topic, to_queue.topic) == ("t-voz.cases", "t-voz.queue.care")
    assert to_cases.key == to_queue.key == b"acme/" + message.event.customer.key.encode()
    sent = CaseEvent.FromString(to_cases.value)
    assert (sent.id, sent.sequence, sent.event_id) == (str(opened.id), 1, message.event.id)
    assert sent.support_case == SupportCase.FromString(to_queue.value)
    assert sent.support_case.signals == message.signals
    assert sent.support_case.customer == message.event.customer
    assert sent.support_case.due_at.ToDatetime(UTC) == opened.case.due_at
    assert not sent.support_case.HasField("first_response_at")
    assert header(to_cases.headers, "ce_type") == "voz.v1.CaseEvent"
    assert header(to_queue.headers, "ce_source") == "/voz/router/queues/care"
    [claimed] = publish([claim(opened.case, "ana", now)])
    assert CaseEvent.FromString(claimed.value).agent == "ana"
    assert claimed.topic == "t-voz.cases", "a claim enters no queue"
