"""What the router promises in documents is what it does."""

from __future__ import annotations

import json
from pathlib import Path

from voz_router.config import ConsumeSettings, ServeSettings
from voz_router.wiring import openapi_document
from voz_streamkit.settings import describe

SERVICE = Path(__file__).parents[2] / "services/router"


def test_the_openapi_document_is_in_step() -> None:
    written = json.loads((SERVICE / "openapi.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(openapi_document())), "run `make openapi`"


def test_every_call_of_the_interface_is_there() -> None:
    paths = openapi_document()["paths"]
    calls = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {
        "GET /v1/queues",
        "GET /v1/queues/{queue}/cases",
        "GET /v1/cases/{case_id}",
        "POST /v1/cases/{case_id}/claim",
        "POST /v1/cases/{case_id}/notes",
        "POST /v1/cases/{case_id}/resolve",
        "POST /v1/cases/{case_id}/reopen",
        "POST /v1/cases/{case_id}/transfer",
        "GET /v1/decisions",
        "GET /v1/policy",
        "GET /livez",
        "GET /readyz",
        "GET /metrics",
    } <= calls


def test_the_readme_names_every_variable() -> None:
    readme = (SERVICE / "README.md").read_text(encoding="utf-8")
    for settings in (ServeSettings, ConsumeSettings):
        for line in describe(settings).splitlines():
            assert f"`{line.split()[0]}`" in readme
