"""Announcements: what the fake and PostgreSQL promise both."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from tests.unit.ingest.memory_stores import MemoryAnnouncements

from voz_ingest.adapters.outbound.announcements import PostgresAnnouncements
from voz_ingest.domain.connection import Connection
from voz_ingest.ports import Announcements
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.settings import DatabaseSettings

SURVEYS = Connection("surveys", "acme", "qualtrics", ("s",))
OTHER = Connection("other", "globex", "hubspot")
pytestmark = pytest.mark.contract


@pytest.fixture(params=["memory", "postgres"])
async def announcements(request: pytest.FixtureRequest) -> AsyncIterator[Announcements]:
    if request.param == "memory":
        yield MemoryAnnouncements()
        return
    dsn = request.getfixturevalue("database")
    await asyncio.to_thread(migrate, dsn, "voz_ingest")
    engine = create_engine(DatabaseSettings.model_validate({"postgres_dsn": dsn}))
    yield PostgresAnnouncements(engine)
    await engine.dispose()


async def test_what_is_added_is_taken_as_it_came_without_credentials(announcements: Announcements) -> None:
    headers = {"content-type": "application/json", "x-topic": "a\x00b", "authorization": "Bearer x", "cookie": "y"}
    await announcements.add(SURVEYS, b"\x00\xff{}", headers)
    (found,) = await announcements.take(10, for_seconds=60)
    assert (found.tenant, found.connection_id, found.source) == ("acme", "surveys", "qualtrics")
    assert found.body == b"\x00\xff{}"
    assert found.headers == {"content-type": "application/json", "x-topic": "ab"}
    assert found.attempts == 1


async def test_nobody_else_gets_what_is_taken(announcements: Announcements) -> None:
    for number in range(20):
        await announcements.add(SURVEYS, b"%d" % number, {})
    taken = await asyncio.gather(*(announcements.take(3, for_seconds=60) for _ in range(8)))
    bodies = Counter(each.body for part in taken for each in part)
    assert bodies == Counter(b"%d" % number for number in range(20))
    assert await announcements.take(3, for_seconds=60) == []


async def test_the_oldest_come_first(announcements: Announcements) -> None:
    for number in range(5):
        await announcements.add(SURVEYS, b"%d" % number, {})
    assert [each.body for each in await announcements.take(2, for_seconds=60)] == [b"0", b"1"]


async def test_what_is_done_is_gone(announcements: Announcements) -> None:
    await announcements.add(SURVEYS, b"1", {})
    await announcements.add(OTHER, b"2", {})
    assert await announcements.pending() == {"qualtrics": 1, "hubspot": 1}
    for each in await announcements.take(10, for_seconds=0):
        if each.source == "qualtrics":
            await announcements.done(each)
    assert await announcements.pending() == {"hubspot": 1}
    assert [each.body for each in await announcements.take(10, for_seconds=60)] == [b"2"]


async def test_what_is_neither_done_nor_postponed_is_due_again(announcements: Announcements) -> None:
    await announcements.add(SURVEYS, b"1", {})
    await announcements.take(10, for_seconds=0)
    (again,) = await announcements.take(10, for_seconds=60)
    assert again.attempts == 2


async def test_what_is_postponed_is_due_later(announcements: Announcements) -> None:
    await announcements.add(SURVEYS, b"1", {})
    (taken,) = await announcements.take(10, for_seconds=0)
    await announcements.postpone(taken, "away\x00", seconds=60)
    assert await announcements.take(10, for_seconds=60) == []
    await announcements.postpone(taken, "back", seconds=0)
    assert len(await announcements.take(10, for_seconds=60)) == 1
