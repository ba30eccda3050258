"""Migrations make the schema, its role and its tables once, whoever starts at the same time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from voz_streamkit.database import asyncpg_url, create_engine, migrate, ping
from voz_streamkit.run import read_settings
from voz_streamkit.settings import DatabaseSettings
from voz_streamkit.tables import streamkit_tables

pytestmark = pytest.mark.integration
ENV = """
from sqlalchemy import MetaData
from voz_streamkit.alembic_env import run
run("billing", MetaData())
"""
FIRST = """
from alembic import op
from sqlalchemy import Column, Integer
from voz_streamkit.tables import create_streamkit_tables
revision, down_revision = "0001", None

def upgrade() -> None:
    create_streamkit_tables()
    op.create_table("invoice", Column("number", Integer, primary_key=True))
"""
SECOND = """
from alembic import op
revision, down_revision = "0002", "0001"

def upgrade() -> None:
    op.execute("select pg_sleep(0.3)")
    op.execute("alter table invoice add column paid boolean")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A service with two revisions, importable here and in child processes."""
    # A name of its own in each test: an imported package stays imported.
    name = f"billing_{uuid4().hex[:8]}"
    versions = tmp_path / name / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / name / "__init__.py").touch()
    (versions.parent / "env.py").write_text(ENV)
    (versions / "0001_first.py").write_text(FIRST)
    (versions / "0002_second.py").write_text(SECOND)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return name


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(asyncpg_url(database))
    yield engine
    await engine.dispose()


def test_several_processes_migrate_at_once(database: str, package: str) -> None:
    script = "import sys; from voz_streamkit.database import migrate; migrate(*sys.argv[1:])"
    processes = [subprocess.Popen([sys.executable, "-c", script, database, package]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    migrate(database, package)


async def test_the_schema_is_as_the_tables_say_and_belongs_to_its_role(
    database: str, package: str, engine: AsyncEngine
) -> None:
    await asyncio.to_thread(migrate, database, package)
    metadata = MetaData()
    streamkit_tables(metadata, "billing")

    def differences(connection: Connection) -> list[object]:
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _: name == "billing" if kind == "schema" else name != "alembic_version",
            "include_object": lambda thing, name, kind, reflected, other: name != "invoice",
            "compare_type": True,
            "compare_server_default": True,
            "version_table_schema": "billing",
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        owners = await connection.execute(
            text("select tableowner, tablename from pg_tables where schemaname = 'billing'")
        )
        assert sorted(tuple(row) for row in owners) == [
            ("voz_billing", name)
            for name in ("alembic_version", "applied_event", "consumed_offset", "invoice", "outbox")
        ]
        assert await connection.scalar(text("select rolcanlogin from pg_roles where rolname = 'voz_billing'")) is False


@pytest.fixture
async def logins(engine: AsyncEngine) -> AsyncIterator[tuple[str, str]]:
    """Two logins of this test's own: all databases of a server share them."""
    names = f"clerk_{uuid4().hex[:8]}", f"stranger_{uuid4().hex[:8]}"
    for verb, options in (("create", " login password 'secret'"), ("drop", "")):
        async with engine.begin() as connection:
            for name in names:
                await connection.execute(text(f"{verb} role {name}{options}"))
        if verb == "create":
            yield names


async def test_a_login_that_is_a_member_may_use_it_and_no_other(
    database: str, package: str, engine: AsyncEngine, logins: tuple[str, str]
) -> None:
    await asyncio.to_thread(migrate, database, package)
    clerk, stranger = logins
    async with engine.begin() as connection:
        await connection.execute(text(f"grant voz_billing to {clerk}"))
    await _insert_as(clerk, database)
    with pytest.raises(DBAPIError, match="permission denied"):
        await _insert_as(stranger, database)


async def _insert_as(login: str, database: str) -> None:
    engine = create_async_engine(asyncpg_url(database).set(username=login, password="secret"))
    try:
        async with engine.begin() as connection:
            await connection.execute(text("insert into billing.invoice (number) values (1)"))
    finally:
        await engine.dispose()


async def test_a_failed_revision_leaves_nothing(
    database: str, package: str, engine: AsyncEngine, tmp_path: Path
) -> None:
    broken = tmp_path / package / "migrations" / "versions" / "0002_second.py"
    broken.write_text(SECOND.replace("add column paid boolean", "add column paid nonsense"))
    with pytest.raises(DBAPIError, match="nonsense"):
        await asyncio.to_thread(migrate, database, package)
    async with engine.connect() as connection:
        assert await connection.scalar(text("select to_regclass('billing.invoice')")) is None
    broken.write_text(SECOND)
    await asyncio.to_thread(migrate, database, package)


async def test_the_engine_is_bounded_named_and_in_utc(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOZ_POSTGRES_DSN", database)
    settings = read_settings(DatabaseSettings)
    engine = create_engine(settings, application_name="billing")
    await ping(engine)
    async with engine.connect() as connection:
        shown = await connection.execute(
            text("select current_setting('application_name'), current_setting('timezone')")
        )
        assert tuple(shown.one()) == ("billing", "UTC")
    await engine.dispose()
