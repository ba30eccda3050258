"""The OpenAPI document of metrics-api, as committed for its readers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from voz_metrics_api.domain.dimensions import DIMENSIONS
from voz_metrics_api.main import main, openapi_document

COMMITTED = Path(__file__).parents[2] / "services" / "metrics-api" / "openapi.json"


def test_the_committed_document_is_in_step() -> None:
    assert json.loads(COMMITTED.read_text()) == openapi_document(), "run `make openapi`"


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["openapi"]) == 0
    assert capsys.readouterr().out == COMMITTED.read_text()


def test_every_dimension_is_a_filter_of_every_question_about_figures() -> None:
    paths = openapi_document()["paths"]
    for path in ("/v1/kpis", "/v1/kpis/{kpi}/series", "/v1/stream", "/v1/friction"):
        parameters = {parameter["name"] for parameter in paths[path]["get"]["parameters"]}
        assert {*DIMENSIONS, "window", "from", "to"} <= parameters, path
