"""How the demo looks: a live table in a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table
from rich.text import Text

from voz_devstack.clients import Kpi
from voz_devstack.demo import WINDOW, Progress, Summary, View
from voz_devstack.simulator import SOURCE

_LINE_EVERY_SECONDS = 5.0
_HISTORY = 40
_WAYS = {SOURCE: "/v1/events"}
_BARS = "▁▂▃▄▅▆▇█"


@contextmanager
def demo_view(console: Console) -> Iterator[View]:
    """The view that fits the console."""
    if not console.is_terminal:
        yield LineView(console)
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield LiveView(live)


class LineView:
    """Plain lines: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0

    def show(self, progress: Progress) -> None:
        """A line when the last one is long enough ago."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LINE_EVERY_SECONDS
        kpis = "  ".join(f"{name} {value_of(kpi)}" for name, kpi in progress.kpis.items() if kpi.n)
        waiting = sum(queue.waiting for queue in progress.queues)
        self._console.print(
            f"{progress.elapsed_seconds:5.0f} s  sent {progress.sent}  accepted {len(progress.accepted)}"
            f"  enriched {progress.enriched}  cases {progress.cases_opened} opened, {progress.cases_resolved} resolved,"
            f" {waiting} waiting  {heard(progress)}  {kpis}",
            soft_wrap=True,
            highlight=False,
        )


class LiveView:
    """Counts, KPIs with their recent course, queues, and the newest cases."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._history: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_HISTORY))

    def show(self, progress: Progress) -> None:
        """Draw everything anew."""
        for name, kpi in progress.kpis.items():
            if kpi.value is not None:
                self._history[name].append(kpi.value)
        head = Text(
            f"{progress.elapsed_seconds:4.0f} s  {progress.phase}\nboard: {progress.board_url}\n"
            f"sent {progress.sent}   accepted {len(progress.accepted)}   enriched {progress.enriched}   "
            f"cases {progress.cases_opened} opened, {progress.cases_resolved} resolved\n{heard(progress)}\n",
            overflow="fold",
        )
        side = Table.grid(padding=(0, 4))
        side.add_row(self._kpis(progress), _queues(progress))
        self._live.update(Group(head, side, Text(), _cases(progress)))

    def _kpis(self, progress: Progress) -> Table:
        table = Table(f"KPI, last {WINDOW}", show_edge=False)
        table.add_column("value", justify="right")
        table.add_column("n", justify="right")
        table.add_column("course")
        for name, kpi in progress.kpis.items():
            table.add_row(name, value_of(kpi), str(kpi.n), sparkline(self._history[name]))
        return table


class ReplayBar:
    """A bar with the recording's own time beside it."""

    def __init__(self, bar: ProgressBar, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("replay", total=total, at="")

    def advance(self, events: int, at: datetime) -> None:
        """So many events more; the recording's time is now `at`."""
        self._bar.update(self._task, advance=events, at=f"{at:%Y-%m-%d %H:%M}")


@contextmanager
def replay_bar(total: int) -> Iterator[ReplayBar]:
    """A bar for a recording of so many events."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[at]}"), TimeRemainingColumn())
    with ProgressBar(*columns) as bar:
        yield ReplayBar(bar, total)


def summary_table(summary: Summary) -> Table:
    """The end of the demo."""
    table = Table("what", show_edge=False)
    table.add_column("events", justify="right")
    for name, value in (
        ("sent", summary.sent),
        ("accepted by ingest (202)", summary.accepted),
        ("answered on voz.enriched", summary.enriched),
        ("counted by metrics-api", summary.counted),
        ("cases opened", summary.cases_opened),
        ("cases resolved", summary.cases_resolved),
        ("dead letters", summary.dead_letters),
    ):
        table.add_row(name, str(value))
    return table


def heard(progress: Progress) -> str:
    """Where accepted events came from, the most first."""
    found = sorted(progress.by_source.items(), key=lambda each: (-each[1], each[0]))
    return "heard by " + ", ".join(f"{_WAYS.get(name, name)} {count}" for name, count in found) if found else ""


def value_of(kpi: Kpi) -> str:
    """A KPI's value for people; a dash without data."""
    if kpi.value is None:
        return "–"
    if kpi.unit == "seconds":
        return f"{kpi.value:.1f} s"
    # A share of 0…1 reads as a percentage.
    return f"{kpi.value * 100:.0f} %" if kpi.unit == "ratio" else f"{kpi.value:.1f}"


def sparkline(values: deque[float]) -> str:
    """The course of some values, lowest to highest; a flat one lies in the middle."""
    if not values:
        return ""
    low, high = min(values), max(values)
    if low == high:
        return _BARS[3] * len(values)
    return "".join(_BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] for value in values)


def _queues(progress: Progress) -> Table:
    table = Table("queue", show_edge=False)
    for column in ("waiting", "claimed", "past due"):
        table.add_column(column, justify="right")
    for queue in progress.queues:
        table.add_row(queue.name, str(queue.waiting), str(queue.claimed), str(queue.past_due))
    return table


def _cases(progress: Progress) -> Table:
    table = Table(show_edge=False, expand=True)
    # Room is taken from what is said before it is taken from whose case it is and where.
    table.add_column("queue", no_wrap=True, min_width=10)
    table.add_column("customer", no_wrap=True, min_width=18)
    table.add_column("says", no_wrap=True, ratio=3)
    table.add_column("why it is a case", no_wrap=True, ratio=2)
    for case in reversed(progress.newest_cases):
        table.add_row(
            case.queue, escape(case.customer.display_name), escape(" ".join(case.text.split())), escape(case.reason)
        )
    return table
