"""Edits and deletions: what they name, and which version is the newest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz.v1.customer_event_pb2 import Behaviour, CustomerEvent
from voz_contracts.identity import event_id
from voz_contracts.revisions import ORIGINAL, revision_of

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)


def event(source_id: str, at: datetime = AT, **more: Any) -> CustomerEvent:
    return CustomerEvent(
        id=event_id("acme", "mastodon", source_id),
        tenant="acme",
        source="mastodon",
        source_id=source_id,
        occurred_at=at,
        **more,
    )


def version(source_id: str, at: datetime = AT) -> str:
    found = revision_of(event(source_id, at, attributes={"edit_of": "7"}))
    assert found is not None
    return found.version


def test_both_name_the_original() -> None:
    edit = revision_of(event("7:edit:1", attributes={"edit_of": "7"}))
    deletion = revision_of(
        event("7:deleted", behaviour=Behaviour(type="message_deleted"), attributes={"deletion_of": "7"})
    )
    assert edit is not None
    assert deletion is not None
    assert edit.message_id == deletion.message_id == UUID(event_id("acme", "mastodon", "7"))
    assert (edit.deleted, deletion.deleted) == (False, True)


@pytest.mark.parametrize(
    "plain",
    [
        event("7"),
        event("7", attributes={"edit_of": "7"}),
        event("7", attributes={"deletion_of": "6"}),
        event("7", behaviour=Behaviour(type="message_deleted"), attributes={"edit_of": "6"}),
        event("7", behaviour=Behaviour(type="click"), attributes={"deletion_of": "6"}),
    ],
)
def test_what_names_nothing_speaks_of_itself(plain: CustomerEvent) -> None:
    assert revision_of(plain) is None


def test_the_last_edit_is_the_newest_and_numbers_tell_those_of_one_moment() -> None:
    in_order = [
        ORIGINAL,
        version("7:edit:99", AT - timedelta(days=1)),
        version("7:edit:2"),
        version("7:edit:009"),
        version("7:edit:10"),
        version("7:edit:1", AT + timedelta(microseconds=1)),
    ]
    assert all(one < other for one, other in pairwise(in_order))


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=5, unique=True))
def test_edits_of_one_moment_are_in_the_order_of_their_numbers(numbers: list[int]) -> None:
    assert sorted(numbers) == sorted(numbers, key=lambda number: version(f"a1:edit:{number}"))


@given(st.text(max_size=30), st.text(max_size=30))
def test_two_edits_are_never_the_same_version(one: str, other: str) -> None:
    assert (version(one) == version(other)) == (one == other)
