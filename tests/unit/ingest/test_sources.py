"""Every source against its fixtures, and the laws that hold for all of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.ingest.cases import NOW, Case, as_plain, cases, fixture, payload

from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.inbound.sources import Payload, PayloadError
from voz_ingest.domain.reading import read_event

PAYLOADS, SIGNATURES, CHALLENGES = cases("payloads"), cases("signatures"), cases("challenges")
OWN_FORM = {"api", "cloudevents"}
"""What these send is Voz's own plain form, which other tests look into."""
PAGES = Path(__file__).parents[3] / "docs" / "sources"
DEFAULTS = {"audience": "customer", "direction": "inbound", "kind": "message"}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner), max_leaves=12
)


def named(found: list[tuple[str, Case]]) -> list[Any]:
    return [pytest.param(source, case, id=f"{source}: {case['name']}") for source, case in found]


@pytest.mark.parametrize(("source", "case"), named(PAYLOADS))
def test_a_payload_becomes_what_its_fixture_says(source: str, case: Case) -> None:
    parse = sources.load(source).parse
    if "refused" in case:
        with pytest.raises(PayloadError, match=case["refused"]):
            parse(payload(case))
        return
    events = [as_plain(draft) for draft in parse(payload(case))]
    expected = [{"source": source, **DEFAULTS, **event} for event in case["events"]]
    assert events == [_without_nothing(event) for event in expected]


@pytest.mark.parametrize(("source", "case"), named(PAYLOADS))
def test_a_redelivery_is_the_same_event(source: str, case: Case) -> None:
    """Every event of a source has an id of the source's, and a second delivery the same ones."""
    if "refused" in case:
        return
    parse = sources.load(source).parse
    first, later = payload(case), replace(payload(case), received_at=NOW.replace(hour=23))
    ids = [as_plain(draft)["id"] for draft in parse(first)]
    assert ids == [as_plain(draft)["id"] for draft in parse(later)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("source", "case"), named(SIGNATURES))
def test_a_signature_is_what_its_fixture_says(source: str, case: Case) -> None:
    verify = sources.load(source).verify
    signed, secrets = payload(case), [*case["secrets"]]
    assert verify(signed, secrets) is case["valid"]
    if case["valid"]:
        assert verify(signed, ["bm90LXRoaXM=", *secrets]), "either secret is valid while one rotates"
        if case.get("covers_secrets", True):
            assert not verify(signed, ["bm90LXRoaXM="])
            assert not verify(signed, [])
        else:
            assert not verify(replace(signed, fetched={}), secrets)
        assert not verify(replace(signed, headers={}, query={}, body=b""), secrets)
        if case.get("covers_body", True):
            assert not verify(replace(signed, body=signed.body + b" "), secrets)


@pytest.mark.parametrize("source", [name for name in sources.names() if sources.load(name).signs])
def test_a_source_that_signs_has_a_valid_and_an_invalid_example(source: str) -> None:
    assert {case["valid"] for case in fixture(source)["signatures"]} == {True, False}


@pytest.mark.parametrize("source", sorted({*sources.names()} - OWN_FORM))
def test_a_source_has_its_fixture_with_the_usual_troubles(source: str) -> None:
    found = fixture(source)["payloads"]
    assert any(case.get("events") == [] for case in found), "one that is no event"
    assert any(case.get("events") for case in found)


@pytest.mark.parametrize(("source", "case"), named(CHALLENGES))
def test_a_challenge_is_answered_as_its_fixture_says(source: str, case: Case) -> None:
    challenge = sources.load(source).challenge
    assert challenge is not None
    asked = replace(payload(case), method="GET")
    if "refused" in case:
        with pytest.raises(PayloadError, match=case["refused"]):
            challenge(asked, case["secrets"])
    else:
        assert challenge(asked, case["secrets"]).body == case["reply"]


@pytest.mark.parametrize("source", sources.names())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(document=JSON)
def test_any_json_gives_events_or_a_clear_refusal(source: str, document: Any) -> None:
    _never_crashes(source, Payload(json.dumps(document).encode(), {"content-type": "application/json"}))


@pytest.mark.parametrize(("source", "case"), named(PAYLOADS))
def test_a_payload_with_something_missing_or_strange_gives_events_or_a_clear_refusal(source: str, case: Case) -> None:
    """Each value in turn left out, and replaced by values of every kind."""
    if "body" not in case and "form" not in case:
        return
    name = "body" if "body" in case else "form"
    for changed in _variations(case[name]):
        _never_crashes(source, payload({**case, name: changed}))


def _never_crashes(source: str, sent: Payload) -> None:
    found = sources.load(source)
    try:
        drafts = found.parse(sent)
    except PayloadError:
        drafts = []
    for draft in drafts:
        if not draft.errors:
            read_event(draft.plain, tenant=None, received_at=NOW, max_text_bytes=1000)
    assert found.verify(sent, ["secret"]) in (True, False)
    if found.needs:
        found.needs(sent)
    if found.follow:
        found.follow(sent)
    if found.announced:
        found.announced(sent, ["secret"])


def _variations(document: Any) -> Iterator[Any]:
    strange: tuple[Any, ...] = (None, True, -1, 1e300, "", "x", [], [None], {}, {"id": []})
    for path in _paths(document):
        for value in (_variations, *strange):
            changed = copy.deepcopy(document)
            inner = changed
            for step in path[:-1]:
                inner = inner[step]
            if value is _variations:
                del inner[path[-1]]
            else:
                inner[path[-1]] = value
            yield changed


def _paths(document: Any) -> Iterator[list[Any]]:
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for step, value in items:
        yield [step]
        yield from ([step, *rest] for rest in _paths(value))


def _without_nothing(event: dict[str, Any]) -> dict[str, Any]:
    """A fixture may say `occurred_at: null` to make clear that the receipt counts."""
    return {name: value for name, value in event.items() if value is not None}


@pytest.mark.parametrize("source", sources.names())
def test_a_source_has_its_page_and_its_line_in_the_index(source: str) -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    assert f"[{source}](" in index
    assert source in OWN_FORM or (PAGES / f"{source}.md").is_file()
