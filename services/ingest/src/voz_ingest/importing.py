"""`voz-ingest import FILE`: sends a CSV file, or one of JSON lines, to ingest; stopped, it goes on where it was.

A row without an id is named by the file's name, the row's number and what it says: sent again it is the same event.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import httpx
import orjson
import yaml
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from voz_ingest.adapters.inbound.formats import ids
from voz_ingest.adapters.inbound.formats.mapping import Mapping, MappingError, compile_mapping
from voz_ingest.adapters.inbound.formats.plain_form import fitted, is_field, put
from voz_ingest.adapters.inbound.formats.tables import Row, TableError, csv_header, csv_rows, json_lines
from voz_ingest.adapters.outbound.events_api import EventsApi, SendingError
from voz_ingest.config import Settings
from voz_ingest.domain.fields import FieldError
from voz_ingest.domain.reading import read_event

ALL_IN, SOME_REFUSED, WRONG_USE, STOPPED = 0, 1, 2, 3

_MAX_BATCH_BYTES = 4 << 20
_MAX_TEXT_BYTES: int = Settings.model_fields["max_text_bytes"].default
_REASONS_SHOWN = 10
_HEAD_BYTES, _TAIL_BYTES = 1 << 20, 1 << 16
_KINDS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class _WrongUseError(Exception):
    """What the command can't do as it was given."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `import` takes."""
    parser.description = (
        "Send a CSV file (columns named as the plain form, with dots: customer.id, survey.score, attributes.product) or"
        " one event a line (JSON) to ingest. Stopped, it goes on where it was; sent again, the events are the same."
        " Exit code 0: all are in; 1: some were refused; 2: wrong use; 3: stopped before the end."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV (.csv, .tsv) or JSON lines (.jsonl, .ndjson)")
    url, key = os.environ.get("VOZ_INGEST_URL", "http://127.0.0.1:8001"), os.environ.get("VOZ_API_KEY", "")
    parser.add_argument("--url", default=url, help="ingest's URL (default: VOZ_INGEST_URL, else %(default)s)")
    parser.add_argument("--key", default=key, help="an API key (default: VOZ_API_KEY)")
    parser.add_argument("--source", default="import", metavar="NAME", help="where rows come from that don't say it")
    parser.add_argument("--mapping", type=Path, metavar="FILE", help="a mapping, as of the source `mapped`: each row")
    parser.add_argument("--batch", type=int, default=500, metavar="N", help="events a request (default: %(default)s)")
    parser.add_argument("--format", choices=("csv", "jsonl"), help="where the file's name doesn't say it")
    parser.add_argument("--delimiter", metavar="CHAR", help="between CSV cells (default: what the first line has most)")
    parser.add_argument("--encoding", default="utf-8", help="of a CSV file (default: %(default)s)")
    parser.add_argument(
        "--errors", type=Path, metavar="FILE", help="write refused rows here, with reasons (JSON lines)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only look at every row; send nothing")
    parser.add_argument("--restart", action="store_true", help="begin again at the first row")
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="where to note how far it got (FILE.voz-import.json)"
    )
    parser.add_argument(
        "--patience", type=float, default=600.0, metavar="SECONDS", help="how long to try one batch (%(default)s)"
    )
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """The command. Returns the exit code."""
    with httpx.Client(timeout=60.0) as client:
        return run_with(chosen, client)


def run_with(chosen: argparse.Namespace, client: httpx.Client) -> int:
    """The command over a client of one's own."""
    say = Console(stderr=True)
    try:
        with chosen.file.open("rb") as file:
            counts = _Import(chosen, client, say).run(file)
    except SendingError as error:
        hint = "; the same command goes on from here" if error.passing else ""
        print(f"{chosen.file}: {error}{hint}", file=sys.stderr)
        return STOPPED if error.passing else WRONG_USE
    except (_WrongUseError, OSError, TableError, MappingError, yaml.YAMLError, LookupError) as error:
        print(f"{chosen.file}: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print(f"{chosen.file}: stopped; the same command goes on from here", file=sys.stderr)
        return STOPPED
    print(_summary(counts, dry=chosen.dry_run))
    return SOME_REFUSED if counts.refused else ALL_IN


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows so far. A row may hold several events, or with a mapping none."""

    rows: int = 0
    accepted: int = 0
    refused: int = 0
    no_event: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where an import stands: everything before the offset was acknowledged."""

    offset: int = 0
    row: int = 0
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True, slots=True)
class _Pending:
    """An event to be sent, and the row that it is of."""

    row: Row
    body: bytes


