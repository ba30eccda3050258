"""Handles under a tenant's key: the same for the same person, nothing of them left to read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ingest.cases import NOW
from tests.unit.ingest.fakes import event

from voz_ingest.adapters.inbound.sources import Payload, load
from voz_ingest.domain.event import CustomerEvent, Profile, Survey
from voz_ingest.domain.pseudonyms import pseudonym, pseudonymise
from voz_ingest.domain.reading import read_event

KEY = b"a tenant's own key"


def read(company_ids: bool = True, **fields: Any) -> CustomerEvent:
    reading = read_event(event(**fields), tenant=None, received_at=NOW, max_text_bytes=1000, company_ids=company_ids)
    assert reading.event is not None
    return reading.event


def test_nothing_of_the_customer_is_left_to_read() -> None:
    said = read(
        company_ids=False,
        customer={"id": "34600111222", "handle": "@ana", "name": "Ana Gil", "reach": 7},
        text="Soy Ana Gil (@ana), escribidme a ana",
    )
    hidden = pseudonymise(said, KEY)
    assert hidden.customer.reach == 7
    assert hidden.customer.id == pseudonym(KEY, "34600111222")
    assert hidden.customer.handle == pseudonym(KEY, "@ana")
    for name in ("34600111222", "ana", "Ana", "Gil"):
        assert name not in repr(hidden.customer) + hidden.text
    assert hidden.text.startswith("Soy p-")


def test_the_companys_own_id_stays_and_links_are_hidden() -> None:
    linked = {
        "plan": "gold",
        "email": "ana@example.com",
        "first_name": "Ana",
        "id.email": "ana@example.com",
        "id.company": "c-1",
    }
    said = read(customer={"id": "c-1", "handle": "ana@example.com"}, text=None, profile=linked)
    hidden = pseudonymise(said, KEY)
    assert hidden.customer.id == "c-1"
    assert hidden.payload == Profile(
        {"plan": "gold", "id.email": pseudonym(KEY, "ana@example.com"), "id.company": "c-1"}
    )
    assert hidden.customer.handle == pseudonym(KEY, "ana@example.com"), "so that the link finds them"


def test_what_a_customer_adds_to_an_answer_is_hidden_too() -> None:
    said = read(text=None, customer={"handle": "@ana"}, survey={"metric": "nps", "score": 9, "comment": "soy @ana"})
    payload = pseudonymise(said, KEY).payload
    assert isinstance(payload, Survey)
    assert "ana" not in payload.comment


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_same_person_is_the_same_and_another_another(one: str, other: str) -> None:
    assert (pseudonym(KEY, one) == pseudonym(KEY, other)) == (one == other)
    assert pseudonym(KEY, one) != pseudonym(b"another tenant's", one)


@pytest.mark.parametrize("company_ids", [True, False])
def test_a_sources_own_id_is_another_person_than_the_companys(company_ids: bool) -> None:
    customer = read(company_ids, customer={"id": "42", "handle": "@ana"}).customer
    assert customer.known_by == (("42", "@ana") if company_ids else ("", "42"))
    assert customer._replace(id="").known_by == ("", "@ana")


def test_two_accounts_at_one_source_keep_their_ids_apart() -> None:
    body = (
        b'{"id": "1", "channel": "chat", "customer": {"id": "7"}, "text": "x",'
        b' "conversation": {"id": "2", "reply_to": "3"}, "attributes": {"edit_of": "4", "plan": "5"}}'
    )
    (draft,) = load("api").drafts(Payload(body, options={"instance": "es", "customer_ids": "source"}))
    assert isinstance(draft.plain, dict)
    assert (draft.plain["id"], draft.plain["customer"]) == ("es/1", {"id": "es/7"})
    assert draft.plain["conversation"] == {"id": "es/2", "reply_to": "es/3"}
    assert draft.plain["attributes"] == {"edit_of": "es/4", "plan": "5"}
    (company,) = load("api").drafts(Payload(body, options={"instance": "es"}))
    assert isinstance(company.plain, dict)
    assert company.plain["customer"] == {"id": "7"}
