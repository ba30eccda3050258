"""What a batch of facts does to PostgreSQL, within the transaction of the exactly-once sink.

Tables are touched in one order, and rows of each in the order of their keys, so that two consumers never wait for each
other in a circle: message_state, case_state, dimension_set, rollups from fine to coarse, customer_profile, touchpoint,
customer_join.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from voz_metrics_api.adapters.outbound import bulk
from voz_metrics_api.adapters.outbound.changes import NOTIFY
from voz_metrics_api.adapters.outbound.profiles import save_profiles
from voz_metrics_api.adapters.outbound.revisions import revise
from voz_metrics_api.adapters.outbound.tables import (
    DIMENSION_COLUMNS,
    DURATION_ROLLUPS,
    ROLLUPS,
    case_state,
    customer_join,
    dimension_set,
)
from voz_metrics_api.adapters.outbound.timelines import save_timelines
from voz_metrics_api.domain.cells import CaseChange, Cell, Cells, Counted, DurationCell, fold
from voz_metrics_api.domain.contributions import CaseState
from voz_metrics_api.domain.dimensions import Dimensions
from voz_metrics_api.domain.facts import CaseFacts, EventFacts, JoinFacts
from voz_metrics_api.domain.windows import Level
from voz_streamkit.sink import Incoming

_CASE_COLUMNS = [column.name for column in case_state.columns]
_LOCK_CASES = text(
    f"select {', '.join(_CASE_COLUMNS)} from {case_state.fullname} as held"  # noqa: S608  # our own names
    " join unnest(cast(:tenants as text[]), cast(:ids as uuid[])) as wanted (t, i) on t = tenant and i = case_id"
    " order by tenant, case_id for update of held"
)
_SAVE_CASES = bulk.insert_newer(case_state, ("tenant", "case_id"), "sequence")
_SAVE_JOINS = bulk.insert_newer(customer_join, ("tenant", "customer_key"), "number")
_SAVE_DIMENSIONS = bulk.insert_new(dimension_set)
_CELL = ("tenant", "bucket", "dimensions")
_ADD = {level: bulk.insert_adding(table, _CELL) for level, table in ROLLUPS.items()}
_ADD_DURATIONS = {
    level: bulk.insert_adding(table, (*_CELL, "measure", "bin")) for level, table in DURATION_ROLLUPS.items()
}


class PostgresEffects:
    """Counts new events and the newest states of cases; keeps profiles and timelines.

    Of a message only the newest version counts, and none once it was taken back: what had been counted is undone.
    """

    async def apply(
        self, connection: AsyncConnection, events: Sequence[Incoming[EventFacts | CaseFacts | JoinFacts]]
    ) -> None:
        """Apply facts that were never applied before. The same facts in any order and any batches end the same."""
        heard: list[EventFacts] = [incoming.event for incoming in events if isinstance(incoming.event, EventFacts)]
        cases = _newest(incoming.event for incoming in events if isinstance(incoming.event, CaseFacts))
        settlement, earlier = await revise(connection, heard)
        uncounted = [each for each in earlier if each.key in settlement.uncounted]
        facts: list[EventFacts | CaseFacts] = [*heard, *cases]
        digests = {each.dimensions: each.dimensions.digest() for each in facts}
        changes = await _save_cases(connection, cases)
        sets = {(each.tenant, digests[each.dimensions]): each.dimensions for each in facts}
        await _save_dimension_sets(connection, sets)
        counted = {event.key: Counted.of(event, digests[event.dimensions]) for event in heard}
        minutes = fold(
            (counted[event.key] for event in settlement.counting),
            changes,
            (each.counted for each in uncounted if each.counted),
        )
        for level in (Level.MINUTE, Level.HOUR, Level.DAY):
            await _add(connection, minutes.at(level))
        await save_profiles(connection, heard, settlement.counting, uncounted)
        await save_timelines(connection, settlement, earlier, counted)
        await _save_joins(connection, [each.event for each in events if isinstance(each.event, JoinFacts)])
        await connection.execute(NOTIFY, {"tenants": sorted({each.tenant for each in facts})})


def _newest(cases: Iterable[CaseFacts]) -> list[CaseFacts]:
    newest: dict[tuple[str, UUID], CaseFacts] = {}
    for case in cases:
        held = newest.get((case.tenant, case.case_id))
        if held is None or case.sequence > held.sequence:
            newest[case.tenant, case.case_id] = case
    return [newest[key] for key in sorted(newest)]


async def _save_cases(connection: AsyncConnection, cases: Sequence[CaseFacts]) -> list[CaseChange]:
    """Keep the newest state of each case. A case lives in one partition, so nobody else writes a new one meanwhile."""
    if not cases:
        return []
    wanted = {"tenants": [case.tenant for case in cases], "ids": [case.case_id for case in cases]}
    rows = await connection.execute(_LOCK_CASES, wanted)
    held = {(row[0], row[1]): CaseState(*row[2:]) for row in rows}
    changes = []
    for case in cases:
        before = held.get((case.tenant, case.case_id))
        if before is None or before.sequence < case.sequence:
            changes.append(CaseChange(case.tenant, case.case_id, before, CaseState.of(case)))
    states = [(change.tenant, change.case_id, *_values(change.after)) for change in changes]
    if states:
        await connection.execute(_SAVE_CASES, bulk.parameters(case_state, states))
    return changes


def _values(state: CaseState) -> tuple[object, ...]:
    return tuple(getattr(state, name) for name in _CASE_COLUMNS[2:])


async def _save_joins(connection: AsyncConnection, joins: Iterable[JoinFacts]) -> None:
    newest: dict[tuple[str, str], JoinFacts] = {}
    for join in sorted(joins, key=lambda join: join.number):
        newest[join.tenant, join.customer_key] = join
    if newest:
        rows = [(*key, newest[key].joined_to, newest[key].number) for key in sorted(newest)]
        await connection.execute(_SAVE_JOINS, bulk.parameters(customer_join, rows))


async def _save_dimension_sets(connection: AsyncConnection, sets: Mapping[tuple[str, UUID], Dimensions]) -> None:
    if not sets:
        return
    rows = [
        (*key, *(getattr(sets[key], name) for name in DIMENSION_COLUMNS), bulk.LIST_SEPARATOR.join(sets[key].intents))
        for key in sorted(sets)
    ]
    await connection.execute(_SAVE_DIMENSIONS, bulk.parameters(dimension_set, rows))


async def _add(connection: AsyncConnection, cells: Cells) -> None:
    if cells.counters:
        rows = [(*cell, *cells.counters[cell]) for cell in sorted(cells.counters, key=_order)]
        await connection.execute(_ADD[cells.level], bulk.parameters(ROLLUPS[cells.level], rows))
    if cells.durations:
        timed = [(*cell, *cells.durations[cell]) for cell in sorted(cells.durations, key=_order)]
        await connection.execute(_ADD_DURATIONS[cells.level], bulk.parameters(DURATION_ROLLUPS[cells.level], timed))


def _order(cell: Cell | DurationCell) -> tuple[object, ...]:
    """The order of the keys; a UUID's number compares in C, the UUID itself doesn't."""
    tenant, bucket, dimensions, *rest = cell
    return tenant, bucket, dimensions.int, *rest
