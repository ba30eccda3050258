"""The schema, its upkeep, and writers that meet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from voz.v1.case_pb2 import CaseEvent
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_router.adapters.outbound.postgres_upkeep import Retention, keep_up
from voz_router.adapters.outbound.tables import SCHEMA, metadata
from voz_streamkit.database import migrate
from voz_streamkit.errors import TransientError

Make = Callable[..., EnrichedEvent]
Route = Callable[..., Coroutine[Any, Any, Any]]
OnlyCase = Callable[[], Awaitable[str]]
RETENTION = Retention(decisions_days=90, cases_days=400, applied_ids_days=37)


async def test_migrations_can_be_run_again_and_at_once(database: str, engine: AsyncEngine) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate, database, "voz_router") for _ in range(3)))
    async with engine.connect() as connection:
        owner = await connection.scalar(
            text("select pg_get_userbyid(nspowner)::text from pg_namespace where nspname = 'router'")
        )
    assert owner == "voz_router"


async def test_the_tables_in_code_are_those_of_the_migrations(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "version_table_schema": SCHEMA,
                "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
                # Partitions are made by upkeep, and are tables to PostgreSQL.
                "include_object": lambda _, name, kind, reflected, __: (
                    not (kind == "table" and reflected and name.endswith("_default"))
                ),
            },
        )
        return list(compare_metadata(context, metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_upkeep_makes_partitions_and_forgets_what_is_over(
    engine: AsyncEngine, route: Route, make: Make, only_case: OnlyCase
) -> None:
    now = datetime.now(UTC)
    await route(make())
    case_id = await only_case()
    async with engine.begin() as connection:
        for statement in (
            "insert into router.idempotency_key values ('acme', 'old', '\\x00', '{}', now() - interval '8 days')",
            "insert into router.idempotency_key values ('acme', 'new', '\\x00', '{}', now())",
            "insert into router.applied_event values ('acme', gen_random_uuid(), now() - interval '38 days')",
            "update router.support_case set status = 'resolved', resolved_at = now() - interval '401 days'",
        ):
            await connection.execute(text(statement))
    await keep_up(engine, RETENTION, now)
    await keep_up(engine, RETENTION, now)

    async def count(table: str) -> Any:
        async with engine.connect() as connection:
            return await connection.scalar(text(f"select count(*) from router.{table}"))

    assert await count("decision_default") == 0, "the row moved to today's partition"
    assert await count(f"decision_{now:%Y%m%d}") == 1
    assert await count("idempotency_key") == 1
    assert await count("applied_event") == 0
    assert await count("support_case") == 0
    later = now + timedelta(days=500)
    await keep_up(engine, RETENTION, later)
    assert await count("decision") == await count("case_message") == await count("case_event") == 0
    assert case_id


async def test_a_case_that_is_reopened_meanwhile_makes_the_batch_wait_and_try_again(
    engine: AsyncEngine, route: Route, make: Make, only_case: OnlyCase
) -> None:
    await route(make())
    case_id = UUID(await only_case())
    async with engine.begin() as connection:
        await connection.execute(text("update router.support_case set status = 'resolved', resolved_at = now()"))
    message = make()
    async with engine.begin() as reopening:
        await reopening.execute(text("update router.support_case set status = 'open', resolved_at = null"))
        routing = asyncio.create_task(route(message))
        await _until_somebody_waits(engine)
    with pytest.raises(TransientError):
        await routing
    made = await route(message)
    assert made.decisions[0].case_id == case_id, "tried again, it joins"


async def test_messages_and_people_at_once_leave_one_sound_history(
    team: Any, engine: AsyncEngine, route: Route, make: Make, only_case: OnlyCase
) -> None:
    await route(make())
    path = f"/v1/cases/{await only_case()}"

    async def speak() -> None:
        for _ in range(15):
            await route(make())

    async def note(agent: str) -> None:
        for _ in range(15):
            answer = await team.worker.post(f"{path}/notes", json={"agent": agent, "text": "…"})
            assert answer.status_code == 200

    await asyncio.gather(speak(), note("ana"), note("luis"), team.worker.post(f"{path}/claim", json={"agent": "ana"}))
    detail = (await team.reader.get(path)).json()
    assert [entry["sequence"] for entry in detail["history"]] == list(range(1, 48))
    assert detail["message_count"] == len(detail["messages"]) == 16
    async with engine.connect() as connection:
        rows = await connection.execute(text("select value from router.outbox where topic = 'voz.cases' order by id"))
        assert [CaseEvent.FromString(row.value).sequence for row in rows] == list(range(1, 48))


async def _until_somebody_waits(engine: AsyncEngine) -> None:
    waiting = text(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    )
    async with asyncio.timeout(20), engine.connect() as opened:
        # Within one transaction the view shows the same for ever.
        connection = await opened.execution_options(isolation_level="AUTOCOMMIT")
        while not await connection.scalar(waiting):
            await asyncio.sleep(0.02)
