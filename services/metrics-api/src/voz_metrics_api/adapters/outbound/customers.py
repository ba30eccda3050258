"""Reading customers' profiles and timelines: PostgresCustomerStore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Text, cast, func, select, tuple_

from voz_metrics_api.adapters.outbound.profiles import profile_of
from voz_metrics_api.adapters.outbound.reading import Reader
from voz_metrics_api.adapters.outbound.tables import customer_profile, touchpoint
from voz_metrics_api.domain.counters import MICRO, Counters
from voz_metrics_api.domain.facts import INBOUND
from voz_metrics_api.domain.profiles import Profile
from voz_metrics_api.ports import SentimentOfDay, Touchpoint

_TOUCHPOINT_COLUMNS = [touchpoint.c[field.name] for field in fields(Touchpoint)]


class PostgresCustomerStore:
    """See CustomerStore."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def find(self, tenant: str, keys: Sequence[str], handle: str) -> tuple[str, Profile] | None:
        """See CustomerStore."""
        of_tenant = select(customer_profile).where(customer_profile.c.tenant == tenant)
        by_key = of_tenant.where(customer_profile.c.customer_key.in_(keys))
        by_handle = (
            of_tenant.where(customer_profile.c.handles.op("@>")(cast([handle], ARRAY(Text))))
            .order_by(customer_profile.c.last_seen.desc(), customer_profile.c.customer_key)
            .limit(1)
        )
        async with self._reader.connection() as connection:
            rows = (await connection.execute(by_key)).all() or (await connection.execute(by_handle)).all()
        if not rows:
            return None
        first = min(rows, key=lambda row: keys.index(row.customer_key) if row.customer_key in keys else len(keys))
        return first.customer_key, profile_of(first)

    async def timeline(
        self, tenant: str, key: str, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Touchpoint]:
        """See CustomerStore."""
        order = (touchpoint.c.occurred_at, touchpoint.c.event_id)
        statement = (
            select(*_TOUCHPOINT_COLUMNS)
            .where(touchpoint.c.tenant == tenant, touchpoint.c.customer_key == key)
            .order_by(*order)
            .limit(limit)
        )
        if after is not None:
            # The time alone as well: it rules out whole partitions.
            statement = statement.where(touchpoint.c.occurred_at >= after[0], tuple_(*order) > tuple_(*after))
        async with self._reader.connection() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [Touchpoint(**{**row, "intents": tuple(row["intents"])}) for row in rows]

    async def latest_sentiment(self, tenant: str, key: str) -> str:
        """See CustomerStore."""
        statement = (
            select(touchpoint.c.sentiment)
            .where(
                touchpoint.c.tenant == tenant,
                touchpoint.c.customer_key == key,
                touchpoint.c.direction == INBOUND,
                touchpoint.c.sentiment != "",
            )
            .order_by(touchpoint.c.occurred_at.desc(), touchpoint.c.event_id.desc())
            .limit(1)
        )
        async with self._reader.connection() as connection:
            return str(await connection.scalar(statement) or "")

    async def sentiment_by_day(self, tenant: str, key: str, days: int) -> list[SentimentOfDay]:
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
                touchpoint.c.customer_key == key,
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
