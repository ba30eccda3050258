"""PostgreSQL: the engine, and migrations that may be run by several processes at once."""

from __future__ import annotations

import threading
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from voz_streamkit.settings import DatabaseSettings

CONNECT_SECONDS = 10
# Alembic keeps the migration that runs in globals of its own: within a process one at a time.
_MIGRATING = threading.Lock()
# Longer than any statement of Voz takes; a server that vanished is noticed after it.
STATEMENT_SECONDS = 60


def create_engine(settings: DatabaseSettings, *, application_name: str = "") -> AsyncEngine:
    """An engine with a bounded pool; connects when it is first used.

    Sessions are in UTC. `application_name` (by default the service's, from its settings' prefix) is what PostgreSQL
    shows beside each connection.
    """
    prefix = str(settings.model_config.get("env_prefix", ""))
    name = application_name or prefix.strip("_").lower().replace("_", "-") or "voz"
    return create_async_engine(
        asyncpg_url(settings.postgres_dsn.get_secret_value()),
        pool_size=settings.postgres_pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_SECONDS,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args=connect_arguments(name),
        hide_parameters=True,
    )


async def ping(engine: AsyncEngine) -> None:
    """A readiness check: returns when PostgreSQL answers, raises otherwise."""
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))


def connect_arguments(application_name: str) -> dict[str, Any]:
    """What asyncpg is told on connecting."""
    # Short statements gain nothing from the just-in-time compiler, and wait for it.
    session = {"application_name": application_name, "timezone": "UTC", "jit": "off"}
    return {"server_settings": session, "timeout": CONNECT_SECONDS, "command_timeout": STATEMENT_SECONDS}


def asyncpg_url(dsn: str) -> URL:
    """SQLAlchemy's URL for asyncpg from the neutral `postgresql://…`; libpq's `sslmode` is understood."""
    url = make_url(dsn).set(drivername="postgresql+asyncpg")
    if "sslmode" in url.query:
        url = url.update_query_dict({"ssl": url.query["sslmode"]}).difference_update_query(["sslmode"])
    return url


def migrate(dsn: str, package: str) -> None:
    """Bring the schema of a service up to its newest revision: the Alembic history in `<package>/migrations`.

    Safe when several processes start at once: one works, the others wait and find nothing to do. Blocks; inside a
    running event loop call it by `asyncio.to_thread`.
    """
    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    config.attributes["dsn"] = dsn
    with _MIGRATING:
        command.upgrade(config, "head")
