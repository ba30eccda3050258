"""Messages that are edited or taken back: what was applied of them before, and what is to become of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voz_metrics_api.adapters.outbound.tables import message_state, touchpoint
from voz_metrics_api.domain.cells import Counted
from voz_metrics_api.domain.counters import Counters
from voz_metrics_api.domain.facts import INBOUND, EventFacts
from voz_metrics_api.domain.revisions import EventKey, MessageKey, MessageState, Settlement, messages_of, settle

_WANTED = "unnest(cast(:tenants as text[]), cast(:ids as uuid[])) as wanted (t, i)"
_ENTER = text(
    f"insert into {message_state.fullname} (tenant, message_id, version, deleted)"  # noqa: S608  # our own names
    f" select t, i, '', false from {_WANTED} on conflict do nothing returning tenant, message_id"
)
_LOCK = text(
    f"select tenant, message_id, newest, version, deleted from {message_state.fullname} as held"  # noqa: S608
    f" join {_WANTED} on t = tenant and i = message_id order by tenant, message_id for update of held"
)
_SAVE = text(
    f"update {message_state.fullname} as held set newest = n, version = v, deleted = d, changed_at = now()"  # noqa: S608
    " from unnest(cast(:tenants as text[]), cast(:ids as uuid[]), cast(:newest as uuid[]), cast(:versions as text[]),"
    " cast(:deleted as boolean[])) as given (t, i, n, v, d) where tenant = t and message_id = i"
)
_EARLIER = text(
    "select tenant, customer_key, occurred_at, event_id, direction, dimensions, counters"  # noqa: S608
    f" from {touchpoint.fullname} join {_WANTED} on i = event_id and t = tenant"
    " order by tenant, customer_key, occurred_at, event_id"
)
_TRIM = text(
    f"delete from {message_state.fullname} where (tenant, message_id) in"  # noqa: S608
    f" (select tenant, message_id from {message_state.fullname} where changed_at < :before limit :rows"
    " for update skip locked)"
)
_ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Earlier:
    """An event that was applied before, as its touchpoint tells. `counted` is None where that was not kept yet."""

    tenant: str
    customer_key: str
    occurred_at: datetime
    event_id: UUID
    inbound: bool
    counted: Counted | None

    @property
    def key(self) -> EventKey:
        """Which event."""
        return self.tenant, self.event_id


async def revise(connection: AsyncConnection, events: Sequence[EventFacts]) -> tuple[Settlement, list[Earlier]]:
    """What these new events mean for each other and for what was applied before, with the events of `touched`.

    The states of their messages are locked, in one order, and saved. Whoever applies another version meanwhile waits;
    that the original isn't being applied is the sink's business (`Incoming.concerns`).
    """
    messages, revised = messages_of(events)
    held = await _lock(connection, messages, revised)
    settlement = settle(events, held)
    await _save(connection, {key: state for key, state in settlement.states.items() if state != held[key]})
    return settlement, await _earlier(connection, settlement.touched)


async def trim_message_states(engine: AsyncEngine, before: datetime) -> None:
    """Forget messages whose last version or deletion is older: their touchpoints are dropped by then."""
    while True:
        async with engine.begin() as connection:
            trimmed = await connection.execute(_TRIM, {"before": before, "rows": _ROWS_AT_ONCE})
        if trimmed.rowcount < _ROWS_AT_ONCE:
            return


async def _lock(
    connection: AsyncConnection, messages: Collection[MessageKey], revised: Collection[MessageKey]
) -> dict[MessageKey, MessageState]:
    if not messages:
        return {}
    entered: set[MessageKey] = set()
    if revised:
        entered = {(row[0], row[1]) for row in await connection.execute(_ENTER, _columns(revised))}
    rows = await connection.execute(_LOCK, _columns(messages))
    held = {(row[0], row[1]): MessageState(*row[2:]) for row in rows}
    # Of a message that is revised for the first time the original may have been applied long ago.
    for original in await _earlier(connection, entered):
        held[original.key] = MessageState(newest=original.event_id)
    return held


async def _save(connection: AsyncConnection, states: dict[MessageKey, MessageState]) -> None:
    if states:
        keys = sorted(states)
        values = {
            "newest": [states[key].newest for key in keys],
            "versions": [states[key].version for key in keys],
            "deleted": [states[key].deleted for key in keys],
        }
        await connection.execute(_SAVE, _columns(keys) | values)


async def _earlier(connection: AsyncConnection, events: Collection[EventKey]) -> list[Earlier]:
    if not events:
        return []
    found = []
    for row in await connection.execute(_EARLIER, _columns(events)):
        counted = None
        if row.dimensions is not None:
            counters = json.loads(row.counters) if isinstance(row.counters, str) else row.counters
            counted = Counted(row.tenant, row.occurred_at, row.dimensions, Counters(**counters))
        inbound = row.direction == INBOUND
        found.append(Earlier(row.tenant, row.customer_key, row.occurred_at, row.event_id, inbound, counted))
    return found


def _columns(keys: Collection[tuple[str, UUID]]) -> dict[str, list[object]]:
    ordered = sorted(keys)
    return {"tenants": [tenant for tenant, _ in ordered], "ids": [each for _, each in ordered]}
