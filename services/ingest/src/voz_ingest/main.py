"""`voz-ingest`: accepts events over HTTP and puts them on Kafka."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from voz_contracts.plain import plain
from voz_ingest import connectors_cli, identities_cli, importing, wiring, wiring_connect
from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.outbound.encoding import message
from voz_ingest.config import ConnectSettings, Settings
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.event import CustomerEvent, ReceivedEvent
from voz_ingest.domain.fields import FieldError
from voz_ingest.domain.reading import read_event
from voz_streamkit.logs import configure_logging
from voz_streamkit.run import read_settings, run_service
from voz_streamkit.settings import describe
from voz_streamkit.tracing import configure_tracing

CONTENT_TYPES = {
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".form": "application/x-www-form-urlencoded",
    ".eml": "message/rfc822",
    ".vtt": "text/vtt",
    ".srt": "application/x-subrip",
    ".xml": "application/xml",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        code: int = chosen.run(chosen)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voz-ingest",
        description=__doc__,
        epilog="Environment variables of `serve`:\n\n" + describe(Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("serve", help="serve HTTP until SIGTERM").set_defaults(run=_serve)
    parse = commands.add_parser(
        "parse",
        help="show what a source's payload becomes, as JSON lines in the plain form",
        description="Show what a source's payload becomes, as JSON lines in the plain form. Exit code 1, with the"
        " reasons on standard error, when something in it is refused.",
    )
    parse.add_argument("--source", required=True, help="one of those that `voz-ingest sources` lists")
    parse.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'Name: value'",
        help="a header of the request; can be repeated",
    )
    parse.add_argument(
        "--own", action="append", default=[], metavar="ID", help="a company's own account: what it wrote is outbound"
    )
    parse.add_argument("--mapping", type=Path, metavar="FILE", help="the mapping of the source `mapped`, YAML")
    parse.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="an option of the connection, as YAML; can be repeated",
    )
    parse.add_argument("files", nargs="+", metavar="FILE", help="a payload; - reads standard input")
    parse.set_defaults(run=_parse)
    importing.add_arguments(commands.add_parser("import", help="send a CSV or JSON lines file; resumable"))
    asking = commands.add_parser(
        "connect",
        help="ask sources for what is new, until SIGTERM",
        epilog=f"Environment:\n{describe(ConnectSettings)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    asking.set_defaults(run=_connect)
    connectors_cli.add_arguments(commands.add_parser("connectors", help="list, pause, resume and rewind connectors"))
    identities_cli.add_arguments(commands.add_parser("identities", help="who is who: link, unlink, list"))
    commands.add_parser("sources", help="the known sources").set_defaults(run=_sources)
    commands.add_parser("openapi", help="the OpenAPI document").set_defaults(run=_openapi)
    return parser


def _serve(_: argparse.Namespace) -> int:
    settings = read_settings(Settings)
    configure_logging("ingest", settings.log_level)
    if settings.otlp_endpoint:  # spans that nobody collects would double the cost of a request
        configure_tracing("ingest", settings.otlp_endpoint)

    async def run(stop: asyncio.Event) -> None:
        service = wiring.build(settings)
        gc.freeze()  # what is there now stays; without this each full collection walks it all and a request waits
        gc.set_threshold(20_000)  # hardly anything that a request makes is cyclic; at 700 looking costs 5 µs of each
        await service.run(stop)

    return run_service(run)


def _connect(_: argparse.Namespace) -> int:
    settings = read_settings(ConnectSettings)
    configure_logging("ingest", settings.log_level)
    return run_service(lambda stop: wiring_connect.connect(settings, stop))


def _sources(_: argparse.Namespace) -> int:
    for name in sources.names():
        print(f"{name:<16} {sources.load(name).description}")
    return 0


def _openapi(_: argparse.Namespace) -> int:
    print(json.dumps(wiring.openapi(), indent=2, ensure_ascii=False))
    return 0


def _parse(chosen: argparse.Namespace) -> int:
    try:
        source = sources.load(chosen.source)
    except KeyError:
        print(f"unknown source {chosen.source}; known: {', '.join(sources.names())}", file=sys.stderr)
        return 2
    given = dict(_header(header) for header in chosen.header)
    try:
        options = _options(chosen, source)
    except (OSError, ValueError, yaml.YAMLError) as error:
        print(f"the options can't be used: {error}", file=sys.stderr)
        return 2
    refused = False
    for name in chosen.files:
        body = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        headers = {"content-type": CONTENT_TYPES.get(Path(name).suffix, "application/json")} | given
        try:
            drafts = source.drafts(
                sources.Payload(body, headers, frozenset(chosen.own), options, received_at=datetime.now(UTC))
            )
        except sources.PayloadError as error:
            print(f"{name}: {error}", file=sys.stderr)
            refused = True
            continue
        for index, result in enumerate(map(_read, drafts)):
            if isinstance(result, CustomerEvent):
                print(json.dumps(_plain(result), ensure_ascii=False))
                continue
            refused = True
            for wrong in result:
                where = wrong.pointer or "the event"
                print(f"{name}: event {index}: {where}: {wrong.detail}", file=sys.stderr)
    return 1 if refused else 0


def _read(draft: Draft) -> CustomerEvent | Sequence[FieldError]:
    if draft.errors:
        return draft.errors
    most = Settings.model_fields["max_text_bytes"].default
    reading = read_event(draft.plain, tenant=None, received_at=datetime.now(UTC), max_text_bytes=most)
    located = [FieldError(draft.locate(error.pointer), error.detail) for error in reading.errors]
    return reading.event or located


def _plain(event: CustomerEvent) -> dict[str, object]:
    return plain(message(ReceivedEvent(id="", tenant="", received_at=event.occurred_at, event=event)))


def _options(chosen: argparse.Namespace, source: sources.Source) -> dict[str, Any]:
    """What a connection would say. Raises ValueError, yaml.YAMLError and OSError."""
    options: dict[str, Any] = {}
    for said in chosen.option:
        found = yaml.safe_load(said)
        if not isinstance(found, dict):
            raise ValueError(f"{said!r} is not of the form 'name: value'")
        options |= found
    if chosen.mapping:
        options["mapping"] = yaml.safe_load(chosen.mapping.read_text(encoding="utf-8"))
    if source.check:
        source.check(options)
    return options


def _header(said: str) -> tuple[str, str]:
    name, _, value = said.partition(":")
    return name.strip().lower(), value.strip()


if __name__ == "__main__":
    raise SystemExit(main())
