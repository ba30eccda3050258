"""Partitions made ahead, and what is over its time dropped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from voz_router.adapters.outbound.tables import (
    IDEMPOTENCY_KEYS_KEPT,
    SCHEMA,
    idempotency_key,
    message_state,
    support_case,
)
from voz_router.domain.cases import RESOLVED
from voz_streamkit.ledger import trim_applied_events
from voz_streamkit.partitions import PartitionPolicy, maintain_partitions

ROWS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, days."""

    decisions_days: int
    cases_days: int
    applied_ids_days: int


async def keep_up(engine: AsyncEngine, retention: Retention, now: datetime) -> None:
    """Make partitions for the time to come; drop and delete what is older than its retention. Can run at any time."""
    cases_kept = timedelta(days=retention.cases_days)
    policies = (
        PartitionPolicy("decision", "day", ahead=7, keep=timedelta(days=retention.decisions_days)),
        PartitionPolicy("case_message", "month", ahead=2, keep=cases_kept),
        PartitionPolicy("case_event", "month", ahead=2, keep=cases_kept),
    )
    await maintain_partitions(engine, SCHEMA, policies, now)
    await trim_applied_events(engine, SCHEMA, now - timedelta(days=retention.applied_ids_days))
    await _delete_old(engine, idempotency_key, idempotency_key.c.created_at < now - IDEMPOTENCY_KEYS_KEPT)
    await _delete_old(engine, message_state, message_state.c.changed_at < now - cases_kept)
    over = (support_case.c.status == RESOLVED) & (support_case.c.resolved_at < now - cases_kept)
    await _delete_old(engine, support_case, over)


async def _delete_old(engine: AsyncEngine, table: Table, old: ColumnElement[bool]) -> None:
    """Delete in short transactions, so that nobody waits for long."""
    key = list(table.primary_key.columns)
    some = select(*key).where(old).limit(ROWS_AT_ONCE).with_for_update(skip_locked=True)
    while True:
        async with engine.begin() as connection:
            deleted = await connection.execute(delete(table).where(tuple_(*key).in_(some)))
        if deleted.rowcount < ROWS_AT_ONCE:
            return
