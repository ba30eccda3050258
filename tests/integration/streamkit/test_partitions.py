"""Partitions are there before they are needed, go when their time is over, and nothing is refused meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from voz_streamkit.database import asyncpg_url
from voz_streamkit.errors import is_data_error, is_transient
from voz_streamkit.partitions import PartitionPolicy, maintain_partitions

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 15, 13, 45, tzinfo=UTC)
DAILY = PartitionPolicy("touch", "day", ahead=2, keep=timedelta(days=10))


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(asyncpg_url(database))
    async with engine.begin() as connection:
        for statement in (
            "create schema sample",
            "create table sample.touch (tenant text not null, id bigint generated always as identity, "
            "at timestamptz not null, note text, twice int generated always as (length(note) * 2) stored, "
            "primary key (tenant, id, at)) partition by range (at)",
            "create index on sample.touch (tenant, at)",
            "create table sample.daily (day date primary key) partition by range (day)",
        ):
            await connection.execute(text(statement))
    yield engine
    await engine.dispose()


async def add(engine: AsyncEngine, *times: datetime) -> None:
    async with engine.begin() as connection:
        for at in times:
            await connection.execute(
                text("insert into sample.touch (tenant, at, note) values ('t', :at, 'n')"), {"at": at}
            )


async def where(engine: AsyncEngine) -> list[tuple[str, datetime]]:
    async with engine.connect() as connection:
        rows = await connection.execute(text("select tableoid::regclass::text, at from sample.touch order by at"))
        return [(name.removeprefix("sample."), at) for name, at in rows]


async def test_partitions_are_made_ahead_and_once(engine: AsyncEngine) -> None:
    made = await maintain_partitions(engine, "sample", [DAILY], NOW)
    assert made.created == ("touch_20260315", "touch_20260316", "touch_20260317")
    assert (await maintain_partitions(engine, "sample", [DAILY], NOW)).created == ()
    tomorrow = await maintain_partitions(engine, "sample", [DAILY], NOW + timedelta(days=1))
    assert tomorrow.created == ("touch_20260318",)
    await add(engine, NOW, NOW + timedelta(days=1))
    assert [name for name, _ in await where(engine)] == ["touch_20260315", "touch_20260316"]


async def test_rows_of_the_past_and_the_far_future_lie_in_the_default_partition(engine: AsyncEngine) -> None:
    await maintain_partitions(engine, "sample", [DAILY], NOW)
    await add(engine, NOW - timedelta(days=2), NOW + timedelta(days=300))
    assert {name for name, _ in await where(engine)} == {"touch_default"}


async def test_rows_of_the_default_partition_move_into_the_one_made_for_them(engine: AsyncEngine) -> None:
    await maintain_partitions(engine, "sample", [DAILY], NOW)
    early, later = NOW + timedelta(days=5), NOW + timedelta(days=60)
    await add(engine, early, later)
    await maintain_partitions(engine, "sample", [DAILY], NOW + timedelta(days=5))
    assert await where(engine) == [("touch_20260320", early), ("touch_default", later)]
    await add(engine, early)
    async with engine.connect() as connection:
        ids = await connection.execute(text("select id, twice from sample.touch order by id"))
        assert [tuple(row) for row in ids] == [(1, 2), (2, 2), (3, 2)]


async def test_what_is_too_old_is_dropped_from_the_default_partition_too(engine: AsyncEngine) -> None:
    await maintain_partitions(engine, "sample", [DAILY], NOW)
    await add(engine, NOW - timedelta(days=9), NOW, NOW + timedelta(days=1))
    later = NOW + timedelta(days=11)
    assert (await maintain_partitions(engine, "sample", [DAILY], later)).dropped == ("touch_20260315",)
    assert await where(engine) == [("touch_20260316", NOW + timedelta(days=1))]


async def test_a_change_of_period_leaves_what_is_there(engine: AsyncEngine) -> None:
    await maintain_partitions(engine, "sample", [DAILY], NOW)
    monthly = PartitionPolicy("touch", "month", ahead=1)
    assert (await maintain_partitions(engine, "sample", [monthly], NOW)).created == ("touch_20260401",)


async def test_a_date_is_a_key_too(engine: AsyncEngine) -> None:
    policy = PartitionPolicy("daily", "month", ahead=0, keep=timedelta(days=1))
    assert (await maintain_partitions(engine, "sample", [policy], NOW)).created == ("daily_20260301",)
    async with engine.begin() as connection:
        await connection.execute(text("insert into sample.daily values ('2026-03-31'), ('2026-04-01'), ('2020-01-01')"))
    made = await maintain_partitions(engine, "sample", [policy], datetime(2026, 4, 5, tzinfo=UTC))
    assert (made.created, made.dropped) == (("daily_20260401",), ("daily_20260301",))
    async with engine.connect() as connection:
        assert await connection.scalar(text("select string_agg(day::text, ' ') from sample.daily")) == "2026-04-01"


async def test_two_maintainers_and_a_writer_at_once(engine: AsyncEngine) -> None:
    await maintain_partitions(engine, "sample", [DAILY], NOW - timedelta(days=30))
    hours = [NOW + timedelta(hours=hour) for hour in range(48)]
    writing = asyncio.create_task(add(engine, *hours))
    first, second = await asyncio.gather(*(maintain_partitions(engine, "sample", [DAILY], NOW) for _ in range(2)))
    await writing
    assert sorted(first.created + second.created) == ["touch_20260315", "touch_20260316", "touch_20260317"]
    assert [at for _, at in await where(engine)] == hours


async def test_a_row_that_a_new_partition_overtook_is_tried_again_and_a_bad_one_is_not(engine: AsyncEngine) -> None:
    """PostgreSQL gives both the same SQLSTATE. The first goes to the default partition by hand, as it does
    when a partition is attached between its routing and its lock."""
    await maintain_partitions(engine, "sample", [DAILY], NOW)
    overtaken = "insert into sample.touch_default (tenant, id, at) overriding system value values ('t', 1, :at)"
    async with engine.begin() as connection:
        await connection.execute(text("alter table sample.touch add constraint short check (length(note) < 3)"))
    for statement, transient in (
        (overtaken, True),
        ("insert into sample.touch (tenant, at, note) values ('t', :at, 'far too long')", False),
    ):
        with pytest.raises(DBAPIError) as refused:
            async with engine.begin() as connection:
                await connection.execute(text(statement), {"at": NOW})
        assert is_transient(refused.value) is transient
        assert is_data_error(refused.value) is not transient


async def test_a_table_without_partitions_is_named(engine: AsyncEngine) -> None:
    with pytest.raises(ValueError, match=r"sample\.nothing isn't a table partitioned"):
        await maintain_partitions(engine, "sample", [PartitionPolicy("nothing", "day", 1)], NOW)