class _Import:
    def __init__(self, chosen: argparse.Namespace, client: httpx.Client, say: Console) -> None:
        self._chosen, self._say = chosen, say
        self._mapping = _mapping(chosen.mapping)
        self._api = EventsApi(client, chosen.url, chosen.key, chosen.patience, self._waiting)
        self._state = _State(chosen.state or chosen.file.with_name(f"{chosen.file.name}.voz-import.json"), chosen)
        self._kind = chosen.format or _KINDS.get(chosen.file.suffix.lower())
        self._reasons: set[str] = set()
        self._errors: TextIO | None = None

    def run(self, file: BinaryIO) -> Counts:
        """Send what isn't sent yet. Raises SendingError, OSError, TableError."""
        chosen = self._chosen
        if not chosen.dry_run and not chosen.key:
            raise _WrongUseError("needs an API key: --key or VOZ_API_KEY")
        if chosen.batch < 1:
            raise _WrongUseError("--batch must be at least 1")
        place = Place() if chosen.restart or chosen.dry_run else self._state.read(file)
        rows = self._rows(file, place)
        if place.offset:
            self._say.print(f"going on after row {place.row}", highlight=False)
        if chosen.errors:
            self._errors = chosen.errors.open("a" if place.offset else "w", encoding="utf-8")
        size = chosen.file.stat().st_size
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        try:
            with Progress(*columns, console=self._say, disable=not self._say.is_terminal) as progress:
                task = progress.add_task("", total=size, completed=place.offset)
                for reached in self._places(rows, place):
                    place = reached
                    if not chosen.dry_run:
                        self._state.write(file, place)
                    said = f"{place.counts.accepted:,} in, {place.counts.refused:,} refused"
                    progress.update(task, completed=place.offset, description=said)
        finally:
            if self._errors:
                self._errors.close()
        return place.counts

    def _rows(self, file: BinaryIO, place: Place) -> Iterator[Row]:
        chosen = self._chosen
        if self._kind is None:
            raise _WrongUseError("is it CSV or JSON lines? --format says so")
        if self._kind == "jsonl":
            return json_lines(file, place.offset, place.row)
        header, delimiter, start = csv_header(file, chosen.delimiter, chosen.encoding)
        unknown = [name for name in header if not is_field(name)]
        if self._mapping is None and unknown:
            names = ", ".join(unknown)
            self._say.print(f"columns left out, for the plain form has no such fields: {names}", highlight=False)
        return csv_rows(file, header, delimiter, chosen.encoding, max(place.offset, start), place.row)

    def _places(self, rows: Iterator[Row], place: Place) -> Iterator[Place]:
        """Where it stands after each batch that was acknowledged."""
        batch: list[_Pending] = []
        size = 0
        for row in rows:
            counts = place.counts
            found, refused = self._events(row)
            no_event = 0 if found or refused else 1
            counts = replace(
                counts, rows=counts.rows + 1, refused=counts.refused + refused, no_event=counts.no_event + no_event
            )
            place = Place(row.end, row.number, counts)
            batch += found
            size += sum(len(each.body) for each in found)
            if len(batch) >= self._chosen.batch or size >= _MAX_BATCH_BYTES:
                place = self._sent(batch, place)
                yield place
                batch, size = [], 0
        yield self._sent(batch, place) if batch else place

    def _sent(self, batch: Sequence[_Pending], place: Place) -> Place:
        refused = {} if self._chosen.dry_run else self._api.send([each.body for each in batch])
        for index, errors in refused.items():
            self._refuse(batch[index].row, errors)
        counts = place.counts
        accepted, wrong = counts.accepted + len(batch) - len(refused), counts.refused + len(refused)
        return replace(place, counts=replace(counts, accepted=accepted, refused=wrong))

    def _events(self, row: Row) -> tuple[list[_Pending], int]:
        """The events of a row that are right, and how many aren't."""
        if row.error:
            self._refuse(row, [FieldError("", row.error)])
            return [], 1
        try:
            plains = [*self._mapping.events(row.data)] if self._mapping else [self._plain(row.data)]
        except MappingError as error:
            self._refuse(row, [FieldError("", error.detail)])
            return [], 1
        found, refused = [], 0
        number = ids.digest(self._chosen.file.name, str(row.number), row.raw)
        for index, plain in enumerate(plains):
            if isinstance(plain, dict):
                name = ids.compose(number, str(index)) if index else number
                plain = {**plain, "source": plain.get("source") or self._chosen.source, "id": plain.get("id") or name}
            reading = read_event(plain, tenant=None, received_at=datetime.now(UTC), max_text_bytes=_MAX_TEXT_BYTES)
            if reading.errors:
                self._refuse(row, reading.errors)
                refused += 1
            else:
                found.append(_Pending(row, orjson.dumps(plain)))
        return found, refused

    def _plain(self, data: Any) -> Any:
        """The plain form of a row: JSON as it is; of a table, each cell where its column's name says."""
        if self._kind != "csv":
            return data
        plain: dict[str, Any] = {}
        for name, cell in data.items():
            if is_field(name):
                put(plain, name, fitted(name, cell))
        return plain

    def _waiting(self, why: str, seconds: float) -> None:
        self._say.print(f"{why}; trying again in {seconds:.0f} s", markup=False, highlight=False, soft_wrap=True)

    def _refuse(self, row: Row, errors: Sequence[FieldError]) -> None:
        said = [{"pointer": error.pointer, "detail": error.detail} for error in errors]
        if self._errors:
            line = {"row": row.number, "errors": said, "data": row.data if row.data is not None else row.raw}
            self._errors.write(json.dumps(line, ensure_ascii=True) + "\n")
        reason = "; ".join(f"{error.pointer} {error.detail}".strip() for error in errors)
        if reason not in self._reasons and len(self._reasons) < _REASONS_SHOWN:
            self._reasons.add(reason)
            self._say.print(f"row {row.number}: {reason}", markup=False, highlight=False, soft_wrap=True)


