"""The command line, and documents that must be in step with the code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.ingest.fakes import PLAIN, event

from voz_ingest import wiring
from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.inbound.http.document import SCHEMAS
from voz_ingest.config import Settings
from voz_ingest.domain import payloads, reading
from voz_ingest.main import main
from voz_streamkit.settings import describe

SERVICE = Path(__file__).parents[3] / "services" / "ingest"


def test_parse_shows_the_plain_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, one = tmp_path / "events.ndjson", tmp_path / "event.json"
    lines.write_text(json.dumps(PLAIN) + "\n" + json.dumps(event(id="b", occurred_at="2026-11-20T10:00:00+01:00")))
    one.write_text(json.dumps({"specversion": "1.0", "id": "c", "source": "/s", "type": "t", "data": event()}))
    assert main(["parse", "--source", "api", str(lines)]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == PLAIN
    assert (second["occurred_at"], second["kind"]) == ("2026-11-20T09:00:00Z", "message")
    assert main(["parse", "--source", "cloudevents", str(one)]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "c"


def test_parse_takes_headers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps(event()))
    attributes = ["CE-Specversion: 1.0", "ce-id: x", "ce-source: /s", "ce-type: t"]
    chosen = [part for header in attributes for part in ("--header", header)]
    assert main(["parse", "--source", "cloudevents", *chosen, str(payload)]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "/s"


@pytest.mark.parametrize("payload", ["{", '[{"channel": "fax"}]'])
def test_parse_says_why_a_payload_is_refused(payload: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "payload.json"
    path.write_text(payload)
    assert main(["parse", "--source", "api", str(path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "payload.json" in said.err


def test_an_unknown_source_is_named_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parse", "--source", "telex", "-"]) == 2
    assert "known: api, appstore, bluesky" in capsys.readouterr().err
    assert main(["sources"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == sources.names()


def test_serve_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("VOZ_KEYS_FILE", raising=False)
    with pytest.raises(SystemExit, match="2"):
        main(["serve"])
    assert "VOZ_KEYS_FILE" in capsys.readouterr().err


def test_the_openapi_document_is_in_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["openapi"]) == 0
    written = (SERVICE / "openapi.json").read_text(encoding="utf-8")
    assert capsys.readouterr().out == written, "run: voz-ingest openapi > services/ingest/openapi.json"


def test_the_openapi_document_knows_every_field_that_is_read() -> None:
    properties = {name: set(schema.get("properties", ())) for name, schema in SCHEMAS.items()}
    assert properties["Event"] == reading.EVENT_FIELDS
    for name in ("survey", "transaction", "subscription", "behaviour", "ticket"):
        assert properties[name.capitalize()] == getattr(payloads, f"{name.upper()}_FIELDS")
    customer = SCHEMAS["Event"]["properties"]["customer"]["properties"]
    assert set(customer) == reading.CUSTOMER_FIELDS


def test_every_reference_of_the_openapi_document_leads_somewhere() -> None:
    document = wiring.openapi()
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "#/')[1:]}:
        found = document
        for step in reference.split("/"):
            found = found[step]


def test_the_readme_lists_every_variable() -> None:
    readme = (SERVICE / "README.md").read_text(encoding="utf-8")
    variables = [line.split()[0] for line in describe(Settings).splitlines()]
    assert [name for name in variables if f"`{name}`" not in readme] == []
