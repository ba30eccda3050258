"""Who runs, where, since when, and how far each consumer is behind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import httpx
from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

from voz_devstack.stackfile import StackInfo
from voz_devstack.supervise import ProgramStatus

_LAG = "voz_consumer_lag_records"


def status_table(
    info: StackInfo | None, programs: Sequence[ProgramStatus], lag: Mapping[str, int], now: datetime
) -> Table:
    """A row for each program; `running ×3` runs for the third time. `lag` is in records by program."""
    urls = {process.name: process.metrics_url for process in info.processes} if info else {}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))  # narrow: six columns have to fit into 80
    for column in ("name", "pid", "state", "for", "url", "lag"):
        table.add_column(column, no_wrap=True, justify="right" if column in ("pid", "lag") else "left")
    for program in programs:
        restarts = f" ×{program.starts}" if program.starts > 1 else ""
        url = urls.get(program.name)
        table.add_row(
            program.name,
            str(program.pid or "–"),
            program.state.lower() + restarts,
            _since(program.since, now),
            url.removesuffix("/metrics") if url else "–",
            str(lag[program.name]) if program.name in lag else "–",
        )
    return table


def lag_of(info: StackInfo) -> dict[str, int]:
    """Records not yet applied, by process, from the processes' own metrics; one that doesn't answer is left out."""
    found: dict[str, int] = defaultdict(int)
    with httpx.Client(timeout=2, trust_env=False) as client:
        for process in info.processes:
            if process.metrics_url is None:
                continue
            try:
                text = client.get(process.metrics_url).text
            except httpx.HTTPError:
                continue
            samples = [s for family in text_string_to_metric_families(text) for s in family.samples if s.name == _LAG]
            if samples:
                found[process.name] = int(sum(sample.value for sample in samples))
    return dict(found)


def _since(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "–"
    ago = timedelta(seconds=max(0, round((now - moment.astimezone(UTC)).total_seconds())))
    return str(ago)
