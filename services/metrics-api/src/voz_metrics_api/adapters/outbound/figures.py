"""Figures out of the rollups: PostgresFigureStore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Row,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    true,
    union_all,
)

from voz_metrics_api.adapters.outbound.reading import Reader
from voz_metrics_api.adapters.outbound.tables import DURATION_ROLLUPS, ROLLUPS, dimension_set
from voz_metrics_api.domain.counters import Counters
from voz_metrics_api.domain.durations import Measure, Sketch
from voz_metrics_api.domain.kpis import Figures
from voz_metrics_api.domain.windows import Level, Segment, Window, level_of, segments
from voz_metrics_api.ports import Filters, Group, Selection

INTENT: Final = "intent"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTERS: Final = Counters._fields
_DURATION_KEYS: Final = ("measure", "bin")
_DURATION_SUMS: Final = ("n", "micros")
# A connection keeps a statement's plan, and one made while the tables were small joins by nested loops: merged cells
# are computed anew for every dimension set, which is quadratic after a burst. A hash join is right at any size.
_NO_NESTED_LOOPS: Final = text("set local enable_nestloop = off")
# A point of a series; None in a figure of a whole window.
Point = datetime | None
Found = dict[tuple[Group, Point], Figures]


class PostgresFigureStore:
    """Sums days for the middle of a window, hours and minutes towards its edges."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def figures(self, selection: Selection, window: Window, *, timed: bool) -> dict[Group, Figures]:
        """See FigureStore."""
        found = await self._read(selection, segments(window), timed, None)
        return {group: figures for (group, _), figures in found.items()}

    async def series(
        self, selection: Selection, window: Window, step: timedelta, *, timed: bool
    ) -> dict[Group, dict[datetime, Figures]]:
        """See FigureStore."""
        found = await self._read(selection, [Segment(level_of(step), window.start, window.end)], timed, step)
        series: dict[Group, dict[datetime, Figures]] = {}
        for (group, point), figures in found.items():
            if point is not None:
                series.setdefault(group, {})[point] = figures
        return series

    async def by_tenant(self, window: Window, limit: int) -> dict[str, Figures]:
        """See FigureStore."""
        parts = segments(window)
        cells = _cells(ROLLUPS, ("tenant",), _COUNTERS, parts, None, None)
        sums = _sums(cells, _COUNTERS)
        largest = select(cells.c.tenant, *sums).group_by(cells.c.tenant).order_by(sums[0].desc(), cells.c.tenant)
        keys = ("tenant", *_DURATION_KEYS)
        times = _cells(DURATION_ROLLUPS, keys, _DURATION_SUMS, parts, None, None)
        grouped = [times.c[key] for key in keys]
        async with self._reader.connection() as connection:
            counted = (await connection.execute(largest.limit(limit))).all()
            tenants = [row[0] for row in counted]
            durations = select(*grouped, *_sums(times, _DURATION_SUMS)).where(times.c.tenant.in_(tenants))
            timed = (await connection.execute(durations.group_by(*grouped))).all() if tenants else []
        found = _figures([((row[0],), None, row[1:]) for row in counted], [((row[0],), None, row[1:]) for row in timed])
        return {group[0]: figures for (group, _), figures in found.items()}

    async def _read(self, selection: Selection, parts: Sequence[Segment], timed: bool, step: timedelta | None) -> Found:
        if not parts:
            return {}
        counters = _statement(ROLLUPS, selection, parts, step, (), _COUNTERS)
        durations = _statement(DURATION_ROLLUPS, selection, parts, step, _DURATION_KEYS, _DURATION_SUMS)
        async with self._reader.connection() as connection:
            await connection.execute(_NO_NESTED_LOOPS)
            counted = (await connection.execute(counters)).all()
            rows = (await connection.execute(durations)).all() if timed else []
        return _figures(
            [_split(row, selection, step) for row in counted], [_split(row, selection, step) for row in rows]
        )


