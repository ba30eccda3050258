"""Reading queues, cases and decisions from PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from voz_router.adapters.outbound.rows import case_of, decision_of, message_of
from voz_router.adapters.outbound.tables import case_event, case_message, decision, support_case
from voz_router.domain.cases import CLAIMED, OPEN, RESOLVED, WAITING, Case, Status
from voz_router.domain.decisions import Decision
from voz_router.ports import CaseDetail, HistoryEntry, QueueCounts

# A case that is talked about for ever must not become an answer without end.
MAX_DETAIL_ROWS = 1000


class PostgresCaseQueries:
    """CaseQueries; every statement names the tenant."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def queue_counts(self, tenant: str, now: datetime) -> list[QueueCounts]:
        """See CaseQueries."""
        case = support_case.c
        count = func.count()
        statement = (
            select(
                case.queue,
                count.filter(case.status == OPEN),
                count.filter(case.status == CLAIMED),
                count.filter(case.status == WAITING),
                count.filter(case.due_at < now),
                func.min(case.clock_started_at).filter(case.status == OPEN),
            )
            .where(case.tenant == tenant, case.status != RESOLVED)
            .group_by(case.queue)
            .order_by(case.queue)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return [
            QueueCounts(
                queue, waiting, claimed, held, late, max(0.0, (now - oldest).total_seconds()) if oldest else None
            )
            for queue, waiting, claimed, held, late, oldest in rows
        ]

    async def queue_cases(
        self, tenant: str, queue: str, status: Status, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Case]:
        """See CaseQueries."""
        case = support_case.c
        statement = (
            select(support_case)
            .where(case.tenant == tenant, case.queue == queue, case.status == status)
            .order_by(case.due_at, case.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(tuple_(case.due_at, case.id) > tuple_(*after))
        async with self._engine.connect() as connection:
            return [case_of(row) for row in (await connection.execute(statement)).mappings()]

    async def case_detail(self, tenant: str, case_id: UUID) -> CaseDetail | None:
        """See CaseQueries. One snapshot: history and case agree."""
        mine = and_(support_case.c.tenant == tenant, support_case.c.id == case_id)
        said = (
            select(case_message)
            .where(case_message.c.tenant == tenant, case_message.c.case_id == case_id)
            .order_by(case_message.c.occurred_at, case_message.c.event_id)
            .limit(MAX_DETAIL_ROWS)
        )
        done = (
            select(*(case_event.c[name] for name in HistoryEntry.__slots__))
            .where(case_event.c.tenant == tenant, case_event.c.case_id == case_id)
            .order_by(case_event.c.sequence)
            .limit(MAX_DETAIL_ROWS)
        )
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            row = (await connection.execute(select(support_case).where(mine))).mappings().first()
            if row is None:
                return None
            case = case_of(row)
            messages = [message_of(each, case.customer) for each in (await connection.execute(said)).mappings()]
            history = [HistoryEntry(**each) for each in (await connection.execute(done)).mappings()]
        return CaseDetail(case, messages, history)

    async def decisions_of_event(self, tenant: str, event_id: UUID) -> list[Decision]:
        """See CaseQueries."""
        mine = and_(decision.c.tenant == tenant, decision.c.event_id == event_id)
        async with self._engine.connect() as connection:
            found = await connection.execute(select(decision).where(mine).order_by(decision.c.decided_at.desc()))
            return [decision_of(row) for row in found.mappings()]

    async def decisions_of_customer(
        self, tenant: str, customer_keys: Collection[str], before: tuple[datetime, UUID] | None, limit: int
    ) -> list[Decision]:
        """See CaseQueries."""
        place = tuple_(decision.c.decided_at, decision.c.event_id)
        statement = (
            select(decision)
            .where(decision.c.tenant == tenant, decision.c.customer_key.in_(customer_keys))
            .order_by(decision.c.decided_at.desc(), decision.c.event_id.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(place < tuple_(*before))
        async with self._engine.connect() as connection:
            return [decision_of(row) for row in (await connection.execute(statement)).mappings()]
