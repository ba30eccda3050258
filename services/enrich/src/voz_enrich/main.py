"""`voz-enrich`: the worker, and the analysis of texts by hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from voz_enrich import analyze, shadow, topics
from voz_enrich.adapters.outbound.hf_model import parse_label_map
from voz_enrich.adapters.outbound.models import open_model
from voz_enrich.config import EnrichSettings
from voz_enrich.wiring import run_worker
from voz_streamkit.logs import configure_logging
from voz_streamkit.run import read_settings, run_service
from voz_streamkit.settings import describe
from voz_streamkit.tracing import configure_tracing


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 1 after a failure, 2 for a configuration that can't be used."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for name, command in (("analyze", analyze.main), ("shadow", shadow.main), ("topics", topics.main)):
        if arguments[:1] == [name]:
            return command(arguments[1:])
    _parser().parse_args(arguments)
    settings = read_settings(EnrichSettings)
    configure_logging("enrich", settings.log_level)
    configure_tracing("enrich", settings.otlp_endpoint)
    opened = partial(open_model, threads=settings.threads, models_dir=settings.models_dir)
    try:
        model = opened(settings.model, label_map=parse_label_map(settings.label_map))
    except Exception as error:  # whatever keeps the named model from opening is a matter of configuration
        print(f"The model {settings.model!r} can't be used: {error}", file=sys.stderr)
        return 2
    shadow_labels = parse_label_map(settings.shadow_label_map)
    open_shadow = partial(opened, settings.shadow_model, label_map=shadow_labels) if settings.shadow_model else None
    return run_service(lambda stop: run_worker(settings, model, stop, open_shadow))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="voz-enrich", description="Understands each customer event of voz.events.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "worker",
        help="enrich events until SIGTERM",
        description="Enriches events until SIGTERM. Settings come from the environment.",
        epilog=f"settings:\n{describe(EnrichSettings)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands.add_parser("analyze", help="the signals of texts, from JSON lines to JSON lines", add_help=False)
    commands.add_parser("shadow", help="how far a second model agrees with the live one", add_help=False)
    commands.add_parser("topics", help="try a file of a company's own topics on recent messages", add_help=False)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