class _State:
    """The file that says how far an import got."""

    def __init__(self, path: Path, chosen: argparse.Namespace) -> None:
        self._path = path
        self._of = {"url": chosen.url, "source": chosen.source}

    def read(self, file: BinaryIO) -> Place:
        """Where to go on; at the beginning where nothing was noted. Raises _WrongUseError when it is of another
        import, or the file has changed since."""
        if not self._path.exists():
            return Place()
        try:
            noted = json.loads(self._path.read_text(encoding="utf-8"))
            place = Place(int(noted["offset"]), int(noted["row"]), Counts(**noted["counts"]))
            of, fingerprint = {name: noted[name] for name in self._of}, noted["fingerprint"]
        except (ValueError, KeyError, TypeError):
            raise _WrongUseError(f"{self._path} can't be read; --restart begins again") from None
        if of != self._of:
            raise _WrongUseError(f"{self._path} is of an import to {of}; --restart begins again")
        if _fingerprint(file, place.offset) != fingerprint:
            raise _WrongUseError("has changed before where it stopped; --restart begins again")
        return place

    def write(self, file: BinaryIO, place: Place) -> None:
        """Note it, whole or not at all."""
        noted = {**self._of, **asdict(place), "fingerprint": _fingerprint(file, place.offset)}
        unfinished = self._path.with_name(self._path.name + ".new")
        unfinished.write_text(json.dumps(noted, indent=1), encoding="utf-8")
        unfinished.replace(self._path)


def _fingerprint(file: BinaryIO, offset: int) -> str:
    """Tells whether what stands before the offset is still the same, by its beginning and its end; more may follow."""
    here = file.tell()
    try:
        file.seek(0)
        found = hashlib.sha256(file.read(min(offset, _HEAD_BYTES)))
        file.seek(max(0, offset - _TAIL_BYTES))
        found.update(file.read(min(offset, _TAIL_BYTES)))
        return f"{offset}:{found.hexdigest()}"
    finally:
        file.seek(here)


def _mapping(path: Path | None) -> Mapping | None:
    return compile_mapping(yaml.safe_load(path.read_text(encoding="utf-8"))) if path else None


def _summary(counts: Counts, *, dry: bool) -> str:
    right = "right (nothing was sent)" if dry else "accepted"
    said = f"{counts.rows:,} rows: {counts.accepted:,} events {right}, {counts.refused:,} refused"
    return f"{said}, {counts.no_event:,} rows without an event" if counts.no_event else said
