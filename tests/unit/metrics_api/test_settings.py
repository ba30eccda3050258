"""Settings are bounded, and the README tells them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from voz_metrics_api.config import ConsumeSettings, MetricsApiSettings, ServeSettings
from voz_metrics_api.main import main
from voz_streamkit.settings import describe

README = Path(__file__).parents[3] / "services" / "metrics-api" / "README.md"
REQUIRED: dict[str, Any] = {"postgres_dsn": "postgresql://localhost/voz", "keys_file": "keys.yaml"}


@pytest.mark.parametrize("settings", [MetricsApiSettings, ServeSettings, ConsumeSettings])
def test_every_variable_stands_in_the_readme(settings: type[MetricsApiSettings]) -> None:
    table = README.read_text(encoding="utf-8")
    for line in describe(settings).splitlines():
        assert f"`{line.split()[0]}`" in table


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 70_000},
        {"max_streams": 0},
        {"query_timeout_seconds": 0},
        {"minutes_kept_days": 1},
        {"gauge_tenants": 0},
    ],
)
def test_a_setting_out_of_its_bounds_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ServeSettings.model_validate(REQUIRED | wrong)


def test_a_missing_secret_is_said_and_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VOZ_POSTGRES_DSN", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["consume"])
    assert ended.value.code == 2
    assert "VOZ_POSTGRES_DSN" in capsys.readouterr().err
