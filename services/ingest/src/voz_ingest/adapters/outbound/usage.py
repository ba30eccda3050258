"""What tenants have sent today, counted by all processes together in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date, timedelta

import structlog
from sqlalchemy import BigInteger, Date, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncEngine

from voz_ingest.domain.quota import DailyUsage
from voz_ingest.ports import Usage
from voz_streamkit.backoff import pause
from voz_streamkit.errors import is_transient

SHARE_SECONDS = 1.0
KEPT = timedelta(days=40)
_log = structlog.get_logger(__name__)

_ADD = text(
    "insert into ingest.daily_usage as known (tenant, day, events)"
    " select tenant, :day, events from unnest(:tenants, :events) as told (tenant, events) order by tenant"
    " on conflict (tenant, day) do update set events = known.events + excluded.events"
).bindparams(
    bindparam("day", type_=Date), bindparam("tenants", type_=ARRAY(Text)), bindparam("events", type_=ARRAY(BigInteger))
)
_TOTALS = text("select tenant, events from ingest.daily_usage where day = :day").bindparams(
    bindparam("day", type_=Date)
)
_FORGET = text("delete from ingest.daily_usage where day < :oldest").bindparams(bindparam("oldest", type_=Date))


class PostgresUsage:
    """Usage in PostgreSQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, day: date, counts: Mapping[str, int]) -> Mapping[str, int]:
        """As the port says."""
        async with self._engine.begin() as connection:
            if counts:
                told = {"day": day, "tenants": [*counts], "events": [*counts.values()]}
                await connection.execute(_ADD, told)
                await connection.execute(_FORGET, {"oldest": day - KEPT})
            return {tenant: int(events) for tenant, events in await connection.execute(_TOTALS, {"day": day})}


async def share_usage(usage: DailyUsage, store: Usage, stop: asyncio.Event) -> None:
    """Tell the other processes what this one counts, and learn what they do, until `stop`. While PostgreSQL is away
    each counts by itself."""
    while not stop.is_set():
        day, counts = usage.untold()
        if day > date.min:
            try:
                usage.told(day, counts, await store.add(day, counts))
            except Exception as error:
                if not is_transient(error):
                    raise
                _log.info("quotas are counted by each process alone", error=str(error)[:200])
        await pause(SHARE_SECONDS, stop)
