"""The contracts: every golden example decodes to what people can read, every label has a word, ids never change."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid5

import pytest
import yaml
from google.protobuf import json_format, symbol_database
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from voz.v1 import case_pb2, customer_event_pb2, dead_letter_pb2, enriched_event_pb2, labels_pb2, raw_payload_pb2
from voz_contracts import cloudevents, identity, topics, wire, words

PROTO = Path(__file__).parents[2] / "proto"
SPECS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (PROTO / "topics").glob("*.yaml")}
GOLDEN = [(stem, PROTO / example) for stem, spec in SPECS.items() for example in spec["examples"]]
LABELS = {
    "sentiment": "negative neutral positive",
    "emotion": "anger frustration disappointment worry confusion joy gratitude none",
    "intent": "complaint question request praise recommendation suggestion purchase_intent churn_risk other",
    "topic": "billing price delivery product technical account service returns availability other",
    "effort": "high low unknown",
    "stage": "discover consider purchase onboard use support renew advocate leave",
    "channel": "social email chat phone store web app survey review ticket community crm",
    "audience": "customer employee",
    "direction": "inbound outbound",
}
_MODULES = (
    case_pb2,
    customer_event_pb2,
    dead_letter_pb2,
    enriched_event_pb2,
    raw_payload_pb2,
)  # their import registers the messages


@pytest.mark.parametrize(("stem", "path"), GOLDEN, ids=[f"{stem}/{path.stem}" for stem, path in GOLDEN])
def test_a_golden_record_decodes_to_its_json(stem: str, path: Path) -> None:
    message = symbol_database.Default().GetSymbol(SPECS[stem]["value"])
    decoded = message.FromString(path.with_suffix(".binpb").read_bytes())
    assert decoded == json_format.Parse(path.read_text(encoding="utf-8"), message())
    assert decoded.SerializeToString(deterministic=True) == path.with_suffix(".binpb").read_bytes()


def test_every_public_topic_has_an_example_and_every_example_a_topic() -> None:
    assert {stem for stem, spec in SPECS.items() if not spec["examples"]} == {"voz.journey"}
    listed = {path for _, path in GOLDEN}
    assert set((PROTO / "examples").rglob("*.json")) == listed


@pytest.mark.parametrize("kind", words.vocabulary(labels_pb2.EventKind))
def test_every_kind_of_event_has_an_example(kind: str) -> None:
    assert (PROTO / "examples" / "voz.events" / f"{kind}.json").is_file()


@pytest.mark.parametrize("enum", LABELS)
def test_labels_are_those_of_the_guide(enum: str) -> None:
    assert words.vocabulary(getattr(labels_pb2, enum.capitalize())) == tuple(LABELS[enum].split())


def test_a_word_and_its_number_are_each_others_inverse() -> None:
    for label in words.vocabulary(labels_pb2.Intent):
        assert words.word(labels_pb2.Intent, words.number(labels_pb2.Intent, label)) == label
    assert words.word(labels_pb2.Intent, 0) == "" == words.word(labels_pb2.Intent, 999)
    with pytest.raises(KeyError):
        words.number(labels_pb2.Intent, "no such intent")


def test_topic_specs_say_what_the_yaml_says() -> None:
    assert {spec.name for spec in topics.TOPICS} == {spec["topic"] for spec in SPECS.values()}
    assert topics.EVENTS.config["retention.ms"] == str(7 * 86_400_000)
    assert topics.JOURNEY.config["cleanup.policy"] == "compact"
    partitions = {spec.partitions for spec in (topics.EVENTS, topics.ENRICHED, topics.JOURNEY)}
    assert len(partitions) == 1, "an answer rides in the partition of what it answers"


def test_ids_are_fixed_for_ever() -> None:
    assert str(identity.event_id("acme", "mastodon", "tweet-841")) == "72491aa1-83d9-56be-a1d4-9a6a4cf8d34b"
    assert identity.customer_key("acme", "x", customer_id="c-42") == "8271a65e-9d9f-545e-bd0f-66b84bbc0000"


@given(st.text(), st.text(), st.text())
def test_ids_are_uuids_of_version_5(tenant: str, source: str, own: str) -> None:
    named = uuid5(identity.EVENT_NAMESPACE, "\x1f".join((tenant, source, own)))
    assert identity.event_id(tenant, source, own) == str(named)


@given(st.integers(0, (1 << 63) - 1))
def test_numbers_are_written_as_protobuf_writes_them(number: int) -> None:
    assert b"\x08" + wire.varint(number) == Timestamp(seconds=number).SerializeToString() or number == 0


@given(st.sampled_from([0, 1, 127, 128, 4095, 4096, 20_000]), st.text(max_size=5))
def test_fields_are_written_as_protobuf_writes_them(size: int, end: str) -> None:
    said = "x" * size + end
    number = customer_event_pb2.CustomerEvent.DESCRIPTOR.fields_by_name["text"].number
    written = wire.field(wire.tag(number), said.encode())
    assert customer_event_pb2.CustomerEvent.FromString(written) == customer_event_pb2.CustomerEvent(text=said)


Part = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)


@given(Part, Part, Part, Part)
def test_nothing_crosses_tenants_or_sources(tenant: str, other: str, source: str, own: str) -> None:
    same = tenant == other
    assert (identity.event_id(tenant, source, own) == identity.event_id(other, source, own)) is same
    key = identity.customer_key(tenant, source, customer_id=own)
    assert (key == identity.customer_key(other, source, customer_id=own)) is same
    assert key == identity.customer_key(tenant, other, customer_id=own), "the company's id holds in every source"
    assert key != identity.customer_key(tenant, source, handle=own)


def test_a_customer_without_id_and_handle_is_refused() -> None:
    with pytest.raises(ValueError, match="id or a handle"):
        identity.customer_key("acme", "api")


def test_records_carry_cloudevents_headers() -> None:
    made = cloudevents.headers(
        event_id="e",
        source="/voz/ingest",
        event_type="voz.v1.CustomerEvent",
        subject="acme/k",
        time=datetime(2026, 11, 20, 10, tzinfo=UTC),
        traceparent="00-" + "0" * 31 + "1-b7ad6b7169203331-01",
    )
    assert dict(made)["ce_time"] == b"2026-11-20T10:00:00Z"
    assert cloudevents.header(made, "ce_specversion") == "1.0"
    assert cloudevents.header(made, "content-type") == "application/protobuf"
    assert cloudevents.header(made, "absent") == ""
    with pytest.raises(ValueError, match="naive"):
        cloudevents.rfc3339(datetime(2026, 11, 20))  # noqa: DTZ001  # what must be refused
