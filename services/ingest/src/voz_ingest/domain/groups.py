"""Identities of one person as a group, with one customer key: what joining and parting make of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from voz_ingest.domain.identities import COMPANY, Identity

MAX_GROUP = 100
"""Identities of one person at most: an address that more share names nobody in particular."""
# A pair of identities that a person has parted, in order.
Apart = tuple[Identity, Identity]


class Verdict(StrEnum):
    """What became of a claim that some identities are one person."""

    LINKED = "linked"
    KNOWN = "known"
    APART = "apart"
    """A person has parted two of them."""
    TWO_COMPANY_IDS = "two_company_ids"
    """The company itself tells them apart."""
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Member:
    """One identity. `key` is its own, `customer_key` the one in force; by itself (`group` None) they are the same.

    `ordinal`: the older the smaller. `through`: the member that it was known by when it was learned from an event, and
    with which it leaves; None where somebody has said it.
    """

    identity: Identity
    key: UUID
    ordinal: int
    group: int | None = None
    customer_key: UUID | None = None
    through: Identity | None = None

    @property
    def in_force(self) -> UUID:
        """The key that its events have."""
        return self.customer_key or self.key


def judge(members: Collection[Member], apart: Collection[Apart], *, by_hand: bool) -> Verdict:
    """Whether these may be one person. `members` are the claimed ones with all of their groups, `apart` the pairs among
    them that a person has parted. A person may say anything, but not make a crowd one."""
    groups = {member.group or member.identity for member in members}
    if len(groups) == 1 and len(members) > 1:
        return Verdict.KNOWN
    if len(members) > MAX_GROUP:
        return Verdict.TOO_MANY
    if by_hand:
        return Verdict.LINKED
    if apart:
        return Verdict.APART
    with_company = {member.group or member.identity for member in members if member.identity.space == COMPANY}
    return Verdict.TWO_COMPANY_IDS if len(with_company) > 1 else Verdict.LINKED


def join(members: Iterable[Member], group: int) -> list[Member]:
    """All of them one person."""
    members = list(members)
    key = _key_of(members)
    return [replace(member, group=group, customer_key=key) for member in members]


def part(members: Iterable[Member], leaving: Collection[Identity]) -> tuple[list[Member], set[Apart]]:
    """The members of one group after these have left it, each with its own key again, along with those that were only
    known through them; and the pairs that are apart from now on."""
    members, gone = list(members), set(leaving)
    while more := {each.identity for each in members if each.through in gone} - gone:
        gone |= more
    out = [each for each in members if each.identity in gone]
    stay = [each for each in members if each.identity not in gone]
    if len(stay) > 1:
        key = _key_of(stay)
        stay = [replace(each, customer_key=key) for each in stay]
    else:
        stay = [_by_itself(each) for each in stay]
    return [*stay, *map(_by_itself, out)], _pairs(out, members)


def _by_itself(member: Member) -> Member:
    return replace(member, group=None, customer_key=None, through=None)


def _pairs(out: Collection[Member], members: Collection[Member]) -> set[Apart]:
    return {
        (min(one.identity, other.identity), max(one.identity, other.identity))
        for one in out
        for other in members
        if one != other and one.identity not in (other.through, other.identity) and one.through != other.identity
    }


def _key_of(members: Collection[Member]) -> UUID:
    """The key of the company's id when there is one, else of the oldest member: it stays when others come."""
    company = [member for member in members if member.identity.space == COMPANY]
    return min(company or members, key=lambda member: member.ordinal).key
