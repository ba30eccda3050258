"""Identities: written alike, named by events, and as groups with one key."""

from __future__ import annotations

from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ingest.cases import NOW
from tests.unit.ingest.fakes import event

from voz_ingest.adapters.outbound.identity_map import own_key
from voz_ingest.domain.event import Customer, CustomerEvent
from voz_ingest.domain.groups import MAX_GROUP, Apart, Member, Verdict, join, judge, part
from voz_ingest.domain.identities import Identity, claimed, identity, known_as, parse
from voz_ingest.domain.pseudonyms import pseudonym, pseudonymise
from voz_ingest.domain.reading import read_event


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("company:c-42", Identity("company", "c-42")),
        ("mastodon:@ana@mastodon.social", Identity("mastodon", "@ana@mastodon.social")),
        ("email: Ana@Example.COM ", Identity("email", "ana@example.com")),
        ("phone:+34 600-111 222", Identity("phone", "34600111222")),
        ("phone:0034600111222", Identity("phone", "34600111222")),
        ("zendesk:12:34", Identity("zendesk", "12:34")),
        (f"email:{pseudonym(b'k', 'ana@example.com')}", Identity("email", pseudonym(b"k", "ana@example.com"))),
    ],
)
def test_one_name_is_always_written_alike(written: str, read: Identity) -> None:
    assert parse(written) == read
    assert parse(str(read)) == read


@pytest.mark.parametrize(
    "written",
    ["", "ana", ":x", "a b:x", "email:ana", "phone:ana", "phone:12", "x:", "x: ", "x:a\0b", f"x:{'v' * 256}"],
)
def test_what_is_no_identity_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(written)


@given(st.text(), st.text())
def test_any_text_is_an_identity_or_refused(space: str, value: str) -> None:
    try:
        made = identity(space, value)
    except ValueError:
        return
    assert identity(*made) == made
    assert parse(str(made)) == made


def names(source: str, *, ids_are_numbers: bool = False, **customer: Any) -> list[str]:
    given: dict[str, Any] = {"id": "", "handle": "", "name": "", "reach": 0, "company_id": False} | customer
    return [str(each) for each in known_as(source, Customer(**given), ids_are_numbers=ids_are_numbers)]


def test_an_events_customer_is_known_by_what_the_payload_itself_names() -> None:
    assert names("api", id="c-42", handle="ana@example.com", company_id=True) == ["company:c-42"]
    assert names("mastodon", id="109", handle="@ana") == ["mastodon:109", "mastodon:@ana"]
    assert names("mailgun", handle="Ana@Example.com") == ["mailgun:Ana@Example.com", "email:ana@example.com"]
    assert names("twilio", handle="+34600111222") == ["twilio:+34600111222", "phone:34600111222"]
    assert names("whatsapp", id="34600111222", ids_are_numbers=True) == ["whatsapp:34600111222", "phone:34600111222"]
    assert names("telegram", id="34600111222") == ["telegram:34600111222"], "a number is not always a telephone's"
    assert names("zendesk", id="7", handle="ana@example.com") == ["zendesk:7", "zendesk:ana@example.com"]
    assert names("x", handle="unknown") == []
    assert names("x", id="7", handle="unknown") == ["x:7"]
    hidden = pseudonym(b"k", "ana@example.com")
    assert names("mailgun", handle=hidden) == [f"mailgun:{hidden}", f"email:{hidden}", f"phone:{hidden}"]


def read(company_ids: bool = True, **fields: Any) -> CustomerEvent:
    found = read_event(
        event(text=None, **fields), tenant=None, received_at=NOW, max_text_bytes=1000, company_ids=company_ids
    )
    assert found.event is not None, found.errors
    return found.event


def test_a_profile_event_claims_what_it_names() -> None:
    said = read(
        customer={"id": "c-1"},
        profile={"plan": "gold", "id.email": "Ana@example.com", "id.web": "v-1", "id.previous_phone": "+34600111222"},
    )
    assert [str(each) for each in claimed(said)] == ["company:c-1", "email:ana@example.com", "web:v-1"]
    own = read(False, source="segment", customer={"id": "a-1"}, profile={"id.segment": "a-1", "id.company": "c-1"})
    assert [str(each) for each in claimed(own)] == ["segment:a-1", "company:c-1"]


