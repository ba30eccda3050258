"""Mappings: what is wrong with one is said with its place; conditions, paths and values mean what the page says."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from voz_ingest.adapters.inbound.formats.mapping import MappingError, compile_mapping
from voz_ingest.adapters.inbound.formats.plain_form import FIELDS, GROUPS, fitted, is_field
from voz_ingest.adapters.inbound.sources import mapped
from voz_ingest.domain import payloads, reading

NESTED = {
    "customer": reading.CUSTOMER_FIELDS,
    "conversation": reading.CONVERSATION_FIELDS,
    "survey": payloads.SURVEY_FIELDS,
    "survey.scale": payloads.SCALE_FIELDS,
    "transaction": payloads.TRANSACTION_FIELDS,
    "subscription": payloads.SUBSCRIPTION_FIELDS,
    "behaviour": payloads.BEHAVIOUR_FIELDS,
    "behaviour.viewport": payloads.VIEWPORT_FIELDS,
    "ticket": payloads.TICKET_FIELDS,
}


def first(written: str, document: Any) -> dict[str, Any]:
    return next(compile_mapping(yaml.safe_load(written)).events(document))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[]", "the mapping: must be an object"),
        ("{}", "the mapping: needs an `event`, or `rules` with one"),
        ("{event: {text: $.x}, rule: []}", "rule: isn't known here; known: events, when, event, rules"),
        ("{events: items, event: {text: $.x}}", "events: must be a JSONPath"),
        ("{events: '$.items[', event: {text: $.x}}", "events: can't be read: "),
        ("{event: [1]}", "event: must be an object"),
        ("{event: {txt: $.x}}", "event.txt: is no field of the plain form"),
        ("{event: {tenant: $.x}}", "event.tenant: is no field of the plain form"),
        ("{event: {customer: {email: $.x}}}", "event.customer.email: is no field"),
        ("{event: {customer.email: $.x}}", "event.customer.email: is no field"),
        ("{event: {customer: $.x}}", "event.customer: is no field"),
        ("{event: {survey: {scale: {low: 1}}}}", "event.survey.scale.low: is no field"),
        ("{event: {text: '$.x['}}", "event.text: can't be read: "),
        ("{event: {text: {path: [$.x, '$..']}}}", "event.text.path: can't be read: "),
        ("{event: {text: {path: x}}}", "event.text.path: must be a JSONPath that begins with $ or $$"),
        ("{event: {text: []}}", "event.text: must name a path"),
        ("{event: {text: {}}}", "event.text: needs either `path` or `value`"),
        ("{event: {text: {path: $.x, value: y}}}", "event.text: needs either `path` or `value`"),
        ("{event: {text: {path: $.x, htm: true}}}", "event.text.htm: isn't known here"),
        ("{event: {text: {path: $.x, html: 1}}}", "event.text.html: must be true or false"),
        ("{event: {text: {path: $.x, map: []}}}", "event.text.map: must be an object"),
        ("{event: {text: {path: $.x, join: 1}}}", "event.text.join: must be a string"),
        ("{event: {text: {path: $.x, format: x}}}", "event.text.format: must have one {}"),
        ("{event: {text: {path: $.x, format: 1}}}", "event.text.format: must be a string"),
        ("{event: {text: {path: $.x, divide: true}}}", "event.text.divide: must be a number"),
        ("{event: {text: {path: $.x, divide: 0}}}", "event.text.divide: must not be 0"),
        ("{event: {text: {path: $.x, zone: UTC}}}", "event.text.zone: belongs to a `time`"),
        ("{event: {occurred_at: {path: $.x, time: days}}}", "event.occurred_at.time: must be one of iso, seconds"),
        ("{event: {occurred_at: {path: $.x, zone: Mars}}}", "event.occurred_at.zone: must be a time zone"),
        ("{event: {occurred_at: {path: $.x, zone: 1}}}", "event.occurred_at.zone: must be a time zone"),
        ("{rules: {}}", "rules: must be a list"),
        ("{rules: []}", "the mapping: needs an `event`"),
        ("{rules: [1]}", "rules[0]: must be an object"),
        ("{rules: [{event: {text: a}}, {}]}", "rules[1]: needs an `event`"),
        ("{rules: [{then: 1}]}", "rules[0].then: isn't known here"),
        ("{rules: [{event: {txt: a}}]}", "rules[0].event.txt: is no field"),
        ("{rules: [{when: 1, event: {text: a}}]}", "rules[0].when: must be a condition"),
        ("{rules: [{when: $.a ==, event: {text: a}}]}", "rules[0].when: can't be read: "),
        ("{rules: [{when: '$.a[*] == 1', event: {text: a}}]}", "rules[0].when: can't be read: "),
        ("{when: $.x, rules: [{event: {text: a}}]}", "when: stands in the rules"),
        ("{event: {text: {value: {1: 2}}}, events: 1}", "events: must be a JSONPath"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(written: str, said: str) -> None:
    with pytest.raises(MappingError) as caught:
        compile_mapping(yaml.safe_load(written))
    assert str(caught.value).startswith(said)


def test_a_mapping_that_is_no_plain_yaml_is_refused() -> None:
    with pytest.raises(MappingError, match="plain YAML"):
        compile_mapping({"event": {"text": {1, 2}}})


@pytest.mark.parametrize(
    ("condition", "true"),
    [
        ("$.type == 'a'", True),
        ("$.type != 'a'", False),
        ("@.type == 'a'", True),
        ("$$.kind == '$.type'", True),
        ('$$.kind == "$$.x"', False),
        ("$.score >= 3 && ($.score < 4 || $.missing)", True),
        ("!$.missing", True),
        ("$.none == null", True),
        ("$.missing == null", False),
        ("$.tags[?@ == 'vip']", True),
        ("$.tags[?@ == $.type]", False),
        ("$.people[?@.name == $.type]", True),
        ("match($.type, '[ab]')", True),
        ("length($.tags) == 2", True),
        ("count($$.items[*]) > 1", False),
    ],
)
def test_a_condition_is_a_filter_of_rfc_9535(condition: str, true: bool) -> None:
    item = {"type": "a", "score": 3, "none": None, "tags": ["vip", "b"], "people": [{"name": "a"}]}
    mapping = compile_mapping({"events": "$.items[*]", "when": condition, "event": {"text": "x"}})
    assert [*mapping.events({"kind": "$.type", "items": [item]})] == ([{"text": "x"}] if true else [])


@pytest.mark.parametrize(
    ("said", "document", "value"),
    [
        ("as it stands", {}, "as it stands"),
        (7, {}, "7"),
        ({"value": "$5"}, {}, "$5"),
        ("$.a.b", {"a": {"b": " x "}}, " x "),
        ("$['a b']", {"a b": 12}, "12"),
        ("$.a", {"a": 1.0}, "1"),
        ("$.a", {"a": True}, "true"),
        ("$.a", {"a": None}, None),
        ("$.a", {"a": ""}, None),
        (["$.a", "$.b"], {"a": "", "b": "y"}, "y"),
        ("$.a[*]", {"a": [None, "x", "y"]}, "x"),
        ({"path": ["$.a", "$.b[*]"], "join": "-"}, {"a": 1, "b": ["x", {}, None, 2.5]}, "1-x-2.5"),
        ({"path": "$.a", "join": "-"}, {}, None),
        ({"path": "$.a", "join": "-", "default": "none"}, {}, "none"),
        ({"path": "$.a", "html": True}, {"a": "<p>x</p><p>y</p>"}, "x\n\ny"),
        ({"path": "$.a", "html": False}, {"a": "<p>x</p>"}, "<p>x</p>"),
        ({"path": "$.a", "html": True}, {"a": 1}, "1"),
        ({"path": "$.a", "divide": 100}, {"a": "1999"}, "19.99"),
        ({"path": "$.a", "divide": 100}, {"a": 100000}, "1000"),
        ({"path": "$.a", "divide": 3}, {"a": "many"}, "many"),
        ({"path": "$.a", "map": {"x": "y"}}, {"a": "x"}, "y"),
        ({"path": "$.a", "map": {"x": "y"}}, {"a": "z"}, None),
        ({"path": "$.a", "map": {"x": "y"}, "default": "z"}, {"a": "q"}, "z"),
        ({"path": "$.a", "map": {1: "y"}}, {"a": 1}, "y"),
        ({"path": "$.a", "map": {False: "y"}}, {"a": False}, "y"),
        ({"path": "$.a", "format": "n-{}"}, {"a": 5}, "n-5"),
    ],
)
def test_a_value_is_found_and_made_what_it_should_be(said: Any, document: Any, value: str | None) -> None:
    (event,) = compile_mapping({"event": {"text": said, "channel": "app"}}).events(document)
    assert event.get("text") == value


@pytest.mark.parametrize(
    ("said", "value", "moment"),
    [
        ("$.at", "2025-11-20T11:10:05+01:00", "2025-11-20T10:10:05Z"),
        ("$.at", "2025-11-20 10:10:05", "2025-11-20T10:10:05Z"),
        ({"path": "$.at", "zone": "Europe/Madrid"}, "2025-11-20 11:10:05", "2025-11-20T10:10:05Z"),
        ({"path": "$.at", "time": "seconds"}, "1763633405", "2025-11-20T10:10:05Z"),
        ({"path": "$.at", "time": "microseconds"}, 1763633405000000, "2025-11-20T10:10:05Z"),
        ({"path": "$.at", "time": "mail"}, "Thu, 20 Nov 2025 11:10:05 +0100", "2025-11-20T10:10:05Z"),
        ({"path": "$.at", "time": "%d.%m.%y %H:%M %z"}, "20.11.25 11:10 +0100", "2025-11-20T10:10:00Z"),
        ({"path": "$.at", "time": "%d.%m.%y"}, "soon", "soon"),
        ("$.at", 1763633405, 1763633405),
    ],
)
def test_a_time_is_read_as_declared_and_never_guessed(said: Any, value: Any, moment: Any) -> None:
    assert first(yaml.safe_dump({"event": {"occurred_at": said}}), {"at": value}) == {"occurred_at": moment}


def test_a_rule_adds_to_what_all_have_and_overrides_it() -> None:
    written = """
    event: {channel: web, attributes: {a: $.a, b: 2}}
    rules:
      - {when: $.a == 1, event: {attributes.b: $.b, text: one}}
      - {event: {channel: app}}
    """
    assert first(written, {"a": 1, "b": 9}) == {"channel": "web", "attributes": {"a": 1, "b": 9}, "text": "one"}
    assert first(written, {"a": 5}) == {"channel": "app", "attributes": {"a": 5, "b": 2}}


def test_a_document_that_is_nested_too_deeply_is_refused() -> None:
    document: Any = 1
    for _ in range(500):
        document = {"a": document}
    with pytest.raises(MappingError, match="nested too deeply"):
        first("{event: {text: $..b}}", document)


def test_the_fields_are_those_of_the_plain_form() -> None:
    single = {name for name in FIELDS if "." not in name}
    assert single == reading.EVENT_FIELDS - {"tenant", *GROUPS}
    for group, names in NESTED.items():
        inner = {name.removeprefix(f"{group}.") for name in FIELDS if name.startswith(f"{group}.")}
        assert {name.partition(".")[0] for name in inner} == names
    assert {*NESTED, "attributes", "profile"} == GROUPS


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("survey.score", " 4,5", " 4,5"),
        ("survey.score", "4.5", 4.5),
        ("survey.score", "1e3", "1e3"),
        ("customer.reach", "1200", 1200),
        ("customer.reach", "-1", "-1"),
        ("survey.scale.inverted", "Yes", True),
        ("survey.scale.inverted", "perhaps", "perhaps"),
        ("transaction.amount", " 3.90 ", "3.90"),
        ("customer.id", 42.0, "42"),
        ("customer.id", ["x"], ["x"]),
        ("attributes.rating", 4, 4),
    ],
)
def test_a_value_fits_its_field_where_that_is_clear(name: str, value: Any, fits: Any) -> None:
    assert is_field(name)
    assert fitted(name, value) == fits


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "a mapping is needed"),
        ({"mapping": {"event": {"x": 1}}}, "event.x"),
        ({"signature": 1}, "at least `header`"),
        ({"signature": {"algorithm": "sha1"}}, "at least `header`"),
        ({"signature": {"header": "X", "algorithm": "md5"}}, "signature.algorithm"),
        ({"signature": {"header": "X", "encoding": "binary"}}, "signature.encoding"),
        ({"signature": {"header": "X", "secret": "y"}}, "signature.secret"),
        ({"signature": {"header": "X", "prefix": 1}}, "signature.prefix"),
        ({"signature": {"header": "X", "signed": "{timestamp}"}}, "signature.signed"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], said: str) -> None:
    usable = {} if options == {} else {"mapping": {"event": {"text": "x"}}}
    with pytest.raises(ValueError, match=said):
        mapped.check({**usable, **options})


def test_options_that_can_be_used_are_taken() -> None:
    signature = {"header": "X", "algorithm": "sha1", "encoding": "base64", "prefix": "sha1=", "signed": "{body}"}
    mapped.check({"mapping": {"event": {"text": "x"}}, "signature": signature})
    mapped.check({"mapping": {"event": {"text": "x"}}, "signature": "standard_webhooks"})
    mapped.check({"mapping": {"event": {"text": "x"}}})
