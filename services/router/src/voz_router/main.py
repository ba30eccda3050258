"""`voz-router`: the command line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from voz_router.adapters.inbound.policy_yaml import parse_policy
from voz_router.config import ConsumeSettings, RouterSettings, ServeSettings
from voz_router.domain.policy import Policy
from voz_router.wiring import consume, migrate_now, openapi_document, serve
from voz_streamkit.reload import FileError
from voz_streamkit.run import EXIT_FAILED, read_settings, run_service
from voz_streamkit.settings import describe


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    match chosen.command:
        case "serve":
            serving = read_settings(ServeSettings)
            return run_service(lambda stop: serve(serving, stop))
        case "consume":
            consuming = read_settings(ConsumeSettings)
            return run_service(lambda stop: consume(consuming, stop))
        case "migrate":
            migrate_now(read_settings(RouterSettings))
        case "openapi":
            print(json.dumps(openapi_document(), indent=2, ensure_ascii=False))
        case _:
            return check(chosen.file)
    return 0


def check(file: Path) -> int:
    """Say whether a policy file can be used: a summary, or `file:line: what is wrong` on standard error."""
    try:
        policy = parse_policy(file.read_text(encoding="utf-8"))
    except FileError as error:
        print(f"{file}:{error.line or 1}: {error.message}", file=sys.stderr)
        return EXIT_FAILED
    except (OSError, UnicodeDecodeError) as error:
        print(f"{file}: {error}", file=sys.stderr)
        return EXIT_FAILED
    print(_summary(file, policy))
    return 0


def _summary(file: Path, policy: Policy) -> str:
    acting = sum(rule.act for rule in policy.rules)
    lines = [f"{file}: ok, version {policy.version}, {acting} rules act, {len(policy.rules) - acting} do not"]
    for queue in policy.queues.values():
        rules = [rule.id for rule in policy.rules if rule.queue == queue.name]
        lines.append(f"  {queue.name}: {', '.join(rules) or 'no rule, transfers only'}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="voz-router", description="Decides when to act, and keeps the cases.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, settings, words in (
        ("serve", ServeSettings, "the HTTP interface: queues, cases, decisions, policy"),
        ("consume", ConsumeSettings, "the stream: decide about voz.enriched, keep cases, publish them"),
        ("migrate", RouterSettings, "bring the database's schema up to date"),
    ):
        commands.add_parser(
            name,
            help=words,
            description=words,
            epilog=f"Environment:\n{describe(settings)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    checking = commands.add_parser("check", help="say whether a policy file can be used, with the line if not")
    checking.add_argument("file", type=Path, metavar="FILE")
    commands.add_parser("openapi", help="print the OpenAPI document")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
