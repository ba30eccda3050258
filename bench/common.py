"""What every benchmark needs: texts, processes, a table and the closing JSON line."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
AIRLINE = ROOT.parent / "shared" / "data" / "airline" / "replay.jsonl"
_console = Console(width=110)


def say(words: str) -> None:
    """One line of progress on standard error."""
    print(f"[bench] {words}", file=sys.stderr, flush=True)


def texts(count: int) -> list[str]:
    """`count` real customer messages, repeated when there are fewer."""
    files = [AIRLINE] if AIRLINE.is_file() else sorted((ROOT / "models" / "corpus").glob("*.jsonl"))
    rows = [json.loads(line)["text"] for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    return [rows[number % len(rows)] for number in range(count)]


def events(count: int, *, run: str, customers: int = 500) -> list[bytes]:
    """`count` events in the plain JSON form of `POST /v1/events`, as bytes."""
    return [
        json.dumps(
            {
                "id": f"{run}-{number}",
                "channel": "social",
                "customer": {"id": f"c-{number % customers}", "handle": f"@c{number % customers}"},
                "text": text,
                "attributes": {"product": f"p-{number % 7}"},
            },
            ensure_ascii=False,
        ).encode()
        for number, text in enumerate(texts(count))
    ]


@contextmanager
def process(
    *command: str, log: Path, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> Iterator[psutil.Process]:
    """A child process, stopped at the end: asked first, killed after 20 s."""
    with log.open("ab") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **(env or {})}, cwd=cwd)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for(url: str, seconds: float = 60) -> None:
    """Until the URL answers 200."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=1).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")


def in_turns(rounds: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Each measure once a round, so that a drift of the machine meets them all. One list a measure."""
    found: list[list[float]] = [[] for _ in measures]
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for values, measure in zip(found, measures, strict=True):
            values.append(measure())
    return found


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Median of the rounds' ratios."""
    return round(median(a / b for a, b in zip(numerator, denominator, strict=True)), 3)


def report(
    name: str, rows: Sequence[tuple[str, str]], ratios: Mapping[str, float], figures: Mapping[str, float]
) -> None:
    """Print the table and the closing JSON line."""
    table = Table(title=f"bench {name}", show_edge=False)
    table.add_column("what")
    table.add_column("figure", justify="right")
    for row in rows:
        table.add_row(*row)
    for what, value in ratios.items():
        table.add_row(f"ratio: {what}", f"{value:.3f}")
    _console.print(table)
    machine = {"cores": os.cpu_count(), "cpu": _cpu(), "python": platform.python_version()}
    print(json.dumps({"name": name, "ratios": dict(ratios), "figures": dict(figures), "machine": machine}))


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
