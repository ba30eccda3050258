"""`voz-ingest connectors`: what connectors do, and what to tell them."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from voz_contracts.cloudevents import rfc3339
from voz_ingest.adapters.inbound.connections import connections_file
from voz_ingest.adapters.inbound.connectors.declared import Connectors, connectors_of
from voz_ingest.adapters.outbound.connector_store import PostgresConnectorStore
from voz_ingest.config import ConnectSettings
from voz_ingest.domain.connector import ConnectorState, Key, Position
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.errors import is_transient
from voz_streamkit.metrics import Metrics
from voz_streamkit.reload import FileError
from voz_streamkit.run import EXIT_FAILED, EXIT_MISCONFIGURED, read_settings
from voz_streamkit.settings import describe

SHOWN_CHARS = 60


class _WrongUseError(Exception):
    """What the command can't do as it was given."""


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where commands find what they need."""

    store: PostgresConnectorStore
    connectors: Connectors
    out: TextIO

    def key(self, name: str, states: Mapping[Key, ConnectorState]) -> Key:
        """The connector of this id: of the configuration, else one that was there before."""
        found = [key for key in self.connectors.by_key if key[1] == name]
        found = found or [key for key in states if key[1] == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise _WrongUseError(f"{name} was the connector of several tenants; declare it again to choose one")
        off = [reason for key, reason in self.connectors.off.items() if key[1] == name]
        if off:
            raise _WrongUseError(f"{name} is a connection that isn't asked: {off[0]}")
        known = ", ".join(sorted({key[1] for key in (*self.connectors.by_key, *states)})) or "none"
        raise _WrongUseError(f"there is no connector {name}; known: {known}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `connectors` takes."""
    parser.description = (
        "What connectors do, and what to tell them. Whoever runs one notices within seconds. Exit code 1 when"
        " PostgreSQL can't be asked, 2 for wrong use."
    )
    parser.epilog = f"Environment:\n{describe(ConnectSettings)}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.set_defaults(run=run, act=_list, json=False)
    actions = parser.add_subparsers(metavar="ACTION")
    listing = actions.add_parser("list", help="all connectors (the default)")
    listing.set_defaults(act=_list)
    for each in (parser, listing):
        each.add_argument("--json", action="store_true", help="as JSON", default=argparse.SUPPRESS)
    for name, act, words in (
        ("pause", _pause, "stop a connector, wherever it runs; where it stands is kept"),
        ("resume", _resume, "let it go on, at once"),
        ("rewind", _rewind, "set where it stands; events that come again are the same events"),
    ):
        action = actions.add_parser(name, help=words, description=words)
        action.add_argument("id", metavar="ID", help="the connection's id")
        action.set_defaults(act=act)
    where = action.add_mutually_exclusive_group(required=True)
    where.add_argument("--to", metavar="JSON", help="a position, as `list --json` shows it")
    where.add_argument("--to-time", metavar="RFC3339", help="a moment, such as 2026-11-20T00:00:00Z")
    where.add_argument("--to-beginning", action="store_true", help="as if it had never run")


def run(chosen: argparse.Namespace, settings: ConnectSettings | None = None, out: TextIO | None = None) -> int:
    """The command. Returns the exit code."""
    try:
        asyncio.run(_run(chosen, settings or read_settings(ConnectSettings), out or sys.stdout))
    except (_WrongUseError, FileError) as error:
        print(f"error: {error}", file=out or sys.stderr)
        return EXIT_MISCONFIGURED
    except (SQLAlchemyError, OSError) as error:
        what = "PostgreSQL can't be asked" if is_transient(error) else "PostgreSQL says no"
        print(f"error: {what}: {error}", file=out or sys.stderr)
        return EXIT_FAILED
    return 0


async def _run(chosen: argparse.Namespace, settings: ConnectSettings, out: TextIO) -> None:
    connections = connections_file(settings.connections_file, Metrics("ingest")).value
    await asyncio.to_thread(migrate, settings.postgres_dsn.get_secret_value(), "voz_ingest")
    engine = create_engine(settings, application_name="voz-ingest-connectors")
    try:
        connectors = connectors_of(connections, datetime.now(UTC))
        store = PostgresConnectorStore(engine)
        await store.declare({key: each.source.name for key, each in connectors.by_key.items()})
        act: Callable[[argparse.Namespace, _Desk], Awaitable[None]] = chosen.act
        await act(chosen, _Desk(store, connectors, out))
    finally:
        await engine.dispose()


