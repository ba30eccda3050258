"""Identities in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from voz_ingest.adapters.outbound.identity_map import own_key
from voz_ingest.domain.groups import Apart, Member, Verdict, join, judge, part
from voz_ingest.domain.identities import Identity
from voz_ingest.ports import Claim, IdentitiesUnavailableError, KeyChange, Person, Said


class MemoryIdentityStore:
    """IdentityStore in memory. `away`: it answers nothing. `told`: (change, key before), as it would be published."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0
        self.told: list[tuple[KeyChange, UUID]] = []
        self._members: dict[tuple[str, Identity], Member] = {}
        self._apart: dict[str, set[Apart]] = {}
        self._said: list[tuple[str, Said]] = []
        self._changes: dict[UUID, KeyChange] = {}
        self._number = 0

    async def link(self, tenant: str, claims: Sequence[Claim]) -> list[Verdict]:
        """See IdentityStore."""
        self._ask()
        return [self._link(tenant, claim) for claim in claims]

    async def unlink(self, tenant: str, identities: Sequence[Identity], said_by: str, note: str = "") -> None:
        """See IdentityStore."""
        self._ask()
        grouped = [each for each in self._with_groups(tenant, identities) if each.group is not None]
        leaving = [each.identity for each in grouped if each.identity in identities]
        for group in sorted({each.group for each in grouped if each.group is not None}):
            after, apart = part([each for each in grouped if each.group == group], leaving)
            self._save(tenant, after)
            self._apart.setdefault(tenant, set()).update(apart)
        if leaving:
            self._said.append((tenant, Said(datetime.now(UTC), said_by, False, tuple(leaving), note)))

    async def person(self, tenant: str, identity: Identity) -> Person:
        """See IdentityStore."""
        self._ask()
        members = self._with_groups(tenant, [identity])
        if not members:
            return Person(own_key(tenant, identity), (Member(identity, own_key(tenant, identity), 0),), ())
        names = {each.identity for each in members}
        said = tuple(said for whose, said in self._said if whose == tenant and names & set(said.identities))
        return Person(members[0].in_force, tuple(members), said)

    async def changes(self, after: int, limit: int) -> list[KeyChange]:
        """See IdentityStore."""
        self._ask()
        return sorted(each for each in self._changes.values() if each.number > after)[:limit]

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise IdentitiesUnavailableError("It is away.")

    def _link(self, tenant: str, claim: Claim) -> Verdict:
        named = list(dict.fromkeys(claim.identities))
        members = self._with_groups(tenant, named)
        known = {each.identity for each in members}
        for each in named:
            if each not in known:
                through = claim.through if each == named[0] else None
                members.append(Member(each, own_key(tenant, each), len(self._members) + len(members), through=through))
        apart = {pair for pair in self._apart.get(tenant, ()) if set(pair) <= {member.identity for member in members}}
        verdict = judge(members, apart, by_hand=claim.by_hand)
        if verdict is Verdict.LINKED:
            self._number += 1
            group = min((each.group for each in members if each.group), default=self._number)
            self._save(tenant, join(members, group))
            self._apart.setdefault(tenant, set()).difference_update(apart)
            self._said.append((tenant, Said(datetime.now(UTC), claim.said_by, True, tuple(named), claim.note)))
        if verdict is Verdict.KNOWN and claim.through is None:
            self._save(tenant, [replace(each, through=None) for each in members if each.identity in named])
        return verdict

    def _with_groups(self, tenant: str, identities: Iterable[Identity]) -> list[Member]:
        found = [self._members[tenant, each] for each in identities if (tenant, each) in self._members]
        groups = {each.group for each in found if each.group is not None}
        mine = [each for (whose, _), each in self._members.items() if whose == tenant]
        return sorted((each for each in mine if each in found or each.group in groups), key=lambda each: each.ordinal)

    def _save(self, tenant: str, members: Iterable[Member]) -> None:
        for each in sorted(members, key=lambda each: (each.in_force != each.key, each.ordinal)):
            before = self._members.get((tenant, each.identity))
            if before != each:
                self._number += 1
                change = KeyChange(self._number, each.key, each.in_force, each.group is not None)
                self._members[tenant, each.identity] = each
                self._changes[each.key] = change
                if change.customer_key != (before.in_force if before else each.key):
                    self.told.append((change, before.in_force if before else each.key))
