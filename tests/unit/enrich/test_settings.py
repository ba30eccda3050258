"""Settings are bounded, and the README tells them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from voz_enrich.config import EnrichSettings
from voz_enrich.main import main
from voz_streamkit.settings import describe

pytestmark = pytest.mark.unit
README = Path(__file__).parents[3] / "services" / "enrich" / "README.md"


def test_every_variable_stands_in_the_readme() -> None:
    table = README.read_text(encoding="utf-8")
    for line in describe(EnrichSettings).splitlines():
        assert f"`{line.split()[0]}`" in table


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "magic"},
        {"shadow_model": "magic"},
        {"shadow_model": "hf:"},
        {"shadow_share": 1.01},
        {"shadow_share": -0.1},
        {"label_map": "LABEL_0=angry"},
        {"shadow_label_map": "LABEL_0"},
        {"threads": 0},
    ],
)
def test_a_setting_out_of_its_bounds_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EnrichSettings.model_validate(wrong)


def test_without_a_word_there_is_no_shadow() -> None:
    assert EnrichSettings().shadow_model == ""


def test_a_label_map_that_does_not_read_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOZ_ENRICH_SHADOW_LABEL_MAP", "LABEL_0=angry")
    with pytest.raises(SystemExit, match="2"):
        main(["worker"])
    assert "VOZ_ENRICH_SHADOW_LABEL_MAP: " in capsys.readouterr().err
