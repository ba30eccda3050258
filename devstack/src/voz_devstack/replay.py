"""Plays a recorded stream of messages into ingest, with the times at which they were written."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from voz_contracts.cloudevents import rfc3339
from voz_devstack.clients import IngestClient

SOURCE = "replay"
_TICK_SECONDS = 0.1
_LARGEST_BATCH = 500
# Of a recorded row, to the attribute of the event.
_ATTRIBUTES = {"brand": "product", "product": "product", "campaign": "campaign", "segment": "segment"}
_AUTHORS = ("customer_id", "author", "user")


class RecordingError(ValueError):
    """The recording can't be read. The text names the line."""


@dataclass(frozen=True)
class Recorded:
    """One event and when it happened."""

    occurred_at: datetime
    event: Mapping[str, Any]


@dataclass(frozen=True)
class Replayed:
    """What became of a recording."""

    sent: int
    accepted: int
    rejected: Sequence[str]
    first: datetime
    last: datetime


class Bar(Protocol):
    """Shows how far a replay is."""

    def advance(self, events: int, at: datetime) -> None:
        """So many events more; the recording's time is now `at`."""


def read_recording(path: Path) -> list[Recorded]:
    """The rows of a file of JSON lines, oldest first. Raises RecordingError.

    A row has `text` and `occurred_at`, and may have `id`, `brand` (which becomes the product), `channel` (`social`
    unless said), `language`, and who wrote it (`author`, `user` or `customer_id`; otherwise each row is by somebody
    else). A row with `channel` and `customer` is taken as an event in the plain form of `POST /v1/events`.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [_recorded(line, number) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise RecordingError(f"{path}: no events")
    return sorted(rows, key=lambda row: row.occurred_at)


def batches(rows: Sequence[Recorded], speed: float) -> Iterator[tuple[float, Sequence[Recorded]]]:
    """The rows in groups to send at once, each with its seconds after the start, `speed` times as fast as life."""
    start, at = rows[0].occurred_at, 0
    while at < len(rows):
        due = (rows[at].occurred_at - start).total_seconds() / speed
        end = at
        while (
            end < len(rows)
            and end - at < _LARGEST_BATCH
            and (rows[end].occurred_at - start).total_seconds() / speed <= due + _TICK_SECONDS
        ):
            end += 1
        yield due, rows[at:end]
        at = end


async def replay(
    rows: Sequence[Recorded], speed: float, ingest: IngestClient, bar: Bar, stop: asyncio.Event
) -> Replayed:
    """Send the rows when they are due, or as fast as ingest takes them where that is slower."""
    began = time.monotonic()
    sent, accepted, rejected = 0, 0, list[str]()
    for due, batch in batches(rows, speed):
        await _wait(began + due, stop)
        if stop.is_set():
            break
        answer = await ingest.send([row.event for row in batch])
        sent += len(batch)
        accepted += len(answer.ids)
        rejected += answer.rejected
        bar.advance(len(batch), batch[-1].occurred_at)
    return Replayed(sent, accepted, rejected, rows[0].occurred_at, rows[max(0, sent - 1)].occurred_at)


async def _wait(until: float, stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), max(0.0, until - time.monotonic()))
    except TimeoutError:
        pass


def _recorded(line: str, number: int) -> Recorded:
    try:
        row = json.loads(line)
        occurred_at = datetime.fromisoformat(row["occurred_at"])
        # A recording without a zone is taken as UTC, as most exports are.
        aware = occurred_at if occurred_at.tzinfo else occurred_at.replace(tzinfo=UTC)
        event = dict(row) if "customer" in row and "channel" in row else _event(row, number)
    except (ValueError, KeyError, TypeError) as error:
        raise RecordingError(f"line {number}: {error!r}") from error
    return Recorded(aware, {**event, "occurred_at": rfc3339(aware)})


def _event(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    row_id = str(row.get("id", number))
    author = next((str(row[name]) for name in _AUTHORS if row.get(name)), f"author-of-{row_id}")
    attributes = {name: str(row[said]) for said, name in _ATTRIBUTES.items() if row.get(said)}
    event: dict[str, Any] = {
        "id": row_id,
        "source": SOURCE,
        "channel": row.get("channel", "social"),
        "customer": {"id": author},
        "text": row["text"],
        "attributes": attributes,
    }
    return event | ({"language": row["language"]} if row.get("language") else {})
