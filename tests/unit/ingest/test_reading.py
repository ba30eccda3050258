"""Any JSON becomes a right event, or words and pointers that say what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ingest.fakes import PLAIN, event

from voz.v1 import customer_event_pb2 as pb
from voz.v1 import labels_pb2 as labels
from voz_contracts.words import vocabulary
from voz_ingest.domain import event as domain
from voz_ingest.domain.event import Audience, Direction, EventKind, Scale, Survey, SurveyMetric
from voz_ingest.domain.fields import MAX_ERRORS, FieldError
from voz_ingest.domain.payloads import DEFAULT_SCALES
from voz_ingest.domain.reading import EVENT_FIELDS, Reading, read_each_field, read_event

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = sorted(EVENT_FIELDS | {"scale", "metric", "score", "type", "status", "amount", "viewport", "x", "foo"})
NEARLY = st.dictionaries(
    st.sampled_from(NAMES),
    JSON | st.dictionaries(st.sampled_from(NAMES), JSON | st.sampled_from(["nps", "refund", "new"]), max_size=5),
    max_size=10,
)


def read(plain: object) -> Reading:
    return read_event(plain, tenant="acme", received_at=NOW, max_text_bytes=1000)


def wrong(plain: object) -> dict[str, str]:
    return {error.pointer: error.detail for error in read(plain).errors}


def right(plain: object) -> domain.CustomerEvent:
    found = read(plain)
    assert found.errors == ()
    assert found.event is not None
    return found.event


SMALL = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=6)
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "id": SMALL,
    "source": SMALL,
    "text": SMALL | st.sampled_from(["é\n\tñ", "👩‍👩‍👧", "a b"]),
    "kind": st.just("message"),
    "audience": st.sampled_from(["customer", "employee"]),
    "direction": st.sampled_from(["inbound", "outbound"]),
    "conversation": st.fixed_dictionaries({}, optional={"id": SMALL, "reply_to": SMALL}),
    "language": st.sampled_from(["es", "pt"]),
    "occurred_at": st.sampled_from(["2026-11-20T10:00:00Z", "2026-11-20t10:00:00.5+02:00"]),
    "attributes": st.dictionaries(SMALL, SMALL, max_size=3),
    "customer": st.fixed_dictionaries(
        {"id": SMALL}, optional={"handle": SMALL, "name": SMALL, "reach": st.integers(0, 9)}
    ),
}
GOOD_TOO = {name: said for name, said in GOOD.items() if name not in ("text", "customer")}
ODD: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 1 << 64),
    st.floats(allow_nan=False),
    st.text(max_size=6),
    st.sampled_from([0, 1, 64, 65, 200, 255, 256, 500, 501, 1000, 1001]).map("x".__mul__),
    st.sampled_from(["a b", "a\u00a0b", "\x00", "\t", " ", "", "\u202e", "fax", "survey", "es-MX", "ES", "ñé", "noon"]),
    st.sampled_from([[], {}, {"foo": 1}, {"id": ""}, {"handle": "h"}, {f"a{n}": "x" for n in range(65)}, {"a": 1}]),
)
ODD_FIELDS = st.dictionaries(st.sampled_from([*GOOD, "channel", "tenant", "ticket", "foo"]), ODD, max_size=1)
ODD_PARTS = st.dictionaries(st.sampled_from(["id", "handle", "name", "reach", "reply_to", "a"]), ODD, max_size=1)


@st.composite
def nearly_usual(draw: st.DrawFn) -> object:
    """An event as most are, perhaps with something odd about it."""
    plain: dict[str, Any] = {"channel": "chat"} | draw(
        st.fixed_dictionaries({"text": GOOD["text"], "customer": GOOD["customer"]}, optional=GOOD_TOO)
    )
    within = draw(st.sampled_from(["customer", "conversation", "attributes"]))
    if within in plain:
        plain[within] = plain[within] | draw(ODD_PARTS)
    return plain | draw(ODD_FIELDS)


@given(JSON | NEARLY | nearly_usual() | nearly_usual(), st.booleans())
def test_what_is_read_at_once_is_what_each_field_says(plain: object, company_ids: bool) -> None:
    for tenant in ("acme", None):
        at_once, each = (
            how(plain, tenant=tenant, received_at=NOW, max_text_bytes=1000, company_ids=company_ids)
            for how in (read_event, read_each_field)
        )
        assert at_once == each


@given(JSON | NEARLY)
def test_any_json_gives_an_event_or_errors_that_point_into_it(plain: object) -> None:
    found = read(plain)
    assert (found.event is None) == bool(found.errors)
    assert len(found.errors) <= MAX_ERRORS
    assert all(
        pointer == "" or pointer.startswith("/") for pointer in (*found.ignored, *(e.pointer for e in found.errors))
    )
    if found.event is not None:
        assert found.event.occurred_at.tzinfo is UTC
        assert found.event.customer.id or found.event.customer.handle
        assert found.event.text or found.event.payload is not None
        assert "\0" not in found.event.text + found.event.customer.id + found.event.source_id


def test_the_full_form_is_read() -> None:
    found = right(PLAIN)
    assert (found.source, found.source_id, found.kind, found.language) == ("mastodon", "tweet-841", "message", "es")
    assert found.customer == domain.Customer("c-42", "@ana", "Ana", 1200)
    assert found.conversation == domain.Conversation("conv-9", "tweet-840")
    assert found.occurred_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert found.occurred_at_defaulted is False
    assert found.attributes == PLAIN["attributes"]


def test_what_is_left_out_has_the_defaults_that_the_interface_promises() -> None:
    found = right({"channel": "web", "customer": {"handle": "@ana"}, "text": "hi"})
    assert (found.source, found.source_id, found.kind) == ("api", "", EventKind.MESSAGE)
    assert (found.audience, found.direction) == (Audience.CUSTOMER, Direction.INBOUND)
    assert (found.occurred_at, found.occurred_at_defaulted) == (NOW, True)


def test_null_is_the_same_as_absent() -> None:
    nothing = dict.fromkeys(EVENT_FIELDS - {"channel", "customer", "text", "tenant"})
    assert right({**nothing, **event()}) == right(event())


@pytest.mark.parametrize(
    ("fields", "pointer", "words"),
    [
        ({"channel": None}, "/channel", "required"),
        ({"channel": "fax"}, "/channel", "one of social, email"),
        ({"channel": 3}, "/channel", "one of"),
        ({"text": None}, "/text", "required"),
        ({"text": "  \n"}, "/text", "required"),
        ({"text": ["a"]}, "/text", "string"),
        ({"text": "x" * 1001}, "/text", "at most 1000 bytes"),
        ({"text": "é" * 501}, "/text", "at most 1000 bytes"),
        ({"customer": None}, "/customer", "required"),
        ({"customer": "ana"}, "/customer", "object"),
        ({"customer": {}}, "/customer", "id or a handle"),
        ({"customer": {"id": "a\0b"}}, "/customer/id", "control"),
        ({"customer": {"id": "a\x1fb"}}, "/customer/id", "control"),
        ({"customer": {"id": "x" * 256}}, "/customer/id", "at most 255"),
        ({"customer": {"id": 7}}, "/customer/id", "string"),
        ({"customer": {"id": "a", "reach": -1}}, "/customer/reach", "whole number"),
        ({"customer": {"id": "a", "reach": True}}, "/customer/reach", "whole number"),
        ({"id": "a\nb"}, "/id", "control"),
        ({"source": "my source"}, "/source", "white space"),
        ({"source": "voz"}, "/source", "Voz itself"),
        ({"kind": "survey"}, "/survey", "required for kind survey"),
        ({"kind": "rumour"}, "/kind", "one of"),
        ({"kind": "message", "ticket": {"id": "1", "status": "new"}}, "/kind", "does not agree"),
        ({"profile": {}, "ticket": {"id": "1", "status": "new"}}, "/profile", "one payload"),
        ({"audience": "robot"}, "/audience", "one of customer, employee"),
        ({"direction": "sideways"}, "/direction", "one of"),
        ({"language": "spanish"}, "/language", "language tag"),
        ({"occurred_at": "yesterday"}, "/occurred_at", "RFC 3339"),
        ({"occurred_at": "2026-11-20T10:00:00"}, "/occurred_at", "offset"),
        ({"occurred_at": 1763632800}, "/occurred_at", "RFC 3339"),
        ({"occurred_at": "1989-12-31T23:59:59Z"}, "/occurred_at", "before 1990"),
        ({"occurred_at": "0001-01-01T00:00:00+23:59"}, "/occurred_at", "before 1990"),
        ({"occurred_at": "2026-11-21T12:00:01Z"}, "/occurred_at", "future"),
        ({"occurred_at": "9999-12-31T23:59:59-23:59"}, "/occurred_at", "future"),
        ({"attributes": {"a": {}}}, "/attributes/a", "string, a number or a boolean"),
        ({"attributes": {"a/b~c": []}}, "/attributes/a~1b~0c", "string"),
        ({"attributes": {"": "x"}}, "/attributes/", "1 to 64"),
        ({"attributes": {"a": "x" * 1001}}, "/attributes/a", "at most 1000"),
        ({"attributes": {str(n): "x" for n in range(65)}}, "/attributes", "at most 64"),
        ({"attributes": [1]}, "/attributes", "object"),
        ({"conversation": {"id": "\x07"}}, "/conversation/id", "control"),
        ({"tenant": "other"}, "/tenant", "not the tenant of this key"),
    ],
)
def test_what_is_wrong_is_named_by_a_pointer(fields: dict[str, Any], pointer: str, words: str) -> None:
    errors = wrong({**event(), **fields})
    assert list(errors) == [pointer]
    assert words in errors[pointer]


@pytest.mark.parametrize(
    ("payload", "pointer", "words"),
    [
        ({"survey": {"metric": "nps"}}, "/survey/score", "required"),
        ({"survey": {"score": 3}}, "/survey/metric", "required"),
        ({"survey": {"metric": "stars", "score": 3}}, "/survey/metric", "nps, csat, ces"),
        ({"survey": {"metric": "nps", "score": 11}}, "/survey/score", "0 to 10"),
        ({"survey": {"metric": "csat", "score": 0}}, "/survey/score", "1 to 5"),
        ({"survey": {"metric": "ces", "score": 7.5}}, "/survey/score", "1 to 7"),
        ({"survey": {"metric": "nps", "score": "9"}}, "/survey/score", "number"),
        ({"survey": {"metric": "nps", "score": True}}, "/survey/score", "number"),
        ({"survey": {"metric": "nps", "score": 3, "scale": {"min": 5}}}, "/survey/scale", "both"),
        ({"survey": {"metric": "nps", "score": 3, "scale": {"min": 5, "max": 5}}}, "/survey/scale", "below"),
        ({"survey": {"metric": "nps", "score": 3, "scale": "0-10"}}, "/survey/scale", "object"),
        ({"survey": {"metric": "nps", "score": 3, "comment": "x" * 1001}}, "/survey/comment", "bytes"),
        ({"survey": 9}, "/survey", "object"),
        ({"transaction": {}}, "/transaction/type", "required"),
        ({"transaction": {"type": "theft"}}, "/transaction/type", "order_placed"),
        ({"transaction": {"type": "refund", "amount": "1,5", "currency": "EUR"}}, "/transaction/amount", "decimal"),
        ({"transaction": {"type": "refund", "amount": 1e30, "currency": "EUR"}}, "/transaction/amount", "decimal"),
        ({"transaction": {"type": "refund", "amount": "5"}}, "/transaction/currency", "required"),
        ({"transaction": {"type": "refund", "amount": "5", "currency": "euro"}}, "/transaction/currency", "ISO 4217"),
        ({"subscription": {"plan": "a"}}, "/subscription/status", "required"),
        ({"behaviour": {}}, "/behaviour/type", "required"),
        ({"behaviour": {"type": "click", "x": "left"}}, "/behaviour/x", "number"),
        ({"behaviour": {"type": "click", "viewport": {"width": -1}}}, "/behaviour/viewport/width", "whole number"),
        ({"ticket": {"status": "new"}}, "/ticket/id", "required"),
        ({"ticket": {"id": "1"}}, "/ticket/status", "required"),
        ({"profile": {"age": [3]}}, "/profile/age", "string"),
    ],
)
def test_what_is_wrong_in_a_payload_is_named_too(payload: dict[str, Any], pointer: str, words: str) -> None:
    errors = wrong(event(text=None, **payload))
    assert list(errors) == [pointer]
    assert words in errors[pointer]


def test_every_error_of_an_event_is_named() -> None:
    assert set(wrong({"channel": "fax", "occurred_at": "x"})) == {"/channel", "/text", "/customer", "/occurred_at"}


def test_unknown_fields_are_kept_out_and_named() -> None:
    found = read(event(foo=1, customer={"id": "c", "a/b": 2}, survey={"metric": "nps", "score": 1, "x": {"y": 1}}))
    assert found.event is not None
    assert set(found.ignored) == {"/foo", "/customer/a~1b", "/survey/x"}


def test_control_characters_are_taken_out_of_texts_and_line_breaks_kept() -> None:
    found = right(event(text="a\0b\x1b[1m\tc\r\nd\x85e", customer={"id": "c", "name": "An\0a\n"}))
    assert found.text == "ab[1m\tc\r\nde"
    assert found.customer.name == "Ana"


def test_what_no_encoding_has_is_taken_out_of_texts_and_refused_in_ids() -> None:
    mended = right(event(text="a\ud800b" * 100, attributes={"a": "\udfff"}, customer={"id": "c", "name": "A\udc00na"}))
    assert (mended.text, mended.attributes, mended.customer.name) == ("ab" * 100, {"a": ""}, "Ana")
    found = wrong(event(id="\ud800", customer={"id": "\udfff"}, attributes={"\ud800": "x"}))
    assert found.keys() == {"/id", "/customer/id", "/attributes/\ud800"}


def test_emoji_and_scripts_with_joiners_stay_as_they_are() -> None:
    assert right(event(text="👩‍👩‍👧 नमस्ते 🏳️‍🌈")).text == "👩‍👩‍👧 नमस्ते 🏳️‍🌈"


OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1990, 1, 2), datetime(2026, 11, 20), timezones=OFFSETS))  # noqa: DTZ001
def test_a_time_of_any_offset_is_the_same_moment_in_utc(moment: datetime) -> None:
    assert right(event(occurred_at=moment.isoformat())).occurred_at == moment


def test_a_day_ahead_is_the_last_moment_that_is_taken() -> None:
    assert right(event(occurred_at="2026-11-21T12:00:00Z")).occurred_at == NOW + timedelta(days=1)
    assert right(event(occurred_at="1990-01-01t00:00:00.123456789z")).occurred_at.year == 1990


@pytest.mark.parametrize(("metric", "low", "high"), [("nps", 0, 10), ("csat", 1, 5), ("ces", 1, 7)])
def test_a_survey_has_its_metrics_scale_unless_it_names_another(metric: str, low: int, high: int) -> None:
    found = right(event(text=None, survey={"metric": metric, "score": high}))
    assert isinstance(found.payload, Survey)
    assert found.payload.scale == Scale(low, high, inverted=False) == DEFAULT_SCALES[SurveyMetric(metric)]
    named = {"metric": metric, "score": 99, "scale": {"min": 0, "max": 100, "inverted": True}}
    found = right(event(text=None, survey=named))
    assert isinstance(found.payload, Survey)
    assert found.payload.scale == Scale(0, 100, inverted=True)
    assert found.kind == EventKind.SURVEY


def test_an_inverted_scale_may_keep_the_default_ends() -> None:
    found = right(event(survey={"metric": "ces", "score": 7, "scale": {"inverted": True}}))
    assert isinstance(found.payload, Survey)
    assert found.payload.scale == Scale(1, 7, inverted=True)


@pytest.mark.parametrize(
    ("said", "kept"), [("39.90", "39.90"), (39.9, "39.9"), (5, "5"), (1e-6, "0.000001"), ("-3", "-3")]
)
def test_money_is_a_decimal(said: object, kept: str) -> None:
    found = right(event(text=None, transaction={"type": "refund", "amount": said, "currency": "EUR"}))
    assert isinstance(found.payload, domain.Transaction)
    assert found.payload.amount == kept


def test_attributes_are_texts() -> None:
    said = {"n": 12, "x": 1.5, "yes": True, "none": None, "t": "a\0b"}
    assert right(event(attributes=said)).attributes == {"n": "12", "x": "1.5", "yes": "true", "t": "ab"}


@pytest.mark.parametrize(("tag", "kept"), [("es", "es"), ("pt-BR", "pt"), ("DE", "de"), ("zh_Hans_CN", "zh")])
def test_a_language_is_its_primary_subtag(tag: str, kept: str) -> None:
    assert right(event(language=tag)).language == kept


def test_a_tenant_may_be_named_if_it_is_the_keys() -> None:
    found = read(event(tenant="acme"))
    assert found.event is not None
    assert found.ignored == ()


def test_an_event_that_is_no_object_is_wrong_as_a_whole() -> None:
    assert read([1]).errors == (FieldError("", "an event must be an object"),)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (domain.Channel, labels.Channel),
        (domain.EventKind, labels.EventKind),
        (domain.Audience, labels.Audience),
        (domain.Direction, labels.Direction),
        (domain.SurveyMetric, pb.SurveyMetric),
        (domain.TransactionType, pb.TransactionType),
        (domain.SubscriptionStatus, pb.SubscriptionStatus),
        (domain.TicketStatus, pb.TicketStatus),
    ],
)
def test_words_are_those_of_the_contract(ours: Any, theirs: Any) -> None:
    assert tuple(ours) == vocabulary(theirs)
