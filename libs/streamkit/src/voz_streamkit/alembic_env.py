"""The whole of a service's `migrations/env.py`: `run("router", metadata)`."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, MetaData, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from voz_streamkit.database import asyncpg_url

LOCK_NAMESPACE = 0x766F7A  # "voz": keeps our advisory locks apart from anybody else's


def run(schema: str, metadata: MetaData) -> None:
    """Run the migrations of `schema`, whose tables `metadata` describes.

    The schema and its role (`voz_<service>`, without login; it owns the schema and all in it) are made when missing;
    the login that migrates becomes a member of the role. The version table lies in the schema, and so do tables that
    a revision makes without naming one.
    """
    asyncio.run(_run(str(context.config.attributes["dsn"]), schema, metadata))


def role_of(schema: str) -> str:
    """The role that owns a schema: `voz_router` for `router` and for `voz_router`."""
    return schema if schema.startswith("voz_") else f"voz_{schema}"


async def _run(dsn: str, schema: str, metadata: MetaData) -> None:
    engine = create_async_engine(asyncpg_url(dsn), poolclass=pool.NullPool, connect_args={"timeout": 10})
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate, schema, metadata)
    finally:
        await engine.dispose()


def _migrate(connection: Connection, schema: str, metadata: MetaData) -> None:
    # Held by the session until the connection closes: one migrates, the others wait here.
    connection.execute(
        text("select pg_advisory_lock(:namespace, hashtext(:schema))"),
        {"namespace": LOCK_NAMESPACE, "schema": schema},
    )
    connection.commit()
    quote = connection.dialect.identifier_preparer.quote
    role = role_of(schema)
    _make_role(connection, role)
    if not connection.scalar(text("select 1 from pg_namespace where nspname = :schema"), {"schema": schema}):
        connection.execute(text(f"create schema {quote(schema)} authorization {quote(role)}"))
    connection.execute(text(f"set role {quote(role)}"))
    connection.execute(text(f"set search_path to {quote(schema)}"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=schema,
        include_schemas=True,
        include_name=lambda name, kind, _: kind != "schema" or name == schema,
    )
    with context.begin_transaction():
        context.run_migrations()


def _make_role(connection: Connection, role: str) -> None:
    """Make the role and join it. Roles are shared by all databases of a server, so another may make it meanwhile."""
    quote = connection.dialect.identifier_preparer.quote
    if not connection.scalar(text("select 1 from pg_roles where rolname = :role"), {"role": role}):
        connection.execute(
            text(
                f"do $$ begin create role {quote(role)} nologin; "
                "exception when duplicate_object or unique_violation then null; end $$"
            )
        )
        connection.commit()
    member = "select pg_has_role(current_user, :role, 'usage')"
    if not connection.scalar(text(member), {"role": role}):
        connection.execute(text(f"grant {quote(role)} to current_user"))
    connection.commit()
