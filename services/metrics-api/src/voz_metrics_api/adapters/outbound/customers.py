"""Reading customers' profiles and timelines: PostgresCustomerStore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import reduce
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Select, Text, cast, func, or_, select, text, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from voz_metrics_api.adapters.outbound.profiles import profile_of
from voz_metrics_api.adapters.outbound.reading import Reader
from voz_metrics_api.adapters.outbound.tables import customer_join, customer_profile, touchpoint
from voz_metrics_api.domain.counters import MICRO, Counters
from voz_metrics_api.domain.facts import INBOUND
from voz_metrics_api.domain.profiles import SILENCE_TELLS, Profile
from voz_metrics_api.ports import FoundCustomer, SentimentOfDay, StageCount, Touchpoint

# Times are text that sorts as time does, byte by byte (see Known).
_BY_STAGE = text(
    f"""
    select tenant, stage, at_risk, count(*) from (
        select tenant, stage, stage = any(cast(:tells as text[])) and coalesce(heard <= :silent_since, false) as at_risk
        from (
            select profile.tenant, max(known #>> '{{heard,2}}' collate "C") as heard,
                (array_agg(known #>> '{{stage,2}}' order by
                    known #>> '{{stage,0}}' collate "C" desc, known #>> '{{stage,1}}' collate "C" desc))[1] as stage
            from {customer_profile.fullname} as profile
            left join {customer_join.fullname} as joined using (tenant, customer_key)
            where known #>> '{{stage,2}}' is not null
            group by profile.tenant, coalesce(joined_to, customer_key)
        ) as person
    ) as placed
    group by tenant, stage, at_risk order by tenant, stage, at_risk
    """  # noqa: S608  # our own names
)
_TOUCHPOINT_COLUMNS = [touchpoint.c[field.name] for field in fields(Touchpoint)]


class PostgresCustomerStore:
    """See CustomerStore."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def find(self, tenant: str, keys: Sequence[str], handle: str) -> FoundCustomer | None:
        """See CustomerStore."""
        async with self._reader.connection() as connection:
            found = await _found(connection, tenant, await _first_known(connection, tenant, keys))
            return found or await _found(connection, tenant, await _last_seen_as(connection, tenant, handle))

    async def timeline(
        self, tenant: str, keys: Sequence[str], after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Touchpoint]:
        """See CustomerStore."""

        def ordered(rows: Any) -> tuple[Any, Any]:
            return rows.c.occurred_at, rows.c.event_id

        mine = select(*_TOUCHPOINT_COLUMNS)
        if after is not None:
            # The time alone as well: it rules out whole partitions.
            mine = mine.where(touchpoint.c.occurred_at >= after[0], tuple_(*ordered(touchpoint)) > tuple_(*after))
        # A page of each key, read in the order of the index, and of these pages the first.
        each = _each(tenant, keys, mine.order_by(*ordered(touchpoint)).limit(limit))
        statement = select(each).order_by(*ordered(each)).limit(limit)
        async with self._reader.connection() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [Touchpoint(**{**row, "intents": tuple(row["intents"])}) for row in rows]

    async def latest_sentiment(self, tenant: str, keys: Sequence[str]) -> str:
        """See CustomerStore."""
        columns = (touchpoint.c.occurred_at, touchpoint.c.event_id, touchpoint.c.sentiment)
        felt = select(*columns).where(touchpoint.c.direction == INBOUND, touchpoint.c.sentiment != "")
        latest = felt.order_by(touchpoint.c.occurred_at.desc(), touchpoint.c.event_id.desc()).limit(1)
        each = _each(tenant, keys, latest)
        statement = select(each.c.sentiment).order_by(each.c.occurred_at.desc(), each.c.event_id.desc()).limit(1)
        async with self._reader.connection() as connection:
            return str(await connection.scalar(statement) or "")

    async def sentiment_by_day(self, tenant: str, keys: Sequence[str], days: int) -> list[SentimentOfDay]:
        """See CustomerStore."""
        day = func.date_trunc("day", touchpoint.c.occurred_at, "UTC").label("day")
        sentiment, score = touchpoint.c.sentiment, touchpoint.c.sentiment_score
        labels = ("negative", "neutral", "positive")
        statement = (
            select(
                day,
                *(func.count().filter(sentiment == label).label(label) for label in labels),
                func.count(score).label("scored"),
                cast(func.coalesce(func.sum(func.round(score * MICRO)), 0), BigInteger).label("score_micros"),
            )
            .where(
                touchpoint.c.tenant == tenant,
                touchpoint.c.customer_key.in_(keys),
                touchpoint.c.direction == INBOUND,
                sentiment != "",
            )
            .group_by(day)
            .order_by(day.desc())
            .limit(days)
        )
        async with self._reader.connection() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [
            SentimentOfDay(row["day"], Counters(**{name: row[name] for name in (*labels, "scored", "score_micros")}))
            for row in reversed(rows)
        ]

    async def by_stage(self, silent_since: datetime) -> list[StageCount]:
        """See CustomerStore."""
        wanted = {"silent_since": silent_since.astimezone(UTC).isoformat(), "tells": sorted(SILENCE_TELLS)}
        async with self._reader.connection() as connection:
            return [StageCount(*row) for row in await connection.execute(_BY_STAGE, wanted)]


def _each(tenant: str, keys: Sequence[str], touchpoints: Select[Any]) -> Any:
    """Those touchpoints of each of these keys, as rows to select from."""
    wanted = func.unnest(cast(list(keys), ARRAY(Text))).table_valued("key").render_derived(name="wanted")
    mine = touchpoints.where(touchpoint.c.tenant == tenant, touchpoint.c.customer_key == wanted.c.key).lateral("mine")
    return select(mine).select_from(wanted.join(mine, true())).subquery("each")


async def _found(connection: AsyncConnection, tenant: str, key: str | None) -> FoundCustomer | None:
    if key is None:
        return None
    group = await _one_person(connection, tenant, key)
    mine = (customer_profile.c.tenant == tenant, customer_profile.c.customer_key.in_(group))
    profiles = [profile_of(row) for row in await connection.execute(select(customer_profile).where(*mine))]
    return FoundCustomer(tuple(group), reduce(Profile.merge, profiles)) if profiles else None


async def _first_known(connection: AsyncConnection, tenant: str, keys: Sequence[str]) -> str | None:
    """The first of these keys that has a profile, or was ever joined with another."""
    joined = select(customer_join.c.customer_key, customer_join.c.joined_to).where(
        customer_join.c.tenant == tenant,
        or_(customer_join.c.customer_key.in_(keys), customer_join.c.joined_to.in_(keys)),
    )
    seen = select(customer_profile.c.customer_key).where(
        customer_profile.c.tenant == tenant, customer_profile.c.customer_key.in_(keys)
    )
    known = {key for row in await connection.execute(joined) for key in row}
    known |= {row.customer_key for row in await connection.execute(seen)}
    return next((key for key in keys if key in known), None)


async def _last_seen_as(connection: AsyncConnection, tenant: str, handle: str) -> str | None:
    statement = (
        select(customer_profile.c.customer_key)
        .where(customer_profile.c.tenant == tenant, customer_profile.c.handles.op("@>")(cast([handle], ARRAY(Text))))
        .order_by(customer_profile.c.last_seen.desc(), customer_profile.c.customer_key)
        .limit(1)
    )
    key: str | None = await connection.scalar(statement)
    return key


async def _one_person(connection: AsyncConnection, tenant: str, key: str) -> list[str]:
    """The key in force for this one, and all that were joined to it."""
    mine = customer_join.c.tenant == tenant
    found = await connection.scalar(select(customer_join.c.joined_to).where(mine, customer_join.c.customer_key == key))
    in_force = str(found or key)
    others = select(customer_join.c.customer_key).where(
        mine, customer_join.c.joined_to == in_force, customer_join.c.customer_key != in_force
    )
    rows = await connection.execute(others.order_by(customer_join.c.customer_key))
    return [in_force, *(row.customer_key for row in rows)]
