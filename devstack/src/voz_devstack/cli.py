"""`voz-stack`: Voz on this machine. What `make setup demo up down status clean replay` call."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from voz_devstack.setting_up import StackError, setup


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        with _terminate_as_interrupt():
            code: int = chosen.run(chosen)
            return code
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voz-stack",
        description="Voz on this machine: real Kafka, PostgreSQL and the services.",
        epilog="environment: VOZ_STATE_DIR (state and data, default .voz of the checkout), VOZ_CACHE_DIR (downloads), "
        "VOZ_KAFKA_BOOTSTRAP and VOZ_POSTGRES_DSN (servers that already run), VOZ_KEYS_FILE with VOZ_API_KEY, "
        "VOZ_POLICY_FILE, VOZ_TOPIC_PREFIX, VOZ_<NAME>_PORT (fixed ports).",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    found = {}
    for name, run, summary in (
        ("setup", _setup, "fetch and check Java's and Kafka's parts"),
        ("up", _command("up"), "start everything in the background; return when it is ready"),
        ("down", _command("down"), "stop everything; the data stay"),
        ("status", _command("status"), "who runs, where, since when, with what lag"),
        ("clean", _command("clean"), "stop everything and erase its data"),
        ("demo", _command("demo"), "simulated customers talk to the pipeline, live in the terminal"),
        ("replay", _command("replay"), "play a recorded stream into the running pipeline"),
    ):
        found[name] = commands.add_parser(name, help=summary, description=summary)
        found[name].set_defaults(run=run)
    demo, replay = found["demo"], found["replay"]
    demo.add_argument("--seconds", type=_positive, help="end by itself after so long")
    demo.add_argument("--rate", type=_positive, default=20.0, help="events a second (default 20)")
    demo.add_argument("--seed", type=int, default=1, help="the same seed tells the same stories in the same order")
    replay.add_argument("--file", type=Path, required=True, help="JSON lines with text and occurred_at")
    replay.add_argument("--speed", type=_positive, default=60.0, help="times as fast as it happened (default 60)")
    return parser


def _setup(_: argparse.Namespace) -> int:
    began = time.monotonic()
    setup(lambda words: print(f"[setup] {words}", flush=True))
    if time.monotonic() - began > 1:
        print(f"[setup] done in {time.monotonic() - began:.0f} s", flush=True)
    return 0


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    def run(chosen: argparse.Namespace) -> int:
        # Imported when needed: `setup` runs before every other target and has to be quick.
        from voz_devstack import commands

        code: int = getattr(commands, name)(chosen)
        return code

    return run


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does: whatever was started is stopped again."""

    def interrupt(_: int, __: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
