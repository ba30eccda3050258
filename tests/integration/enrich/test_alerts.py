"""The alerts on the model in Prometheus itself: what raises them, and what doesn't (deploy/prometheus/tests)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
PROMTOOL = shutil.which("promtool")
FOLDER = Path(__file__).parents[3] / "deploy" / "prometheus"


@pytest.mark.skipif(PROMTOOL is None, reason="promtool isn't installed (Debian has it in its package prometheus)")
@pytest.mark.parametrize(
    ("command", "file"), [("check", "rules/model.yaml"), ("test", "tests/model.yaml")], ids=["check", "test"]
)
def test_prometheus_accepts_the_alerts_and_raises_them_when_it_should(command: str, file: str) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, command, "rules", FOLDER / file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
