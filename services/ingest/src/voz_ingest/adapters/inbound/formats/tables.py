"""Rows of CSV files and of JSON lines, of any size, with the place where each ends: reading can go on from there."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

MAX_LINE_BYTES = 4 << 20
"""The longest line that is read; a longer one is a row that can't be."""
_DELIMITERS = ",;\t|"
_BOM = b"\xef\xbb\xbf"
_NOT_DECODED = re.compile("[\udc80-\udcff]")


class TableError(ValueError):
    """A file that can't be read as a table at all."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number (1 is the first), where it ends, what it holds, and as it was written. With an `error` it
    can't be read."""

    number: int
    end: int
    data: Any
    raw: str
    error: str = ""


def json_lines(file: BinaryIO, offset: int = 0, number: int = 0) -> Iterator[Row]:
    """Rows of a file with one JSON value a line, from a place in it; blank lines are none."""
    lines = _Lines(file, offset, "utf-8")
    while (line := lines.read()) is not None:
        if line.strip() or lines.too_long:
            number += 1
            data, error = (None, _too_long()) if lines.too_long else _json(line)
            yield Row(number, lines.end, data, line.strip(), error)


def csv_rows(
    file: BinaryIO, header: Sequence[str], delimiter: str, encoding: str, offset: int, number: int = 0
) -> Iterator[Row]:
    """Rows of a CSV file, as objects by their column's name, from a place in it; empty cells are left out."""
    lines = _Lines(file, offset, encoding)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # an unclosed quotation, for instance: what follows is read anew
            number += 1
            reader = csv.reader(lines, delimiter=delimiter)
            yield Row(number, lines.end, None, "", str(error))
            continue
        if any(cell.strip() for cell in cells):
            number += 1
            data = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
            yield Row(number, lines.end, data, "\x1f".join(cells), _wrong(cells, header))


def csv_header(file: BinaryIO, delimiter: str | None, encoding: str) -> tuple[list[str], str, int]:
    """The names of the columns, what separates them, and where the rows begin. Raises TableError, and LookupError for
    an encoding that nobody knows."""
    if "\n".encode(encoding) != b"\n":
        raise TableError(f"{encoding} can't be read line by line; utf-8 can")
    lines = _Lines(file, 0, encoding)
    first = lines.read()
    if first is None or not first.strip():
        raise TableError("the first line must name the columns")
    delimiter = delimiter or max(_DELIMITERS, key=first.count)
    names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    if _NOT_DECODED.search(first):
        raise TableError(f"the first line is not {encoding}")
    if "" in names or len(set(names)) < len(names):
        raise TableError("every column needs a name of its own")
    return names, delimiter, lines.end


def _wrong(cells: Sequence[str], header: Sequence[str]) -> str:
    if any(_NOT_DECODED.search(cell) for cell in cells):
        return "is not in the file's encoding (see --encoding)"
    return f"has {len(cells)} cells, more than the {len(header)} columns" if len(cells) > len(header) else ""


def _json(line: str) -> tuple[Any, str]:
    try:
        return orjson.loads(line), ""
    except orjson.JSONDecodeError as error:
        return None, f"not JSON: {error}"


def _too_long() -> str:
    return f"is longer than {MAX_LINE_BYTES} bytes"


class _Lines(Iterator[str]):
    """Lines of a file as text, none longer than the longest; `end` is where the last one ended."""

    def __init__(self, file: BinaryIO, offset: int, encoding: str) -> None:
        self._file, self._encoding = file, encoding
        self.end, self.too_long = offset, False
        file.seek(offset)

    def read(self) -> str | None:
        """The next line, None after the last."""
        line = self._file.readline(MAX_LINE_BYTES)
        if not line:
            return None
        start, self.end, self.too_long = self.end, self.end + len(line), False
        while not line.endswith(b"\n") and len(line) >= MAX_LINE_BYTES:
            rest = self._file.readline(MAX_LINE_BYTES)
            self.end, self.too_long = self.end + len(rest), True
            if not rest or rest.endswith(b"\n"):
                break
        if self.too_long:
            return ""
        return (line.removeprefix(_BOM) if start == 0 else line).decode(self._encoding, "surrogateescape")

    def __next__(self) -> str:
        line = self.read()
        if line is None:
            raise StopIteration
        if self.too_long:
            raise csv.Error(_too_long())
        return line