@pytest.mark.parametrize(
    "fields",
    [
        {"profile": {"plan": "gold"}},
        {"profile": {"id.email": "none", "id.": "x", "id.phone": "?"}},
        {"profile": {"id.company": "c-1"}},
        {"profile": {"id.email": "ana@example.com"}, "customer": {"handle": "unknown"}},
        {"behaviour": {"type": "click"}},
    ],
)
def test_what_names_nobody_else_claims_nothing(fields: dict[str, Any]) -> None:
    assert claimed(read(**fields)) == ()


def test_hidden_names_still_find_each_other() -> None:
    linked = read(customer={"id": "c-1"}, profile={"id.email": "ana@example.com", "id.company": "c-1"})
    said = pseudonymise(linked, b"key")
    (_, email) = claimed(said)
    mail = pseudonymise(
        read(False, source="mailgun", customer={"handle": "ana@example.com"}, profile={"a": "b"}), b"key"
    )
    assert email in known_as(mail.source, mail.customer, ids_are_numbers=False)


def member(name: str, ordinal: int, group: int | None = None, through: str = "") -> Member:
    who = parse(name)
    return Member(who, own_key("acme", who), ordinal, group, through=parse(through) if through else None)


COMPANY, EMAIL, TOOT = member("company:c-1", 3), member("email:a@b.cc", 2), member("mastodon:@a", 1)


def test_the_companys_key_holds_else_the_oldest() -> None:
    for members in permutations([COMPANY, EMAIL, TOOT]):
        assert {each.in_force for each in join(members, 1)} == {COMPANY.key}
    for pair in permutations([EMAIL, TOOT]):
        assert {each.in_force for each in join(pair, 1)} == {TOOT.key}


def test_whoever_leaves_has_their_own_key_again() -> None:
    after, apart = part(join([COMPANY, EMAIL, TOOT], 1), [COMPANY.identity])
    keys = {each.identity: (each.in_force, each.group) for each in after}
    assert keys[COMPANY.identity] == (COMPANY.key, None)
    assert keys[EMAIL.identity] == keys[TOOT.identity] == (TOOT.key, 1)
    assert apart == {(COMPANY.identity, EMAIL.identity), (COMPANY.identity, TOOT.identity)}
    after, _ = part(join([EMAIL, TOOT], 1), [TOOT.identity])
    assert all(each.group is None and each.in_force == each.key for each in after)


def test_what_was_learned_leaves_with_what_it_was_learned_through() -> None:
    learned = member("mailgun:a@b.cc", 4, through="email:a@b.cc")
    after, apart = part(join([COMPANY, EMAIL, learned], 1), [EMAIL.identity])
    assert all(each.group is None for each in after)
    assert apart == {
        (COMPANY.identity, EMAIL.identity),
        (COMPANY.identity, learned.identity),
    }, "the address and who writes from it are not parted from each other"


def test_what_an_event_says_joins_no_two_customers_of_the_company() -> None:
    shared, other = member("web:v-1", 5), member("company:c-2", 6)
    assert judge([COMPANY, shared], [], by_hand=False) is Verdict.LINKED
    together = join([COMPANY, shared], 1)
    assert judge([*together, other], [], by_hand=False) is Verdict.TWO_COMPANY_IDS
    assert judge([*together, other], [], by_hand=True) is Verdict.LINKED
    assert judge([*join([*together, other], 1), EMAIL], [], by_hand=False) is Verdict.LINKED, "a person has said so"


def test_what_a_person_has_parted_only_a_person_joins() -> None:
    pair: Apart = (EMAIL.identity, TOOT.identity)
    assert judge([EMAIL, TOOT], [pair], by_hand=False) is Verdict.APART
    assert judge([EMAIL, TOOT], [pair], by_hand=True) is Verdict.LINKED
    assert judge(join([EMAIL, TOOT], 1), [], by_hand=False) is Verdict.KNOWN


def test_a_crowd_is_no_person() -> None:
    crowd = [member(f"x:{number}", number) for number in range(MAX_GROUP + 1)]
    assert judge(crowd, [], by_hand=True) is Verdict.TOO_MANY
    assert judge(crowd[1:], [], by_hand=False) is Verdict.LINKED


def test_own_keys_are_those_that_events_have() -> None:
    assert own_key("acme", parse("company:c-42")) == UUID("8271a65e-9d9f-545e-bd0f-66b84bbc0000")
