"""Tables partitioned by time: partitions are made ahead, and dropped when their time is over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import structlog
from sqlalchemy import ColumnClause, column, delete, insert, table, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voz_streamkit.backoff import run_periodically

__all__ = ["Maintained", "PartitionPolicy", "Period", "maintain_partitions", "periods", "run_periodically"]

Period = Literal["day", "week", "month"]
LOCK_NAMESPACE = 0x766F7A70  # "vozp": keeps these advisory locks apart from anybody else's
# An ALTER TABLE that waits for a long transaction makes everybody behind it wait: give up soon, and try again later.
LOCK_TIMEOUT = "3s"
_BOUNDS = re.compile(r"FOR VALUES FROM \('([^']+)'\) TO \('([^']+)'\)")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PartitionPolicy:
    """How one table, partitioned by range of a `timestamptz` or `date` column, is kept.

    The running period and `ahead` more have partitions of their own; all other rows lie in the default partition, so
    nothing is ever refused. What is older than `keep` is dropped, in the default partition too; None keeps all.
    """

    table: str
    period: Period
    ahead: int
    keep: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Maintained:
    """Names of the partitions that were made and dropped."""

    created: tuple[str, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Range:
    start: datetime
    end: datetime

    def overlaps(self, other: _Range) -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class _Parent:
    """A partitioned table as PostgreSQL's catalogue describes it."""

    owner: str
    key: str
    columns: tuple[str, ...]
    default: str
    has_default: bool
    partitions: dict[str, _Range]


def periods(period: Period, now: datetime, ahead: int) -> Iterator[tuple[datetime, datetime]]:
    """The half-open period that holds `now` and the `ahead` ones after it, in UTC. Weeks begin on Monday."""
    start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        start -= timedelta(days=start.weekday())
    elif period == "month":
        start = start.replace(day=1)
    for _ in range(ahead + 1):
        if period == "month":
            end = (start + timedelta(days=32)).replace(day=1)
        else:
            end = start + timedelta(days=7 if period == "week" else 1)
        yield start, end
        start = end


async def maintain_partitions(
    engine: AsyncEngine, schema: str, policies: Sequence[PartitionPolicy], now: datetime
) -> Maintained:
    """Make the partitions that are missing, and drop those that ended more than `keep` before `now`.

    Rows of the default partition that belong into a new one move there. Each step is a short transaction; one
    maintainer works at a time. Raises what PostgreSQL raises; a lock not had in time is transient.
    """
    created: list[str] = []
    dropped: list[str] = []
    for policy in policies:
        async with engine.begin() as connection:
            parent = await _prepare(connection, schema, policy)
            if not parent.has_default:
                await _execute(
                    connection,
                    "create table {schema}.{name} partition of {schema}.{parent} default",
                    schema=schema,
                    name=parent.default,
                    parent=policy.table,
                )
        for start, end in periods(policy.period, now, policy.ahead):
            name = f"{policy.table}_{start:%Y%m%d}"
            async with engine.begin() as connection:
                parent = await _prepare(connection, schema, policy)
                if not any(_Range(start, end).overlaps(each) for each in parent.partitions.values()):
                    await _create(connection, schema, policy, parent, name, _Range(start, end))
                    created.append(name)
        if policy.keep is not None:
            dropped += await _drop(engine, schema, policy, now - policy.keep)
    if created or dropped:
        _log.info("partitions maintained", schema=schema, created=created, dropped=dropped)
    return Maintained(tuple(created), tuple(dropped))


