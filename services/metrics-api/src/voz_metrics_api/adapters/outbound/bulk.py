"""Statements that write many rows at once: one array for each column, in the order of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ARRAY, Column, Integer, Table, TextClause, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

# Arrays of arrays must be rectangular in PostgreSQL, so a list travels as text; labels hold no control characters.
LIST_SEPARATOR = "\x1f"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy


def insert(table: Table, on_conflict: str) -> TextClause:
    """Insert rows, with what to do about those whose key is there. Parameters: `parameters(table, rows)`."""
    names = [column.name for column in table.columns]
    arrays = ", ".join(_array(column) for column in table.columns)
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


def parameters(table: Table, rows: Iterable[Sequence[Any]]) -> dict[str, str | list[Any]]:
    """The arrays of rows whose values stand in the order of the table's columns; lists as joined text."""
    columns = zip(table.columns, zip(*rows, strict=True), strict=True)
    return {column.name: _literal(values) if _whole(column) else list(values) for column, values in columns}


def _array(column: Column[Any]) -> str:
    element = "text" if isinstance(column.type, ARRAY | JSONB) else column.type.compile(_DIALECT)
    # asyncpg looks at each element of an array in Python; whole numbers are the most and go as one literal instead.
    return (
        f"cast(cast(:{column.name} as text) as {element}[])"
        if _whole(column)
        else f"cast(:{column.name} as {element}[])"
    )


def _whole(column: Column[Any]) -> bool:
    return isinstance(column.type, Integer)


def _literal(numbers: Iterable[int]) -> str:
    return f"{{{','.join(map(str, numbers))}}}"


def _value(column: Column[Any]) -> str:
    if isinstance(column.type, ARRAY):
        return f"string_to_array({column.name}, chr({ord(LIST_SEPARATOR)}))"
    return f"cast({column.name} as jsonb)" if isinstance(column.type, JSONB) else column.name
