"""Cases, decisions and outbox in PostgreSQL, each change in one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, and_, bindparam, column, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_unless_there
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voz_router.adapters.outbound import tables
from voz_router.adapters.outbound.messages import Publish
from voz_router.adapters.outbound.postgres_revisions import holders_of, lock_messages, save_revisions
from voz_router.adapters.outbound.rows import case_event_row, case_of, case_row, decision_row, message_row
from voz_router.adapters.outbound.tables import ONE_OPEN_CASE, idempotency_key, support_case
from voz_router.domain.cases import RESOLVED, Case, CaseEvent
from voz_router.domain.events import Event
from voz_router.domain.revisions import Revised, messages_of
from voz_router.domain.routing import Plan
from voz_router.ports import Json, KeyReusedError, OtherCaseOpenError, Request
from voz_streamkit.errors import TransientError
from voz_streamkit.outbox import enqueue

# What changes in a case's life; the rest of its row stays as it was opened.
_CHANGING = (
    *("queue", "status", "rule", "reason", "policy_version", "assignee", "outcome"),
    *("clock_started_at", "due_at", "first_response_at", "first_resolved_at", "resolved_at"),
    *("message_count", "reopen_count", "transfer_count", "sequence"),
)
_UPDATE = (
    update(support_case)
    .where(support_case.c.tenant == bindparam("of_tenant"), support_case.c.id == bindparam("of_id"))
    .values({name: bindparam(name) for name in _CHANGING})
)

_customers = (
    func.unnest(bindparam("tenants", type_=ARRAY(Text)), bindparam("keys", type_=ARRAY(Text)))
    .table_valued(column("tenant", Text), column("customer_key", Text), name="customers")
    .render_derived()
)
_of_customer = and_(
    support_case.c.tenant == _customers.c.tenant, support_case.c.customer_key == _customers.c.customer_key
)
_UNRESOLVED = (
    select(support_case.c.tenant, support_case.c.id)
    .join(_customers, _of_customer)
    .where(support_case.c.status != RESOLVED)
)
_others = (
    func.unnest(bindparam("of_tenants", type_=ARRAY(Text)), bindparam("ids", type_=ARRAY(Uuid)))
    .table_valued(column("tenant", Text), column("id", Uuid), name="others")
    .render_derived()
)
_OTHERS = select(_others.c.tenant, _others.c.id)


class PostgresRoutingStore:
    """RoutingStore over the transaction of a batch. A score of statements at most, whatever the batch's size; rows are
    locked in one order: messages' states, then cases."""

    def __init__(self, connection: AsyncConnection, publish: Publish) -> None:
        self._connection, self._publish = connection, publish

    async def lock(self, events: Sequence[Event]) -> tuple[list[Case], Revised]:
        """See RoutingStore."""
        messages, revised = messages_of(events)
        states = await lock_messages(self._connection, messages, revised)
        holders = await holders_of(self._connection, revised)
        holding = {(tenant, case_id) for (tenant, _), cases in holders.items() for case_id in cases}
        customers = {(event.tenant, event.customer.key) for event in events}
        cases = await self._lock_cases(customers, holding)
        active = [case for case in cases if case.active and (case.tenant, case.customer.key) in customers]
        held = tuple(case for case in cases if (case.tenant, case.id) in holding)
        return active, Revised(states, holders, held)

    async def _lock_cases(
        self, customers: Collection[tuple[str, str]], others: Collection[tuple[str, UUID]]
    ) -> list[Case]:
        """The unresolved cases of these customers, and these other ones; a row comes as it stands once it is locked."""
        tenants, keys = zip(*customers, strict=True)
        parameters: dict[str, list[Any]] = {"tenants": list(tenants), "keys": list(keys)}
        asked = _UNRESOLVED.subquery("wanted")
        if others:
            asked = _UNRESOLVED.union(_OTHERS).subquery("wanted")
            parameters |= {"of_tenants": [tenant for tenant, _ in others], "ids": [each for _, each in others]}
        mine = and_(support_case.c.tenant == asked.c.tenant, support_case.c.id == asked.c.id)
        ordered = select(support_case).join(asked, mine).order_by(support_case.c.tenant, support_case.c.id)
        found = await self._connection.execute(ordered.with_for_update(of=support_case), parameters)
        return [case_of(row) for row in found.mappings()]

    async def save(self, plan: Plan) -> None:
        """See RoutingStore."""
        opened = plan.opened_cases()
        if opened:
            try:
                await self._connection.execute(insert(support_case), [case_row(case) for case in opened])
            except IntegrityError as error:
                if ONE_OPEN_CASE in str(error.orig):
                    raise TransientError("somebody reopened a case of the same customer at this moment") from error
                raise
        changed = plan.changed_cases()
        if changed:
            await self._connection.execute(_UPDATE, [_changes(case) for case in changed])
        await _write_history(self._connection, plan.case_events, self._publish)
        if plan.messages:
            rows = [message_row(message) for message in plan.messages]
            await self._connection.execute(insert(tables.case_message), rows)
        await save_revisions(self._connection, plan.states, plan.changes, plan.reworded_cases())
        rows = [decision_row(decision) for decision in plan.decisions]
        await self._connection.execute(insert(tables.decision), rows)


