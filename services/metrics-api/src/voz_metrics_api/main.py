"""`voz-metrics-api`: one command for each process of the service."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from voz_metrics_api import wiring
from voz_metrics_api.config import ConsumeSettings, MetricsApiSettings, ServeSettings
from voz_streamkit.health import Health
from voz_streamkit.logs import configure_logging
from voz_streamkit.metrics import Metrics
from voz_streamkit.run import read_settings, run_service
from voz_streamkit.settings import describe

S = TypeVar("S", bound=MetricsApiSettings)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="voz-metrics-api", description="KPIs, timelines and the live board.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, summary: str, settings: type[MetricsApiSettings], run: Callable[[], int]) -> None:
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary}. Settings come from the environment.",
            epilog=f"settings:\n{describe(settings)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)

    add("serve", "answer over HTTP", ServeSettings, lambda: _run(ServeSettings, wiring.serve))
    add("consume", "count what the topics bring", ConsumeSettings, lambda: _run(ConsumeSettings, wiring.consume))
    add("migrate", "bring the database schema up to date, and end", MetricsApiSettings, _migrate)
    openapi = commands.add_parser("openapi", help="print the OpenAPI document")
    openapi.set_defaults(run=_print_openapi)
    chosen: Callable[[], int] = parser.parse_args(arguments).run
    return chosen()


def _run(settings_class: type[S], process: Callable[[S, asyncio.Event], Awaitable[None]]) -> int:
    settings = read_settings(settings_class)
    configure_logging(wiring.SERVICE, settings.log_level)
    return run_service(partial(process, settings))


def _migrate() -> int:
    settings = read_settings(MetricsApiSettings)
    configure_logging(wiring.SERVICE, settings.log_level)
    wiring.migrate_schema(settings)
    return 0


def _print_openapi() -> int:
    print(json.dumps(openapi_document(), indent=2, ensure_ascii=False))
    return 0


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document of the HTTP interface. Connects to nothing."""
    with TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.yaml"
        keys.write_text("keys: []")
        settings = ServeSettings.model_validate({"postgres_dsn": "postgresql://localhost/voz", "keys_file": keys})
        return wiring.build_api(settings, Metrics(wiring.SERVICE), Health(), asyncio.Event()).app.openapi()


if __name__ == "__main__":
    raise SystemExit(main())