async def _create(
    connection: AsyncConnection, schema: str, policy: PartitionPolicy, parent: _Parent, name: str, bounds: _Range
) -> None:
    """Make a partition beside its parent, move the default partition's rows into it, and attach it.

    Attaching a ready table keeps the parent readable and writable all the while, but for its default partition, whose
    rows PostgreSQL looks through.
    """
    names = {"schema": schema, "name": name, "parent": policy.table, "default": parent.default}
    await _execute(connection, "lock table {schema}.{default} in access exclusive mode", **names)
    await _execute(
        connection, "create table {schema}.{name} (like {schema}.{parent} including all excluding identity)", **names
    )
    # A column object belongs to one table.
    left, made = (
        table(each, *(column(name) for name in parent.columns), schema=schema) for each in (parent.default, name)
    )
    key: ColumnClause[Any] = column(parent.key)
    moved = delete(left).where(key >= bounds.start, key < bounds.end).returning(*left.columns).cte("moved")
    await connection.execute(insert(made).from_select(list(parent.columns), moved.select()))
    await _execute(
        connection,
        f"alter table {{schema}}.{{parent}} attach partition {{schema}}.{{name}} "
        f"for values from ('{bounds.start.isoformat()}') to ('{bounds.end.isoformat()}')",
        **names,
    )


async def _drop(engine: AsyncEngine, schema: str, policy: PartitionPolicy, cutoff: datetime) -> list[str]:
    """Drop the partitions that ended by `cutoff`, and delete what is older in the default partition."""
    async with engine.begin() as connection:
        parent = await _prepare(connection, schema, policy)
        key: ColumnClause[Any] = column(parent.key)
        await connection.execute(delete(table(parent.default, key, schema=schema)).where(key < cutoff))
    over = sorted(name for name, bounds in parent.partitions.items() if bounds.end <= cutoff)
    for name in over:
        async with engine.begin() as connection:
            await _prepare(connection, schema, policy)
            await _execute(connection, "drop table if exists {schema}.{name}", schema=schema, name=name)
    return over


async def _prepare(connection: AsyncConnection, schema: str, policy: PartitionPolicy) -> _Parent:
    """Enter a transaction of maintenance: alone, with a limit on waiting, as the table's owner; describe the table."""
    lock = text("select pg_advisory_xact_lock(:namespace, hashtext(:schema))")
    await connection.execute(lock, {"namespace": LOCK_NAMESPACE, "schema": schema})
    await connection.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
    parent = await _describe(connection, schema, policy.table)
    await _execute(connection, "set local role {owner}", owner=parent.owner)
    return parent


async def _describe(connection: AsyncConnection, schema: str, name: str) -> _Parent:
    found = (
        await connection.execute(
            text(
                "select c.oid, pg_get_userbyid(c.relowner) as owner, k.attname as key, "
                "  (select array_agg(a.attname::text order by a.attnum) from pg_attribute a where a.attrelid = c.oid "
                "   and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns "
                "from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                "join pg_partitioned_table p on p.partrelid = c.oid "
                "join pg_attribute k on k.attrelid = c.oid and k.attnum = p.partattrs[0] "
                "where n.nspname = :schema and c.relname = :name and p.partstrat = 'r' and p.partnatts = 1"
            ),
            {"schema": schema, "name": name},
        )
    ).one_or_none()
    if found is None:
        raise ValueError(f"{schema}.{name} isn't a table partitioned by range of one column")
    children = await connection.execute(
        text(
            "select c.relname, pg_get_expr(c.relpartbound, c.oid) as bounds "
            "from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = :parent"
        ),
        {"parent": found.oid},
    )
    bounds = {child.relname: child.bounds for child in children}
    ranges = {child: _BOUNDS.fullmatch(each) for child, each in bounds.items()}
    return _Parent(
        owner=found.owner,
        key=found.key,
        columns=tuple(found.columns),
        default=next((child for child, each in bounds.items() if each == "DEFAULT"), f"{name}_default"),
        has_default="DEFAULT" in bounds.values(),
        partitions={
            child: _Range(_time(match.group(1)), _time(match.group(2))) for child, match in ranges.items() if match
        },
    )


async def _execute(connection: AsyncConnection, statement: str, **identifiers: str) -> None:
    quote = connection.dialect.identifier_preparer.quote
    quoted = {name: quote(identifier) for name, identifier in identifiers.items()}
    await connection.execute(text(statement.format(**quoted)))


def _time(literal: str) -> datetime:
    time = datetime.fromisoformat(literal)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
