"""ConnectorStore: one holder at a time, and nobody writes with a lease that is another's by now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection as Database
from tests.unit.ingest.memory_stores import MemoryConnectorStore

from voz_ingest.adapters.outbound.connector_store import PostgresConnectorStore
from voz_ingest.adapters.outbound.tables import SCHEMA, metadata
from voz_ingest.domain.connector import ConnectorState, Key, Lease
from voz_ingest.ports import ConnectorStore, LeaseLostError, UnknownConnectorError
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.settings import DatabaseSettings

ONE: Key = ("acme", "mastodon")
TWO: Key = ("globex", "mastodon")
KEYS = {ONE: "mastodon", TWO: "mastodon"}
pytestmark = pytest.mark.contract


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[ConnectorStore]:
    if request.param == "memory":
        made: ConnectorStore = MemoryConnectorStore()
        await made.declare(KEYS)
        yield made
        return
    dsn = request.getfixturevalue("database")
    await asyncio.to_thread(migrate, dsn, "voz_ingest")
    engine = create_engine(DatabaseSettings.model_validate({"postgres_dsn": dsn}))
    made = PostgresConnectorStore(engine)
    await made.declare(KEYS)
    yield made
    await engine.dispose()


async def claim(store: ConnectorStore, owner: str = "a", *, seconds: float = 60) -> Lease:
    (lease,) = await store.claim([ONE], owner, limit=9, seconds=seconds)
    return lease


async def one(store: ConnectorStore) -> ConnectorState:
    return next(state for state in await store.states() if (state.tenant, state.connection_id) == ONE)


async def test_each_connector_has_one_holder(store: ConnectorStore) -> None:
    found = await asyncio.gather(*(store.claim(KEYS, f"p{n}", limit=9, seconds=60) for n in range(8)))
    assert sorted(lease.key for part in found for lease in part) == [ONE, TWO]
    assert await store.claim(KEYS, "late", limit=9, seconds=60) == []


async def test_a_process_takes_no_more_than_it_has_room_for(store: ConnectorStore) -> None:
    assert len(await store.claim(KEYS, "a", limit=1, seconds=60)) == 1
    assert await store.claim(KEYS, "a", limit=0, seconds=60) == []
    assert await store.claim([], "a", limit=9, seconds=60) == []
    assert len(await store.claim(KEYS, "b", limit=9, seconds=60)) == 1


async def test_what_is_saved_is_where_the_next_one_begins(store: ConnectorStore) -> None:
    lease = await claim(store)
    assert (lease.position, lease.recent, lease.failures, lease.due_in_seconds) == ({}, b"", 0, 0)
    await store.save(lease, {"id": "41", "nested": {"at": [1]}}, b"\x00\x01", wait_seconds=30)
    await store.save(lease, {"id": "42"}, None, wait_seconds=30)
    await store.release(lease)
    after = await claim(store, "b")
    assert (after.position, after.recent) == ({"id": "42"}, b"\x00\x01")
    assert after.token > lease.token
    assert 0 < after.due_in_seconds <= 30


async def test_a_lease_that_has_run_out_is_anybodys_and_its_holder_is_fenced(store: ConnectorStore) -> None:
    stale = await claim(store, seconds=0)
    fresh = await claim(store, "b")
    with pytest.raises(LeaseLostError):
        await store.save(stale, {"id": "stale"}, b"")
    with pytest.raises(LeaseLostError):
        await store.fail(stale, {"id": "stale"}, "x", failures=1, wait_seconds=0)
    await store.release(stale)
    assert await store.renew({ONE: stale.token}, seconds=60) == set()
    assert set(await store.renew({ONE: fresh.token}, seconds=60)) == {ONE}
    await store.save(fresh, {"id": "fresh"}, None)
    assert (await one(store)).position == {"id": "fresh"}
    assert (await one(store)).owner == "b"


async def test_failures_are_kept_and_end_with_a_success(store: ConnectorStore) -> None:
    lease = await claim(store)
    await store.fail(lease, {"id": "1"}, "answered with 500\x00", failures=3, wait_seconds=60)
    state = await one(store)
    assert (state.failures, state.last_error, state.last_success_at) == (3, "answered with 500", None)
    assert state.last_error_at is not None
    await store.release(lease)
    again = await claim(store)
    assert again.failures == 3
    assert again.position == {"id": "1"}
    assert 0 < again.due_in_seconds <= 60
    await store.save(again, {}, None)
    state = await one(store)
    assert (state.failures, state.last_error, state.last_error_at) == (0, None, None)
    assert state.last_success_at is not None


async def test_paused_it_is_nobodys(store: ConnectorStore) -> None:
    lease = await claim(store)
    await store.save(lease, {"id": "1"}, b"r")
    await store.pause(ONE, True)
    assert (await one(store)).paused
    assert (await one(store)).owner is None
    with pytest.raises(LeaseLostError):
        await store.save(lease, {"id": "2"}, None)
    assert await store.claim([ONE], "b", limit=9, seconds=60) == []
    await store.pause(ONE, False)
    resumed = await claim(store, "b")
    assert (resumed.position, resumed.recent) == ({"id": "1"}, b"r")


async def test_resumed_it_waits_for_nothing(store: ConnectorStore) -> None:
    lease = await claim(store)
    await store.fail(lease, {}, "told to wait", failures=3, wait_seconds=900)
    await store.pause(ONE, False)
    with pytest.raises(LeaseLostError):
        await store.save(lease, {}, None)
    assert (await claim(store)).due_in_seconds == 0


async def test_a_rewind_takes_it_from_whoever_has_it(store: ConnectorStore) -> None:
    lease = await claim(store)
    await store.save(lease, {"id": "9"}, b"recent", wait_seconds=900)
    await store.rewind(ONE, {"id": "3"})
    with pytest.raises(LeaseLostError):
        await store.save(lease, {"id": "10"}, None)
    rewound = await claim(store)
    assert (rewound.position, rewound.recent, rewound.due_in_seconds) == ({"id": "3"}, b"", 0)


async def test_a_connection_with_another_source_begins_anew(store: ConnectorStore) -> None:
    lease = await claim(store)
    await store.save(lease, {"id": "9"}, b"recent")
    await store.declare({ONE: "mastodon"})
    await store.save(lease, {"id": "9"}, None)
    await store.declare({ONE: "bluesky"})
    with pytest.raises(LeaseLostError):
        await store.save(lease, {"id": "10"}, None)
    assert (await claim(store)).position == {}
    assert (await one(store)).source == "bluesky"


@pytest.mark.parametrize("act", [lambda s: s.pause(("acme", "no"), True), lambda s: s.rewind(("acme", "no"), {})])
async def test_what_nobody_knows(store: ConnectorStore, act: Callable[[ConnectorStore], Awaitable[None]]) -> None:
    with pytest.raises(UnknownConnectorError):
        await act(store)


async def test_the_tables_in_code_are_those_of_the_migrations(database: str) -> None:
    await asyncio.to_thread(migrate, database, "voz_ingest")
    engine = create_engine(DatabaseSettings.model_validate({"postgres_dsn": database}))

    def differences(connection: Database) -> list[Any]:
        options = {
            "include_schemas": True,
            "version_table_schema": SCHEMA,
            "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()
