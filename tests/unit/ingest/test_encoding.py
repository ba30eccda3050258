"""An event's record holds all of it, and comes back as the plain form that its sender could have written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ingest.fakes import PLAIN, event

from voz.v1 import customer_event_pb2 as pb
from voz_contracts import cloudevents, identity
from voz_contracts.plain import plain
from voz_ingest.adapters.outbound.encoding import address, event_headers, message
from voz_ingest.domain.event import Channel, CustomerEvent, ReceivedEvent
from voz_ingest.domain.reading import read_event

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
EXAMPLES = Path(__file__).parents[3] / "proto" / "examples" / "voz.events"
PAYLOADS: list[dict[str, Any]] = [
    {"survey": {"metric": "nps", "score": 3, "scale": {"min": 0, "max": 10, "inverted": False}, "question": "q"}},
    {"survey": {"metric": "csat", "score": 2.5, "scale": {"min": 1, "max": 5, "inverted": True}, "comment": "c"}},
    {"transaction": {"type": "refund", "amount": "39.90", "currency": "EUR", "order_id": "o-1"}},
    {"subscription": {"status": "cancelled", "plan": "fibra"}},
    {"behaviour": {"type": "rage_click", "url": "https://a.example/", "element": "#pay", "x": 0, "y": 1.5}},
    {"behaviour": {"type": "click", "viewport": {"width": 1280, "height": 720}}},
    {"ticket": {"id": "zd-1", "status": "solved", "priority": "high", "assignee": "luis"}},
    {"profile": {"city": "Sevilla"}},
]


def right(form: dict[str, Any]) -> CustomerEvent:
    found = read_event(form, tenant="acme", received_at=NOW, max_text_bytes=1000).event
    assert found is not None
    return found


def encode(form: dict[str, Any]) -> pb.CustomerEvent:
    found = right(form)
    event_id = identity.event_id("acme", found.source, found.source_id)
    return message(ReceivedEvent(event_id, "acme", NOW, found))


@pytest.mark.parametrize("payload", [{}, *PAYLOADS], ids=lambda payload: next(iter(payload), "message"))
def test_the_plain_form_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    form = {**PLAIN, **payload, "kind": next(iter(payload), "message")}
    assert plain(encode(form)) == form


Words = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30).filter(
    lambda said: said.strip()
)


@given(
    text=Words,
    customer=st.fixed_dictionaries(
        {"id": Words}, optional={"handle": Words, "name": Words, "reach": st.integers(0, 1 << 62)}
    ),
    attributes=st.dictionaries(Words, st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30)),
    channel=st.sampled_from([str(channel) for channel in Channel]),
    payload=st.sampled_from([{}, *PAYLOADS]),
)
def test_what_the_plain_form_says_is_a_fixed_point(payload: dict[str, Any], **fields: Any) -> None:
    once = plain(encode({**fields, **payload}))
    assert plain(encode(once)) == once


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_a_golden_record_is_what_its_plain_form_becomes(path: Path) -> None:
    golden = json_format.Parse(path.read_text(encoding="utf-8"), pb.CustomerEvent())
    again = encode(plain(golden))
    again.received_at.CopyFrom(golden.received_at)
    assert again == golden


def test_a_record_knows_that_its_time_is_that_of_the_receipt() -> None:
    encoded = encode(event())
    assert encoded.occurred_at_defaulted
    assert encoded.occurred_at == encoded.received_at
    assert encoded.received_at.ToJsonString() == "2026-11-20T12:00:00.123456Z"


def test_headers_are_cloudevents() -> None:
    found = read_event(PLAIN, tenant="acme", received_at=NOW, max_text_bytes=1000).event
    assert found is not None
    headers = event_headers(ReceivedEvent("an-id", "acme", NOW, found, "00-trace"), b"acme/key")
    assert cloudevents.header(headers, "ce_id") == "an-id"
    assert cloudevents.header(headers, "ce_type") == "voz.v1.CustomerEvent"
    assert cloudevents.header(headers, "ce_time") == "2026-11-20T10:00:00Z"
    assert cloudevents.header(headers, "ce_subject") == "acme/key"
    assert cloudevents.header(headers, "traceparent") == "00-trace"


@given(st.datetimes(timezones=st.just(UTC)))
def test_the_time_of_a_record_is_written_alike_everywhere(moment: datetime) -> None:
    found = right(PLAIN)._replace(occurred_at=moment)
    headers = event_headers(ReceivedEvent("an-id", "acme", NOW, found), b"key")
    assert cloudevents.header(headers, "ce_time") == cloudevents.rfc3339(moment)
    assert message(ReceivedEvent("an-id", "acme", NOW, found)).occurred_at.ToDatetime(UTC) == moment


@given(customer=Words, partitions=st.integers(1, 64))
def test_a_record_goes_where_kafkas_own_partitioner_would_send_it(customer: str, partitions: int) -> None:
    to = address("acme", "api", customer, "")
    every = list(range(partitions))
    assert to.hash % partitions == DefaultPartitioner()(to.key, every, every)
    assert to.key == identity.partition_key("acme", to.customer_key)