def _statement(
    tables: Mapping[Level, Table],
    selection: Selection,
    parts: Sequence[Segment],
    step: timedelta | None,
    keys: tuple[str, ...],
    sums: tuple[str, ...],
) -> Select[Any]:
    """Sums by group, point and `keys`. Cells are merged by their dimensions before these are looked up."""
    cells = _cells(tables, ("dimensions", *keys), sums, parts, selection.tenant, step)
    held = [cells.c[name] for name in (("point",) if step else ()) + keys]
    merged = (
        select(cells.c.dimensions, *held, *_sums(cells, sums)).group_by(cells.c.dimensions, *held).subquery("merged")
    )
    grouped = [merged.c[column.name] for column in held]
    if not selection.by and not selection.filters:
        return select(*grouped, *_sums(merged, sums)).group_by(*grouped)
    source: FromClause = merged.join(
        dimension_set, and_(dimension_set.c.tenant == selection.tenant, dimension_set.c.id == merged.c.dimensions)
    )
    groups: list[ColumnElement[Any]] = []
    for name in selection.by:
        if name == INTENT:
            each = func.unnest(dimension_set.c.intents).table_valued("value").render_derived(name="each")
            source = source.outerjoin(each, true())
            groups.append(func.coalesce(each.c.value, "").label(name))
        else:
            groups.append(dimension_set.c[name])
    return (
        select(*groups, *grouped, *_sums(merged, sums))
        .select_from(source)
        .where(*_conditions(selection.filters))
        .group_by(*groups, *grouped)
    )


def _cells(
    tables: Mapping[Level, Table],
    keys: Sequence[str],
    sums: Sequence[str],
    parts: Sequence[Segment],
    tenant: str | None,
    step: timedelta | None,
) -> Subquery:
    selects = []
    for part in parts:
        table = tables[part.level]
        columns: list[ColumnElement[Any]] = [table.c[name] for name in (*keys, *sums)]
        if step:
            columns.append(func.date_bin(step, table.c.bucket, _EPOCH).label("point"))
        conditions = [table.c.bucket >= part.start, table.c.bucket < part.end]
        if tenant is not None:
            conditions.append(table.c.tenant == tenant)
        selects.append(select(*columns).where(*conditions))
    return union_all(*selects).subquery("cells")


def _sums(source: FromClause, names: Sequence[str]) -> list[ColumnElement[int]]:
    return [cast(func.sum(source.c[name]), BigInteger).label(name) for name in names]


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for name, values in filters.items():
        if name != INTENT:
            conditions.append(dimension_set.c[name].in_(values))
            continue
        intents = dimension_set.c.intents
        any_of: list[ColumnElement[bool]] = [intents.op("&&")(cast(list(values), ARRAY(Text)))]
        if "" in values:
            any_of.append(func.cardinality(intents) == literal(0))
        conditions.append(or_(*any_of))
    return conditions


def _split(row: Row[Any], selection: Selection, step: timedelta | None) -> tuple[Group, Point, Sequence[Any]]:
    groups = len(selection.by)
    point = row[groups] if step else None
    return tuple(row[:groups]), point, row[groups + (1 if step else 0) :]


def _figures(
    counted: Sequence[tuple[Group, Point, Sequence[Any]]], timed: Sequence[tuple[Group, Point, Sequence[Any]]]
) -> Found:
    """Figures by group and point; what corrections have brought back to nothing is left out."""
    counters = {(group, point): Counters(*values) for group, point, values in counted if values[0] is not None}
    sketches: dict[tuple[Group, Point], dict[Measure, Sketch]] = {}
    for group, point, (measure, number, n, micros) in timed:
        held = sketches.setdefault((group, point), {})
        held[Measure(measure)] = held.get(Measure(measure), Sketch()).plus(Sketch({number: n}, micros))
    found = {}
    for place in counters.keys() | sketches.keys():
        times = {measure: sketch for measure, sketch in sketches.get(place, {}).items() if sketch.bins}
        sums = counters.get(place, Counters())
        if times or any(sums):
            found[place] = Figures(sums, times)
    return found
