"""The demo and the replay on a running pipeline: everything accepted is answered and counted, and people act."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.e2e.conftest import Checkout, eventually

pytestmark = pytest.mark.e2e

SUMMARY = ["sent", "accepted", "enriched", "counted", "cases_opened", "cases_resolved", "dead_letters"]


def volume(stack: Checkout, source: str, start: datetime, end: datetime) -> int:
    info = stack.info()
    answer = httpx.get(
        f"{info.metrics_api_url}/v1/kpis",
        params={"kpi": "volume", "source": source, "from": start.isoformat(), "to": end.isoformat()},
        headers={"Authorization": f"Bearer {info.api_key}"},
        trust_env=False,
    )
    return int(answer.raise_for_status().json()["groups"][0]["kpis"]["volume"]["value"])


def test_the_demo_counts_every_event_and_moves_cases(stack: Checkout) -> None:
    demo = stack.run("demo", "--seconds", "15", "--rate", "15", "--seed", "3")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "/#key=" in demo.stdout
    summary = json.loads(demo.stdout.splitlines()[-1])
    assert list(summary) == SUMMARY
    assert summary["sent"] == summary["accepted"] == summary["enriched"] == summary["counted"] > 0
    assert summary["cases_opened"] > 0, demo.stdout
    assert summary["cases_resolved"] > 0, demo.stdout
    assert summary["dead_letters"] == 0
    assert "running already" in stack.run("up").stdout


def test_an_interrupted_demo_still_counts_and_says_what_became_of_it(stack: Checkout) -> None:
    demo = stack.start("demo")
    assert demo.stdout is not None
    for line in demo.stdout:
        if "accepted" in line and "accepted 0" not in line:
            demo.send_signal(signal.SIGINT)
            break
    out, _ = demo.communicate(timeout=180)
    summary = json.loads(out.splitlines()[-1])
    assert demo.returncode == 0
    assert summary["accepted"] == summary["enriched"] == summary["counted"] > 0


def test_a_recording_is_counted_at_its_own_times_and_only_once(stack: Checkout, tmp_path: Path) -> None:
    # Figures are kept by the minute for some weeks; what is older lands in its hour or day.
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=2)
    rows = [
        {
            "id": f"e2e-{number}",
            "occurred_at": (start + timedelta(minutes=number)).isoformat(),
            "brand": "Delta",
            "text": f"Two hours on the tarmac, row {number}, and no word from anybody.",
        }
        for number in range(30)
    ]
    file = tmp_path / "recording.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in reversed(rows)), encoding="utf-8")
    for _ in range(2):
        replay = stack.run("replay", "--file", str(file), "--speed", "3600")
        assert replay.returncode == 0, replay.stdout + replay.stderr
        assert "accepted 30, rejected 0" in replay.stdout
    eventually(lambda: volume(stack, "replay", start, start + timedelta(minutes=30)) == 30, "all 30 are counted")
    assert volume(stack, "replay", start, start + timedelta(minutes=10)) == 10
