"""Identities in PostgreSQL: PostgresIdentityStore."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, RowMapping, Text, cast, delete, insert, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voz_ingest.adapters.outbound.identity_events import published
from voz_ingest.adapters.outbound.identity_map import own_key
from voz_ingest.adapters.outbound.tables import identity as table
from voz_ingest.adapters.outbound.tables import identity_apart, identity_said, streamkit
from voz_ingest.domain.groups import Apart, Member, Verdict, join, judge, part
from voz_ingest.domain.identities import Identity, parse
from voz_ingest.ports import Claim, IdentitiesUnavailableError, KeyChange, Person, Said
from voz_streamkit.errors import is_transient
from voz_streamkit.outbox import enqueue

MAX_SAID: Final = 200
LOCK_NAMESPACE: Final = 0x766F7A69  # "vozi": keeps this advisory lock apart from anybody else's
_LOCK = text("select pg_advisory_xact_lock(:namespace, 0)")
# A number is the time in microseconds, unless that has gone back: it grows even when a database is set up anew.
_NEXT = text(
    "select greatest(coalesce(max(change), 0) + 1,"  # noqa: S608  # our own name
    f" (extract(epoch from clock_timestamp()) * 1000000)::bigint) from {table.fullname}"
)


class PostgresIdentityStore:
    """IdentityStore. One writes at a time, so that changes are numbered in the order of their commits; `committed` is
    called after each transaction that published something."""

    def __init__(self, engine: AsyncEngine, events_topic: str, committed: Callable[[], None]) -> None:
        self._engine, self._topic, self._committed = engine, events_topic, committed

    async def link(self, tenant: str, claims: Sequence[Claim]) -> list[Verdict]:
        """See IdentityStore."""
        async with self._writing(tenant) as writer:
            verdicts = [await writer.link(claim) for claim in claims]
        if Verdict.LINKED in verdicts:
            self._committed()
        return verdicts

    async def unlink(self, tenant: str, identities: Sequence[Identity], said_by: str, note: str = "") -> None:
        """See IdentityStore."""
        async with self._writing(tenant) as writer:
            await writer.unlink(identities, said_by, note)
        self._committed()

    async def person(self, tenant: str, identity: Identity) -> Person:
        """See IdentityStore."""
        async with self._connected() as connection:
            reader = _Transaction(connection, tenant, self._topic)
            members = await reader.members([identity])
            if not members:
                return Person(own_key(tenant, identity), (Member(identity, own_key(tenant, identity), 0),), ())
            names = [str(member.identity) for member in members]
            said = await connection.execute(
                select(identity_said)
                .where(identity_said.c.tenant == tenant, identity_said.c.identities.op("&&")(cast(names, ARRAY(Text))))
                .order_by(identity_said.c.id.desc())
                .limit(MAX_SAID)
            )
            return Person(members[0].in_force, tuple(members), tuple(map(_said, reversed(said.mappings().all()))))

    async def changes(self, after: int, limit: int) -> list[KeyChange]:
        """See IdentityStore."""
        newer = (
            select(table.c.change, table.c.key, table.c.customer_key, table.c.group_id.is_not(None))
            .where(table.c.change > after)
            .order_by(table.c.change)
            .limit(limit)
        )
        async with self._connected() as connection:
            return [KeyChange(*row) for row in await connection.execute(newer)]

    @asynccontextmanager
    async def _writing(self, tenant: str) -> AsyncIterator[_Transaction]:
        async with self._connected() as connection, connection.begin():
            await connection.execute(_LOCK, {"namespace": LOCK_NAMESPACE})
            yield _Transaction(connection, tenant, self._topic)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.connect() as connection:
                yield connection
        except Exception as error:
            if is_transient(error) or _is_not_migrated(error):
                raise IdentitiesUnavailableError(f"{type(error).__name__}: {error}") from error
            raise


class _Transaction:
    """The statements of one transaction on a tenant's identities."""

    def __init__(self, connection: AsyncConnection, tenant: str, topic: str) -> None:
        self._connection, self._tenant, self._topic = connection, tenant, topic

    async def link(self, claim: Claim) -> Verdict:
        """Judge a claim and do what follows."""
        named = list(dict.fromkeys(claim.identities))
        members = await self.members(named)
        known = {member.identity for member in members}
        # What is new is younger than all that is known, in the order in which it is named.
        new = [
            Member(each, own_key(self._tenant, each), _YOUNGER + number)
            for number, each in enumerate(named)
            if each not in known
        ]
        if claim.through is not None:
            new = [replace(each, through=claim.through if each.identity == named[0] else None) for each in new]
        everybody = [*members, *new]
        apart = await self._apart(everybody)
        verdict = judge(everybody, apart, by_hand=claim.by_hand)
        if verdict is Verdict.LINKED:
            group = min((member.group for member in members if member.group), default=0) or await self._next()
            await self._save(everybody, join(everybody, group))
            if apart:
                pairs = [(str(one), str(other)) for one, other in apart]
                columns = tuple_(identity_apart.c.one, identity_apart.c.other)
                mine = identity_apart.c.tenant == self._tenant
                await self._connection.execute(delete(identity_apart).where(mine, columns.in_(pairs)))
            await self._note(named, claim.said_by, claim.note, linked=True)
        if verdict is Verdict.KNOWN and claim.through is None:
            # What was only learned is now said, and no longer leaves with what it was learned through.
            said = [replace(each, through=None) for each in members if each.through and each.identity in named]
            await self._save(members, said)
        return verdict

    async def unlink(self, identities: Sequence[Identity], said_by: str, note: str) -> None:
        """Take identities out of their groups."""
        members = await self.members(identities)
        grouped = [member for member in members if member.group is not None]
        leaving = [member.identity for member in grouped if member.identity in set(identities)]
        for group in sorted({member.group for member in grouped if member.group is not None}):
            mine = [member for member in grouped if member.group == group]
            after, apart = part(mine, leaving)
            await self._save(mine, after)
            rows = [{"tenant": self._tenant, "one": str(one), "other": str(other)} for one, other in sorted(apart)]
            if rows:
                await self._connection.execute(upsert(identity_apart).on_conflict_do_nothing(), rows)
        if leaving:
            await self._note(leaving, said_by, note, linked=False)

    async def members(self, identities: Collection[Identity]) -> list[Member]:
        """Those of these identities that are known, with all of their groups, oldest first."""
        names = [str(each) for each in identities]
        groups = (
            select(table.c.group_id)
            .where(table.c.tenant == self._tenant, table.c.identity.in_(names), table.c.group_id.is_not(None))
            .scalar_subquery()
        )
        found = (
            select(table)
            .where(table.c.tenant == self._tenant, or_(table.c.identity.in_(names), table.c.group_id.in_(groups)))
            .order_by(table.c.ordinal)
        )
        return [_member(row) for row in (await self._connection.execute(found)).mappings()]

    async def _apart(self, members: Iterable[Member]) -> list[Apart]:
        names = [str(member.identity) for member in members]
        found = select(identity_apart.c.one, identity_apart.c.other).where(
            identity_apart.c.tenant == self._tenant, identity_apart.c.one.in_(names), identity_apart.c.other.in_(names)
        )
        return [(parse(one), parse(other)) for one, other in await self._connection.execute(found)]

    async def _next(self) -> int:
        return int((await self._connection.execute(_NEXT)).scalar_one())

    async def _save(self, before: Iterable[Member], after: Sequence[Member]) -> None:
        """Write members whose key or group is another now, and publish what keys are in force."""
        was = {member.identity: member for member in before}
        changed = [each for each in after if each.ordinal >= _YOUNGER or _values(each) != _values(was[each.identity])]
        # Whose key it is comes first: what follows is read as its own.
        changed.sort(key=lambda each: (each.in_force != each.key, each.ordinal))
        first = await self._next()
        news: list[tuple[KeyChange, UUID]] = []
        for number, each in enumerate(changed, first):
            row = {"tenant": self._tenant, "identity": str(each.identity), "change": number} | _values(each)
            statement = upsert(table).values(row)
            columns = {name: statement.excluded[name] for name in (*_values(each), "change")}
            await self._connection.execute(
                statement.on_conflict_do_update(index_elements=["tenant", "identity"], set_=columns)
            )
            change = KeyChange(number, each.key, each.in_force, each.group is not None)
            news.append((change, was[each.identity].in_force))
        messages = list(published(self._topic, self._tenant, news, datetime.now(UTC)))
        await enqueue(self._connection, streamkit, messages)

    async def _note(self, identities: Iterable[Identity], said_by: str, note: str, *, linked: bool) -> None:
        row = {"tenant": self._tenant, "said_by": said_by, "linked": linked, "note": note}
        await self._connection.execute(
            insert(identity_said).values(**row, identities=[str(each) for each in identities])
        )


def _is_not_migrated(error: BaseException) -> bool:
    """Whether the tables aren't there yet: a process that starts makes them."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", "") in ("42P01", "3F000")


# The ordinals of what is not written yet: greater than any that is.
_YOUNGER: Final = 1 << 62


def _values(member: Member) -> dict[str, Any]:
    return {
        "key": member.key,
        "customer_key": member.in_force,
        "group_id": member.group,
        "through": str(member.through) if member.through else None,
    }


def _member(row: RowMapping) -> Member:
    return Member(
        identity=parse(row["identity"]),
        key=row["key"],
        ordinal=row["ordinal"],
        group=row["group_id"],
        customer_key=row["customer_key"],
        through=parse(row["through"]) if row["through"] else None,
    )


def _said(row: RowMapping) -> Said:
    identities = tuple(parse(each) for each in row["identities"])
    return Said(row["said_at"], row["said_by"], row["linked"], identities, row["note"])