class PostgresCaseStore:
    """CaseStore; `committed` is called after each transaction that changed something."""

    def __init__(self, engine: AsyncEngine, publish: Publish, committed: Callable[[], None]) -> None:
        self._engine, self._publish, self._committed = engine, publish, committed

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresCaseTransaction]:
        """See CaseStore."""
        async with self._engine.begin() as connection:
            yield PostgresCaseTransaction(connection, self._publish)
        self._committed()


class PostgresCaseTransaction:
    """CaseTransaction over one connection."""

    def __init__(self, connection: AsyncConnection, publish: Publish) -> None:
        self._connection, self._publish = connection, publish

    async def answered(self, tenant: str, request: Request, now: datetime) -> Json | None:
        """See CaseTransaction. The insertion waits for another transaction that is taking the same key."""
        row = {"tenant": tenant, "key": request.key, "fingerprint": request.fingerprint, "created_at": now}
        take = (
            insert_unless_there(idempotency_key).values(row).on_conflict_do_nothing().returning(idempotency_key.c.key)
        )
        if (await self._connection.execute(take)).first() is not None:
            return None
        known = select(idempotency_key.c.fingerprint, idempotency_key.c.answer).where(
            idempotency_key.c.tenant == tenant, idempotency_key.c.key == request.key
        )
        fingerprint, answer = (await self._connection.execute(known)).one()
        if fingerprint != request.fingerprint:
            raise KeyReusedError("This Idempotency-Key came before with a different request.")
        found: Json = answer
        return found

    async def remember(self, tenant: str, request: Request, answer: Json) -> None:
        """See CaseTransaction."""
        mine = and_(idempotency_key.c.tenant == tenant, idempotency_key.c.key == request.key)
        await self._connection.execute(update(idempotency_key).where(mine).values(answer=answer))

    async def lock(self, tenant: str, case_id: UUID) -> Case | None:
        """See CaseTransaction."""
        mine = and_(support_case.c.tenant == tenant, support_case.c.id == case_id)
        row = (await self._connection.execute(select(support_case).where(mine).with_for_update())).mappings().first()
        return case_of(row) if row else None

    async def save(self, happened: CaseEvent) -> None:
        """See CaseTransaction."""
        try:
            await self._connection.execute(_UPDATE, [_changes(happened.case)])
        except IntegrityError as error:
            if ONE_OPEN_CASE in str(error.orig):
                raise OtherCaseOpenError from error
            raise
        await _write_history(self._connection, [happened], self._publish)


async def _write_history(connection: AsyncConnection, happened: Sequence[CaseEvent], publish: Publish) -> None:
    if happened:
        await connection.execute(insert(tables.case_event), [case_event_row(each) for each in happened])
        await enqueue(connection, tables.streamkit, list(publish(happened)))


def _changes(case: Case) -> dict[str, object]:
    return {"of_tenant": case.tenant, "of_id": case.id} | {name: getattr(case, name) for name in _CHANGING}
