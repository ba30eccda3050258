"""The connections file: what it may say, and what it is told when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from voz_ingest.adapters.inbound.connections import Connections, connections_file, parse_connections
from voz_ingest.domain.connection import Connection, TenantLimits
from voz_streamkit.metrics import Metrics
from voz_streamkit.reload import FileError

WRITTEN = """
connections:
  - id: plain
    tenant: acme
    source: api
    secrets: ["env:PLAIN_SECRET", "file:secret.txt", literal]
    own: ["@acme"]
    options: {instance: eu, nested: [{token: "env:PLAIN_SECRET", number: 3}]}
tenants:
  - {id: acme, events_per_second: 20, events_per_day: 1000, pseudonym_key: "env:PLAIN_SECRET"}
"""


def test_secrets_are_read_from_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIN_SECRET", "s3cret")
    (tmp_path / "secret.txt").write_text("from the file\n")
    read = parse_connections(WRITTEN, tmp_path)
    assert read.by_id["plain"] == Connection(
        "plain",
        "acme",
        "api",
        ("s3cret", "from the file", "literal"),
        frozenset({"@acme"}),
        {"instance": "eu", "nested": [{"token": "s3cret", "number": 3}]},
    )
    default = TenantLimits(1, 2)
    assert read.tenant("acme").limits(default) == TenantLimits(20, 2, 1000)
    assert read.tenant("nobody").limits(default) == default
    assert "s3cret" not in repr(read.tenants)


@pytest.mark.parametrize(
    ("written", "line", "words"),
    [
        ("connections:\n  - {id: a, tenant: t, source: telex, secrets: [x]}", 2, "unknown source `telex`; known: "),
        ("connections:\n  - {id: a, tenant: t, source: api}", 2, "`secrets` are missing"),
        ("connections:\n  - {id: a/b, tenant: t, source: api, secrets: [x]}", 2, "an id of letters"),
        ("connections:\n- &a {id: a, tenant: t, source: api, secrets: [x]}\n- *a", 2, "a second connection `a`"),
        ("connections:\n  - {id: a, tenant: t, source: api, secrets: ['env:NOT_THERE']}", 2, "no NOT_THERE"),
        ("connections:\n  - {id: a, tenant: t, source: api, secrets: ['file:nowhere']}", 2, "can't be read"),
        ("connections:\n  - {id: a, tenant: t, source: api, secret: [x]}", 2, "did you mean `secrets`"),
        (
            "connections:\n  - id: a\n    tenant: t\n    source: mapped\n    secrets: [x]\n    options: {}",
            6,
            "mapped can't",
        ),
        ("tenants:\n  - {id: a, events_per_second: 0}", 2, "above 0"),
        ("tenants:\n  - {id: a}\n  - {id: a}", 3, "a second tenant"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(written: str, line: int, words: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=words) as refused:
        parse_connections(written, tmp_path)
    assert refused.value.line == line


def test_an_empty_list_is_a_list() -> None:
    assert parse_connections("connections: []\n") == Connections()


def test_a_file_with_an_error_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    path = tmp_path / "connections.yaml"
    path.write_text("connections:\n  - {id: a, tenant: t, source: api, secrets: [x]}\n")
    file = connections_file(path, Metrics("ingest"))
    path.write_text("connections:\n  - {id: b, tenant: t, source: telex, secrets: [xy]}\n")
    assert not file.refresh()
    assert [*file.value.by_id] == ["a"]
    path.write_text("connections:\n  - {id: b, tenant: t, source: api, secrets: [x, y]}\n")
    assert file.refresh()
    assert [*file.value.by_id] == ["b"]
