"""How the demo looks."""

from __future__ import annotations

from collections import deque
from io import StringIO

import pytest
from rich.console import Console
from rich.live import Live

from voz.v1.case_pb2 import SupportCase
from voz_devstack.clients import Kpi, Queue
from voz_devstack.demo import Progress, Summary
from voz_devstack.views import LineView, LiveView, sparkline, summary_table, value_of


def progress() -> Progress:
    case = SupportCase(queue="billing", text="Me habéis cobrado [dos] veces\n" * 5, reason="A complaint about charges")
    case.customer.display_name = "Lucía Ferrer"
    return Progress(
        "http://127.0.0.1:1/#key=k",
        sent=7,
        accepted={"a", "b"},
        by_source={"telegram": 3, "simulator": 2, "whatsapp": 3},
        kpis={
            "nps": Kpi(12.5, 8, "points"),
            "csat": Kpi(None, 0, "percent"),
            "first_response_time": Kpi(1.23, 4, "seconds"),
        },
        queues=[Queue("billing", 3, 1, 0)],
        newest_cases=[case],
    )


def test_live_view_shows_board_kpis_queues_and_cases() -> None:
    out = StringIO()
    console = Console(file=out, width=160, force_terminal=True, color_system=None)
    with Live(console=console, auto_refresh=False) as live:
        LiveView(live).show(progress())
        live.refresh()
    shown = out.getvalue()
    for words in (
        "board: http://127.0.0.1:1/#key=k",
        "12.5",
        "1.2 s",
        "billing",
        "Lucía Ferrer",
        "cobrado [dos] veces",
        "heard by telegram 3, whatsapp 3, /v1/events 2",
    ):
        assert words in shown


def test_line_view_prints_now_and_then() -> None:
    out = StringIO()
    view = LineView(Console(file=out, width=40))
    view.show(progress())
    view.show(progress())
    (line,) = out.getvalue().splitlines()
    assert "sent 7  accepted 2" in line
    assert "3 waiting" in line
    assert "nps 12.5" in line
    assert "csat" not in line


@pytest.mark.parametrize(
    ("values", "drawn"), [([], ""), ([3.0], "▄"), ([1.0, 1.0], "▄▄"), ([0.0, 7.0], "▁█"), ([-1.0, 0.0, 1.0], "▁▅█")]
)
def test_sparkline(values: list[float], drawn: str) -> None:
    assert sparkline(deque(values)) == drawn


@pytest.mark.parametrize(
    ("kpi", "shown"),
    [
        (Kpi(None, 0, "points"), "–"),
        (Kpi(3.04, 1, "seconds"), "3.0 s"),
        (Kpi(0.256, 9, "ratio"), "26 %"),
        (Kpi(-8.0, 9, "points"), "-8.0"),
    ],
)
def test_a_value_is_shown_in_its_unit(kpi: Kpi, shown: str) -> None:
    assert value_of(kpi) == shown


def test_summary_says_every_figure_and_whether_they_agree() -> None:
    summary = Summary(5, 4, 4, 4, 3, 2, 0)
    out = StringIO()
    Console(file=out, width=80).print(summary_table(summary))
    assert "counted by metrics-api" in out.getvalue()
    assert summary.agrees
    assert summary.as_json() == (
        '{"sent": 5, "accepted": 4, "enriched": 4, "counted": 4, "cases_opened": 3, "cases_resolved": 2,'
        ' "dead_letters": 0}'
    )
    assert not Summary(5, 5, 5, 4, 0, 0, 0).agrees
