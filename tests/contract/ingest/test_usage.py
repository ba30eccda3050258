"""Usage: the fake and PostgreSQL count the same, whoever counts at the same time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import date

import pytest

from voz_ingest.adapters.outbound.usage import PostgresUsage
from voz_ingest.ports import Usage
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.settings import DatabaseSettings

DAY, NEXT = date(2026, 11, 20), date(2026, 11, 21)
pytestmark = pytest.mark.contract


class MemoryUsage:
    """Usage in memory."""

    def __init__(self) -> None:
        self._days: dict[date, Counter[str]] = {}

    async def add(self, day: date, counts: Mapping[str, int]) -> Mapping[str, int]:
        """As the port says."""
        self._days.setdefault(day, Counter()).update(counts)
        return dict(self._days[day])


@pytest.fixture(params=["memory", "postgres"])
async def usage(request: pytest.FixtureRequest) -> AsyncIterator[Usage]:
    if request.param == "memory":
        yield MemoryUsage()
        return
    dsn = request.getfixturevalue("database")
    await asyncio.to_thread(migrate, dsn, "voz_ingest")
    engine = create_engine(DatabaseSettings.model_validate({"postgres_dsn": dsn}))
    yield PostgresUsage(engine)
    await engine.dispose()


async def test_a_day_adds_up_and_the_next_begins_at_nothing(usage: Usage) -> None:
    assert await usage.add(DAY, {}) == {}
    assert await usage.add(DAY, {"acme": 2, "globex": 1}) == {"acme": 2, "globex": 1}
    assert await usage.add(DAY, {"acme": 3}) == {"acme": 5, "globex": 1}
    assert await usage.add(NEXT, {"acme": 1}) == {"acme": 1}
    assert await usage.add(DAY, {}) == {"acme": 5, "globex": 1}


async def test_whoever_counts_at_the_same_time_nothing_is_lost(usage: Usage) -> None:
    await asyncio.gather(*(usage.add(DAY, {"acme": 1, "globex": 2}) for _ in range(20)))
    assert await usage.add(DAY, {}) == {"acme": 20, "globex": 40}