async def _list(chosen: argparse.Namespace, desk: _Desk) -> None:
    states = await desk.store.states()
    now = datetime.now(UTC)
    rows = [_shown(state, desk.connectors, now) for state in states]
    known = {(state.tenant, state.connection_id) for state in states}
    rows += [
        {"id": key[1], "tenant": key[0], "status": "off", "detail": reason}
        for key, reason in desk.connectors.off.items()
        if key not in known
    ]
    if chosen.json:
        print(json.dumps({"items": rows}, indent=2, ensure_ascii=False), file=desk.out)
    else:
        Console(file=desk.out).print(_table(rows, now))


def _shown(state: ConnectorState, connectors: Connectors, now: datetime) -> dict[str, Any]:
    key = (state.tenant, state.connection_id)
    reason = None if key in connectors.by_key else connectors.off.get(key, "no connection declares it any more")
    return {
        "id": state.connection_id,
        "tenant": state.tenant,
        "source": state.source,
        "status": _status(state, reason is not None, now),
        "position": dict(state.position),
        "owner": state.owner,
        "failures": state.failures,
        "due_at": rfc3339(state.due_at),
        "last_success_at": rfc3339(state.last_success_at) if state.last_success_at else None,
        "last_error": state.last_error,
        "last_error_at": rfc3339(state.last_error_at) if state.last_error_at else None,
        "detail": reason,
    }


def _status(state: ConnectorState, off: bool, now: datetime) -> str:
    if off:
        return "off"
    if state.paused:
        return "paused"
    if state.failures:
        return "failing"
    return "running" if state.owner else "waiting"


def _table(rows: list[dict[str, Any]], now: datetime) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("id", "source", "status", "last success", "position", "detail"):
        table.add_column(column, no_wrap=column in ("id", "status"), overflow="fold")
    for row in rows:
        succeeded = row.get("last_success_at")
        error = f"{row['failures']} failures: {row['last_error']}" if row.get("failures") else None
        position = json.dumps(row["position"], ensure_ascii=False) if row.get("position") else "–"
        table.add_row(
            row["id"],
            row.get("source", "–"),
            row["status"],
            _ago(datetime.fromisoformat(succeeded), now) if succeeded else "–",
            _short(position),
            _short(row["detail"] or error or ""),
        )
    return table


async def _pause(chosen: argparse.Namespace, desk: _Desk) -> None:
    await _set_paused(chosen.id, desk, paused=True)


async def _resume(chosen: argparse.Namespace, desk: _Desk) -> None:
    await _set_paused(chosen.id, desk, paused=False)


async def _set_paused(name: str, desk: _Desk, *, paused: bool) -> None:
    states = {(state.tenant, state.connection_id): state for state in await desk.store.states()}
    await desk.store.pause(desk.key(name, states), paused)
    print(f"{name} is {'paused' if paused else 'resumed'}", file=desk.out)


async def _rewind(chosen: argparse.Namespace, desk: _Desk) -> None:
    states = {(state.tenant, state.connection_id): state for state in await desk.store.states()}
    key = desk.key(chosen.id, states)
    position = _position(chosen)
    await desk.store.rewind(key, position)
    print(f"{chosen.id} stands at {json.dumps(position) if position else 'the beginning'}", file=desk.out)


def _position(chosen: argparse.Namespace) -> Position:
    """The position that was asked for. At a moment: `{"since": …}`, which every source understands."""
    if chosen.to is not None:
        try:
            found = json.loads(chosen.to)
        except ValueError as error:
            raise _WrongUseError(f"--to is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise _WrongUseError("--to must be a JSON object")
        return found
    if chosen.to_time is not None:
        try:
            moment = datetime.fromisoformat(chosen.to_time)
        except ValueError:
            raise _WrongUseError(f"--to-time {chosen.to_time} is no moment such as 2026-11-20T00:00:00Z") from None
        return {"since": rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=UTC))}
    return {}


def _ago(moment: datetime, now: datetime) -> str:
    return f"{timedelta(seconds=max(0, round((now - moment).total_seconds())))} ago"


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 1]}…"
