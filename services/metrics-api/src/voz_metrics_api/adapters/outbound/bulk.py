"""Statements that write many rows at once: one array for each column, in the order of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ARRAY, Column, Table, TextClause, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

# Arrays of arrays must be rectangular in PostgreSQL, so a list travels as text; labels hold no control characters.
LIST_SEPARATOR = "\x1f"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy


def insert(table: Table, on_conflict: str) -> TextClause:
    """Insert rows, with what to do about those whose key is there. Parameters: `parameters(table, rows)`."""
    names = [column.name for column in table.columns]
    arrays = ", ".join(f"cast(:{column.name} as {_travels_as(column)}[])" for column in table.columns)
    values = ", ".join(_value(column) for column in table.columns)
    return text(
        f"insert into {table.fullname} as held ({', '.join(names)})"  # noqa: S608  # our own names
        f" select {values} from unnest({arrays}) as given ({', '.join(names)}) {on_conflict}"
    )


def insert_new(table: Table) -> TextClause:
    """Insert the rows whose key isn't there yet."""
    return insert(table, "on conflict do nothing")


def insert_newer(table: Table, keys: Sequence[str], version: str) -> TextClause:
    """Insert rows, or put them in the place of those with the same key and a smaller version."""
    others = [column.name for column in table.columns if column.name not in keys]
    updates = ", ".join(f"{name} = excluded.{name}" for name in others)
    return insert(
        table,
        f"on conflict ({', '.join(keys)}) do update set {updates} where held.{version} < excluded.{version}",
    )


def insert_adding(table: Table, keys: Sequence[str]) -> TextClause:
    """Insert rows, or add their numbers to those with the same key."""
    others = [column.name for column in table.columns if column.name not in keys]
    sums = ", ".join(f"{name} = held.{name} + excluded.{name}" for name in others)
    return insert(table, f"on conflict ({', '.join(keys)}) do update set {sums}")


def parameters(table: Table, rows: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
    """The arrays of rows whose values stand in the order of the table's columns; lists as joined text."""
    columns: list[list[Any]] = [list(values) for values in zip(*rows, strict=True)]
    return dict(zip((column.name for column in table.columns), columns, strict=True))


def _travels_as(column: Column[Any]) -> str:
    return "text" if isinstance(column.type, ARRAY | JSONB) else str(column.type.compile(_DIALECT))


def _value(column: Column[Any]) -> str:
    if isinstance(column.type, ARRAY):
        return f"string_to_array({column.name}, chr({ord(LIST_SEPARATOR)}))"
    return f"cast({column.name} as jsonb)" if isinstance(column.type, JSONB) else column.name
