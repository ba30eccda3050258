"""Nonces: one process and PostgreSQL keep the same promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from voz_ingest.adapters.outbound.nonces import PostgresNonces, ProcessNonces
from voz_ingest.domain.connection import Connection
from voz_ingest.ports import Nonces
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.settings import DatabaseSettings

pytestmark = pytest.mark.contract
ACME, GLOBEX = Connection("mail", "acme", "mailgun"), Connection("mail", "globex", "mailgun")


@pytest.fixture(params=["process", "postgres"])
async def nonces(request: pytest.FixtureRequest) -> AsyncIterator[Nonces]:
    if request.param == "process":
        yield ProcessNonces()
        return
    dsn = request.getfixturevalue("database")
    await asyncio.to_thread(migrate, dsn, "voz_ingest")
    engine = create_engine(DatabaseSettings.model_validate({"postgres_dsn": dsn}))
    yield PostgresNonces(engine)
    await engine.dispose()


async def test_a_value_is_used_for_one_thing_only(nonces: Nonces) -> None:
    assert await nonces.claim(ACME, "token", b"this")
    assert await nonces.claim(ACME, "token", b"this"), "sent again it says the same"
    assert not await nonces.claim(ACME, "token", b"that")
    assert await nonces.claim(ACME, "another", b"that")
    assert await nonces.claim(GLOBEX, "token", b"that"), "another tenant's values are its own"


async def test_of_two_at_the_same_time_one_wins(nonces: Nonces) -> None:
    digests = [bytes([number]) for number in range(12)]
    won = await asyncio.gather(*(nonces.claim(ACME, "token", digest) for digest in digests))
    assert sum(won) == 1
