"""What every IdentityStore promises, held by the one in memory and by the one in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.unit.ingest.identity_fakes import MemoryIdentityStore

from voz.v1.customer_event_pb2 import CustomerEvent
from voz_contracts.identity import event_id, partition_key
from voz_contracts.joins import join_of
from voz_devstack.testing import PostgresAddress
from voz_ingest.adapters.outbound.identity_map import own_key
from voz_ingest.adapters.outbound.postgres_identities import PostgresIdentityStore
from voz_ingest.adapters.outbound.tables import streamkit
from voz_ingest.domain.groups import MAX_GROUP, Verdict
from voz_ingest.domain.identities import Identity, parse
from voz_ingest.ports import Claim, IdentitiesUnavailableError, IdentityStore
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.settings import DatabaseSettings

pytestmark = pytest.mark.contract
# Key and key in force, of every publication of a tenant in order.
Told = list[tuple[UUID, UUID]]


@dataclass
class Subject:
    """A store, a tenant of its own, and what was published of it."""

    store: IdentityStore
    told: Callable[[str], Awaitable[Told]]
    tenant: str


@pytest.fixture(scope="module")
def identities_database(postgres: PostgresAddress) -> str:
    dsn = postgres.create_database(f"identities_{uuid4().hex[:8]}")
    migrate(dsn, "voz_ingest")
    return dsn


@pytest.fixture(params=["memory", "postgres"])
async def subject(request: pytest.FixtureRequest, identities_database: str) -> AsyncIterator[Subject]:
    tenant = f"t-{uuid4().hex[:8]}"
    if request.param == "memory":
        memory = MemoryIdentityStore()

        async def told(_: str) -> Told:
            return [(change.key, change.customer_key) for change, _ in memory.told]

        yield Subject(memory, told, tenant)
        return
    engine = create_engine(DatabaseSettings(postgres_dsn=identities_database))

    async def published(whose: str) -> Told:
        return await _published(engine, whose)

    yield Subject(PostgresIdentityStore(engine, "voz.events", lambda: None), published, tenant)
    await engine.dispose()


async def _published(engine: AsyncEngine, tenant: str) -> Told:
    async with engine.connect() as connection:
        rows = (await connection.execute(select(streamkit.outbox).order_by(streamkit.outbox.c.id))).all()
    found: Told = []
    numbers: list[int] = []
    for row in rows:
        event = CustomerEvent.FromString(row.value)
        if event.tenant != tenant:
            continue
        join = join_of(event)
        assert join is not None
        assert row.key == partition_key(tenant, event.customer.key)
        assert event.id == event_id(tenant, "voz", event.source_id)
        numbers.append(join.number)
        found.append((UUID(join.other), UUID(event.customer.key if join.joined else join.other)))
    assert numbers == sorted(set(numbers)), "numbers grow in the order of publication"
    return found


def ids(*written: str) -> tuple[Identity, ...]:
    return tuple(map(parse, written))


def claim(*written: str, by_hand: bool = False, through: str = "") -> Claim:
    return Claim(ids(*written), "key:crm", by_hand=by_hand, through=parse(through) if through else None)


async def keys(subject: Subject, *written: str) -> dict[str, UUID]:
    return {each: (await subject.store.person(subject.tenant, parse(each))).customer_key for each in written}


def own(subject: Subject, written: str) -> UUID:
    return own_key(subject.tenant, parse(written))


async def link(subject: Subject, *claims: Claim) -> Sequence[Verdict]:
    return await subject.store.link(subject.tenant, claims)


async def test_nobody_is_linked_with_anybody_at_first(subject: Subject) -> None:
    alone = await subject.store.person(subject.tenant, parse("mastodon:@ana"))
    assert (alone.customer_key, [str(each.identity) for each in alone.members], alone.said) == (
        own(subject, "mastodon:@ana"),
        ["mastodon:@ana"],
        (),
    )
    assert await subject.told(subject.tenant) == []


async def test_a_link_gives_all_the_companys_key_or_the_oldest(subject: Subject) -> None:
    assert await link(subject, claim("mastodon:@ana", "email:ana@example.com")) == [Verdict.LINKED]
    before = own(subject, "mastodon:@ana")
    assert set((await keys(subject, "mastodon:@ana", "email:ana@example.com")).values()) == {before}
    assert await link(subject, claim("email:ana@example.com", "company:c-42")) == [Verdict.LINKED]
    company = own(subject, "company:c-42")
    assert set((await keys(subject, "mastodon:@ana", "email:ana@example.com", "company:c-42")).values()) == {company}
    email = own(subject, "email:ana@example.com")
    assert await subject.told(subject.tenant) == [(email, before), (before, company), (email, company)]


async def test_saying_it_again_changes_nothing(subject: Subject) -> None:
    await link(subject, claim("mastodon:@ana", "company:c-42"))
    told, newest = await subject.told(subject.tenant), await subject.store.changes(0, 10_000)
    again = await link(subject, claim("company:c-42", "mastodon:@ana"), claim("mastodon:@ana", "company:c-42"))
    assert again == [Verdict.KNOWN, Verdict.KNOWN]
    assert (await subject.told(subject.tenant), await subject.store.changes(0, 10_000)) == (told, newest)
    said = (await subject.store.person(subject.tenant, parse("company:c-42"))).said
    assert [(each.said_by, each.linked, each.identities) for each in said] == [
        ("key:crm", True, ids("mastodon:@ana", "company:c-42"))
    ]


async def test_two_groups_become_one(subject: Subject) -> None:
    await link(subject, claim("mastodon:@ana", "x:7"), claim("email:ana@example.com", "phone:+34600111222"))
    await link(subject, claim("x:7", "phone:34600111222"))
    person = await subject.store.person(subject.tenant, parse("email:ana@example.com"))
    assert person.customer_key == own(subject, "mastodon:@ana")
    assert [str(each.identity) for each in person.members] == [
        "mastodon:@ana",
        "x:7",
        "email:ana@example.com",
        "phone:34600111222",
    ]


async def test_an_identity_is_taken_out_again(subject: Subject) -> None:
    await link(subject, claim("mastodon:@ana", "email:ana@example.com", "company:c-42"))
    for _ in range(2):
        await subject.store.unlink(subject.tenant, ids("company:c-42"), "cli:root", "two people")
    found = await keys(subject, "mastodon:@ana", "email:ana@example.com", "company:c-42")
    toot = own(subject, "mastodon:@ana")
    assert found == {
        "mastodon:@ana": toot,
        "email:ana@example.com": toot,
        "company:c-42": own(subject, "company:c-42"),
    }
    assert (await subject.told(subject.tenant))[-2:] == [
        (toot, toot),
        (own(subject, "email:ana@example.com"), toot),
    ]
    said = (await subject.store.person(subject.tenant, parse("company:c-42"))).said
    assert [(each.said_by, each.linked, each.note) for each in said] == [
        ("key:crm", True, ""),
        ("cli:root", False, "two people"),
    ]
    assert await link(subject, claim("company:c-42", "mastodon:@ana")) == [Verdict.APART]
    assert await link(subject, claim("company:c-42", "mastodon:@ana", by_hand=True)) == [Verdict.LINKED]
    await link(subject, claim("x:1", "company:c-42"))
    assert (await keys(subject, "x:1"))["x:1"] == own(subject, "company:c-42")


async def test_taking_out_a_stranger_is_nothing(subject: Subject) -> None:
    await subject.store.unlink(subject.tenant, ids("mastodon:@ana"), "cli:root")
    assert (await subject.store.person(subject.tenant, parse("mastodon:@ana"))).said == ()


async def test_what_was_learned_leaves_with_what_it_was_learned_through(subject: Subject) -> None:
    await link(subject, claim("company:c-1", "email:a@b.cc"))
    await link(subject, claim("mailgun:a@b.cc", "email:a@b.cc", through="email:a@b.cc"))
    assert (await keys(subject, "mailgun:a@b.cc"))["mailgun:a@b.cc"] == own(subject, "company:c-1")
    await subject.store.unlink(subject.tenant, ids("email:a@b.cc"), "cli:root")
    assert (await keys(subject, "mailgun:a@b.cc"))["mailgun:a@b.cc"] == own(subject, "mailgun:a@b.cc")


async def test_what_was_learned_and_then_said_stays(subject: Subject) -> None:
    await link(subject, claim("company:c-1", "email:a@b.cc"))
    await link(subject, claim("mailgun:a@b.cc", "email:a@b.cc", through="email:a@b.cc"))
    await link(subject, claim("mailgun:a@b.cc", "company:c-1"))
    await subject.store.unlink(subject.tenant, ids("email:a@b.cc"), "cli:root")
    assert (await keys(subject, "mailgun:a@b.cc"))["mailgun:a@b.cc"] == own(subject, "company:c-1")


async def test_refusals_change_nothing(subject: Subject) -> None:
    await link(subject, claim("company:c-1", "web:v-1"))
    assert await link(subject, claim("company:c-2", "web:v-1")) == [Verdict.TWO_COMPANY_IDS]
    crowd = [claim(f"x:{number}", "web:v-1") for number in range(MAX_GROUP)]
    assert set(await link(subject, *crowd)) == {Verdict.LINKED, Verdict.TOO_MANY}
    assert len((await subject.store.person(subject.tenant, parse("web:v-1"))).members) == MAX_GROUP
    assert (await keys(subject, "company:c-2"))["company:c-2"] == own(subject, "company:c-2")


async def test_nothing_crosses_tenants(subject: Subject) -> None:
    await link(subject, claim("mastodon:@ana", "company:c-42"))
    other = await subject.store.person("another", parse("mastodon:@ana"))
    assert len(other.members) == 1
    assert other.said == ()


async def test_changes_come_in_pages_and_each_key_once(subject: Subject) -> None:
    await link(subject, *(claim(f"x:{number}", f"y:{number}") for number in range(7)))
    await subject.store.unlink(subject.tenant, ids("x:0"), "cli:root")
    mine = {own(subject, f"{space}:{number}") for space in "xy" for number in range(7)}
    seen, after = [], 0
    while page := await subject.store.changes(after, 3):
        assert [each.number for each in page] == sorted(each.number for each in page)
        seen += [each for each in page if each.key in mine]
        after = page[-1].number
    assert {each.key for each in seen} == mine
    assert len(seen) == len(mine)
    assert {each.key for each in seen if not each.linked} == {own(subject, "x:0"), own(subject, "y:0")}


NAMES = ("company:c-1", "company:c-2", "email:a@b.cc", "mastodon:@a", "x:1", "x:2")
Step = tuple[str, list[str], bool]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["link", "link", "unlink"]),
            st.lists(st.sampled_from(NAMES), min_size=2, max_size=3, unique=True),
            st.booleans(),
        ),
        max_size=10,
    )
)
async def test_whatever_is_said_keys_and_what_is_told_of_them_agree(subject: Subject, steps: list[Step]) -> None:
    mine = Subject(subject.store, subject.told, f"t-{uuid4().hex}")
    for what, names, by_hand in steps:
        if what == "link":
            await link(mine, claim(*names, by_hand=by_hand))
        else:
            await mine.store.unlink(mine.tenant, ids(*names[:1]), "cli:root")
    people = {name: await mine.store.person(mine.tenant, parse(name)) for name in NAMES}
    for name, person in people.items():
        members = {str(each.identity): each for each in person.members}
        assert name in members
        keys = {each.key for each in person.members}
        assert person.customer_key in keys, "a key in force is that of a member"
        assert {each.in_force for each in person.members} == {person.customer_key}
        companies = [each for each in person.members if each.identity.space == "company"]
        oldest = min(companies or person.members, key=lambda each: each.ordinal)
        assert person.customer_key == oldest.key
        assert all(people[other].customer_key == person.customer_key for other in members if other in people)
    # Whoever only hears what is published, or only follows the changes, knows the same.
    told = dict(await mine.told(mine.tenant))
    followed = {each.key: each.customer_key for each in await mine.store.changes(0, 10**6)}
    for name, person in people.items():
        key = own(mine, name)
        assert told.get(key, key) == person.customer_key
        assert followed.get(key, key) == person.customer_key


async def test_everybody_may_say_things_at_once(subject: Subject) -> None:
    await asyncio.gather(*(link(subject, claim(f"x:{number}", f"x:{number + 1}")) for number in range(9)))
    person = await subject.store.person(subject.tenant, parse("x:5"))
    assert len(person.members) == 10
    followed = {each.key: each.customer_key for each in await subject.store.changes(0, 10**6)}
    assert {followed[each.key] for each in person.members} == {person.customer_key}


async def test_a_database_that_is_away_says_so() -> None:
    engine = create_engine(DatabaseSettings(postgres_dsn="postgresql://nobody@127.0.0.1:1/none"))
    store = PostgresIdentityStore(engine, "voz.events", lambda: None)
    with pytest.raises(IdentitiesUnavailableError):
        await store.link("acme", [claim("x:1", "x:2")])
    with pytest.raises(IdentitiesUnavailableError):
        await store.changes(0, 1)
    await engine.dispose()
