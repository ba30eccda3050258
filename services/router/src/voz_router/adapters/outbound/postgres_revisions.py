"""Messages that were edited or taken back, in the transaction of a batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Boolean, Text, Uuid, and_, bindparam, column, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from voz_router.adapters.outbound.rows import message_signals, signals_json
from voz_router.adapters.outbound.tables import case_message, message_state, support_case
from voz_router.domain.cases import Case
from voz_router.domain.events import Event, Signals
from voz_router.domain.revisions import MessageKey, MessageState

_asked = (
    func.unnest(bindparam("tenants", type_=ARRAY(Text)), bindparam("ids", type_=ARRAY(Uuid)))
    .table_valued(column("tenant", Text), column("id", Uuid), name="asked")
    .render_derived()
)
_of_message = and_(message_state.c.tenant == _asked.c.tenant, message_state.c.message_id == _asked.c.id)
_ENTER = (
    insert(message_state)
    .from_select(
        ["tenant", "message_id", "deleted"],
        select(_asked.c.tenant, _asked.c.id, literal(False, Boolean)).order_by(_asked.c.tenant, _asked.c.id),
    )
    .on_conflict_do_nothing()
)
_LOCK = (
    select(message_state)
    .join(_asked, _of_message)
    .order_by(message_state.c.tenant, message_state.c.message_id)
    .with_for_update(of=message_state)
)
_HOLDERS = (
    select(case_message.c.tenant, case_message.c.message_id, case_message.c.case_id)
    .distinct()
    .join(_asked, and_(case_message.c.tenant == _asked.c.tenant, case_message.c.message_id == _asked.c.id))
    .order_by(case_message.c.tenant, case_message.c.message_id, case_message.c.case_id)
)
_SAVE = (
    update(message_state)
    .where(message_state.c.tenant == bindparam("of_tenant"), message_state.c.message_id == bindparam("of_id"))
    .values(version=bindparam("version"), deleted=bindparam("deleted"), changed_at=func.now())
)
_REWORD_MESSAGE = (
    update(case_message)
    .where(case_message.c.tenant == bindparam("of_tenant"), case_message.c.message_id == bindparam("of_id"))
    .values({name: bindparam(name) for name in ("text", "signals", "edited", "deleted")})
)
_REWORD_CASE = (
    update(support_case)
    .where(support_case.c.tenant == bindparam("of_tenant"), support_case.c.id == bindparam("of_id"))
    .values(text=bindparam("text"), signals=bindparam("signals"))
)


async def lock_messages(
    connection: AsyncConnection, messages: Collection[MessageKey], revised: Collection[MessageKey]
) -> dict[MessageKey, MessageState]:
    """What is known of those messages that were ever edited or taken back, or are now (`revised`); locked in one order.

    That an original isn't being routed meanwhile is the sink's business (`Incoming.concerns`).
    """
    if revised:
        await connection.execute(_ENTER, _columns(revised))
    rows = await connection.execute(_LOCK, _columns(messages))
    return {(row.tenant, row.message_id): MessageState(row.version, row.deleted) for row in rows}


async def holders_of(
    connection: AsyncConnection, messages: Collection[MessageKey]
) -> dict[MessageKey, tuple[Any, ...]]:
    """The cases that hold these messages."""
    found: dict[MessageKey, tuple[Any, ...]] = {}
    if messages:
        for tenant, message_id, case_id in await connection.execute(_HOLDERS, _columns(messages)):
            found[tenant, message_id] = (*found.get((tenant, message_id), ()), case_id)
    return found


async def save_revisions(
    connection: AsyncConnection,
    states: Mapping[MessageKey, MessageState],
    changes: Mapping[MessageKey, Event],
    reworded: Sequence[Case],
) -> None:
    """Write how messages read from now on; new ones are there already."""
    for statement, rows in (
        (
            _SAVE,
            [_of(key) | {"version": states[key].version, "deleted": states[key].deleted} for key in sorted(states)],
        ),
        (_REWORD_MESSAGE, [_of(key) | _reads(changes[key]) for key in sorted(changes)]),
        (_REWORD_CASE, [_of((case.tenant, case.id)) | _case_reads(case) for case in reworded]),
    ):
        if rows:
            await connection.execute(statement, rows)


def _reads(event: Event) -> dict[str, Any]:
    if event.deletes:
        return {"text": "", "signals": signals_json(Signals()), "edited": False, "deleted": True}
    return {"text": event.text, "signals": message_signals(event), "edited": True, "deleted": False}


def _case_reads(case: Case) -> dict[str, Any]:
    return {"text": case.text, "signals": signals_json(case.signals)}


def _of(key: MessageKey) -> dict[str, Any]:
    return {"of_tenant": key[0], "of_id": key[1]}


def _columns(keys: Collection[MessageKey]) -> dict[str, list[Any]]:
    ordered = sorted(keys)
    return {"tenants": [tenant for tenant, _ in ordered], "ids": [each for _, each in ordered]}
