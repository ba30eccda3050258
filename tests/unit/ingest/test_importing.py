"""`voz-ingest import`: tables and lines, what is refused and why, going on where it stopped, waiting when told to."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.ingest.conftest import KEYS, Serve, Service
from tests.unit.ingest.fakes import event

from voz_ingest.importing import add_arguments, run_with

CSV = """id;channel;customer.id;survey.metric;survey.score;survey.comment;occurred_at;attributes.product
s-1;survey;c-1;nps;3;"Lento;
y caro";2025-11-20T10:10:05Z;fibra
;survey;c-2;nps;9;;2025-11-20T10:10:06Z;
;;;;;;;
;survey;c-3;nps;11;;2025-11-20T10:10:07Z;
;survey;c-4;nps;10;Ótimo;2025-11-20T10:10:08Z;móvil
"""


class Ingest:
    """Stands for ingest: takes everything, or answers what it is told to."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.batches: list[int] = []
        self.answers: list[Callable[[list[Any]], httpx.Response] | httpx.Response | Exception] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        events = json.loads(request.content)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return answer(events)
        if answer is not None:
            return answer
        self.batches.append(len(events))
        self.taken += events
        ids = [str(index) for index in range(len(events))]
        return httpx.Response(202, json={"accepted": len(events), "ids": ids, "rejected": []})

    @property
    def ids(self) -> list[str]:
        return [each["id"] for each in self.taken]


@pytest.fixture
def ingest() -> Ingest:
    return Ingest()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept, instead of sleeping."""
    found: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", found.append)
    return found


def parsed(*arguments: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["--url", "http://voz", "--key", "k", *map(str, arguments)])


def start(ingest: Ingest, *arguments: object) -> int:
    with httpx.Client(transport=httpx.MockTransport(ingest)) as client:
        return run_with(parsed(*arguments), client)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(*events: Any) -> str:
    return "".join(json.dumps(each) + "\n" for each in events)


def test_a_table_becomes_events(tmp_path: Path, ingest: Ingest, capsys: pytest.CaptureFixture[str]) -> None:
    path, errors = written(tmp_path / "nps.csv", CSV), tmp_path / "errors.jsonl"
    assert start(ingest, path, "--errors", errors) == 1
    first, second, third = ingest.taken
    assert first == {
        "id": "s-1",
        "source": "import",
        "channel": "survey",
        "customer": {"id": "c-1"},
        "survey": {"metric": "nps", "score": 3.0, "comment": "Lento;\ny caro"},
        "occurred_at": "2025-11-20T10:10:05Z",
        "attributes": {"product": "fibra"},
    }
    assert [second["customer"]["id"], third["survey"]["comment"]] == ["c-2", "Ótimo"]
    assert len({*ingest.ids}) == 3
    said = capsys.readouterr()
    assert "4 rows: 3 events accepted, 1 refused" in said.out
    assert "row 3: /survey/score must lie on its scale" in said.err
    (refused,) = map(json.loads, errors.read_text().splitlines())
    assert (refused["row"], refused["errors"][0]["pointer"]) == (3, "/survey/score")
    assert refused["data"]["customer.id"] == "c-3"


def test_a_second_run_sends_nothing_and_a_restart_the_same_events(tmp_path: Path, ingest: Ingest) -> None:
    path = written(tmp_path / "events.jsonl", lines(*(event(text=str(n)) for n in range(5))))
    assert start(ingest, path, "--batch", 2) == 0
    assert ingest.batches == [2, 2, 1]
    first = [*ingest.ids]
    assert start(ingest, path) == 0
    assert ingest.ids == first
    assert start(ingest, path, "--restart") == 0
    assert ingest.ids == first * 2


def test_it_goes_on_after_the_last_batch_that_was_acknowledged(
    tmp_path: Path, ingest: Ingest, slept: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "nps.csv", CSV)
    ingest.answers = [httpx.Response(202, json={"accepted": 1, "ids": ["x"], "rejected": []})]
    ingest.answers += [httpx.Response(503, headers={"Retry-After": "7"}, json={"detail": "away"})] * 3
    assert start(ingest, path, "--batch", 1, "--patience", 0) == 3
    assert "the same command goes on from here" in capsys.readouterr().err
    state = json.loads((tmp_path / "nps.csv.voz-import.json").read_text())
    assert (state["row"], state["counts"]["accepted"]) == (1, 1)
    ingest.answers = []
    assert start(ingest, path, "--batch", 1) == 1
    assert [each["customer"]["id"] for each in ingest.taken] == ["c-2", "c-4"]
    said = capsys.readouterr()
    assert "going on after row 1" in said.err
    assert "4 rows: 3 events accepted, 1 refused" in said.out


def test_what_was_added_to_the_file_since_is_sent(tmp_path: Path, ingest: Ingest) -> None:
    path = written(tmp_path / "events.jsonl", lines(event(text="a")))
    assert start(ingest, path) == 0
    path.write_text(path.read_text() + lines(event(text="b")))
    assert start(ingest, path) == 0
    assert [each["text"] for each in ingest.taken] == ["a", "b"]


@pytest.mark.parametrize("change", ["file", "url", "state"])
def test_a_state_of_something_else_is_not_believed(
    change: str, tmp_path: Path, ingest: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "events.jsonl", lines(event(text="a"), event(text="b")))
    assert start(ingest, path) == 0
    if change == "file":
        written(path, lines(event(text="c"), event(text="b")))
    elif change == "state":
        written(tmp_path / "events.jsonl.voz-import.json", "{}")
    more = ["--url", "http://elsewhere"] if change == "url" else []
    assert start(ingest, path, *more) == 2
    assert "--restart" in capsys.readouterr().err
    assert start(ingest, path, "--restart", *more) == 0
    assert len(ingest.taken) == 4


def test_it_waits_as_long_as_it_is_told(tmp_path: Path, ingest: Ingest, slept: list[float]) -> None:
    path = written(tmp_path / "events.jsonl", lines(event(id="a")))
    ingest.answers = [
        httpx.Response(429, headers={"Retry-After": "40"}, json={"detail": "slower"}),
        httpx.ConnectError("refused"),
        httpx.Response(503, text="<html>"),
    ]
    assert start(ingest, path) == 0
    assert ingest.ids == ["a"]
    assert slept[0] == 40
    assert len(slept) == 3


def test_it_does_not_wait_longer_than_its_patience(
    tmp_path: Path, ingest: Ingest, slept: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "events.jsonl", lines(event(id="a")))
    ingest.answers = [
        httpx.Response(429, headers={"Retry-After": "86000"}, json={"detail": "The day's quota is used."})
    ]
    assert start(ingest, path) == 3
    assert slept == []
    assert "it asks for 86000 seconds" in capsys.readouterr().err


def test_what_ingest_refuses_is_counted_and_written(tmp_path: Path, ingest: Ingest) -> None:
    path = written(tmp_path / "events.jsonl", lines(*(event(id=name) for name in "abc")))
    errors = tmp_path / "errors.jsonl"
    rejected = {"index": 1, "pointer": "/text", "detail": "too long here", "errors": [{"pointer": "/x", "detail": "y"}]}
    problem = {"errors": [{"pointer": "/0/text", "detail": "no"}, {"pointer": "/0", "detail": "at all"}]}
    ingest.answers = [
        httpx.Response(202, json={"accepted": 1, "ids": ["x"], "rejected": [rejected]}),
        httpx.Response(422, json=problem),
    ]
    assert start(ingest, path, "--batch", 2, "--errors", errors) == 1
    first, second = map(json.loads, errors.read_text().splitlines())
    assert (first["row"], first["errors"]) == (2, [{"pointer": "/x", "detail": "y"}])
    assert (second["row"], second["errors"][1]) == (3, {"pointer": "", "detail": "at all"})


def test_a_batch_that_is_too_large_is_halved(tmp_path: Path, ingest: Ingest) -> None:
    def only_small(events: list[Any]) -> httpx.Response:
        ingest.answers.append(only_small)
        if len(events) > 1 or events[0]["id"] == "c":
            return httpx.Response(413, json={"detail": "too large"})
        ingest.taken += events
        return httpx.Response(202, json={"accepted": 1, "ids": ["x"], "rejected": []})

    path = written(tmp_path / "events.jsonl", lines(*(event(id=name) for name in "abcd")))
    ingest.answers = [only_small]
    assert start(ingest, path) == 1
    assert ingest.ids == ["a", "b", "d"]


def test_a_dry_run_sends_nothing_and_notes_nothing(
    tmp_path: Path, ingest: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "nps.csv", CSV)
    assert start(ingest, path, "--dry-run", "--key", "") == 1
    assert ingest.taken == []
    assert [each.name for each in tmp_path.iterdir()] == ["nps.csv"]
    assert "3 events right (nothing was sent), 1 refused" in capsys.readouterr().out


def test_a_mapping_reads_each_row(tmp_path: Path, ingest: Ingest, capsys: pytest.CaptureFixture[str]) -> None:
    table = "Fecha,Cliente,Nota,Comentario\n20/11/2025 11:10,c-1,4,Bien\n20/11/2025 11:11,c-2,,\n"
    mapping = written(
        tmp_path / "mapping.yaml",
        """
        when: $.Nota
        event:
          channel: survey
          customer.id: $.Cliente
          survey: {metric: csat, score: $.Nota, comment: $.Comentario}
          occurred_at: {path: $.Fecha, time: "%d/%m/%Y %H:%M", zone: Europe/Madrid}
        """,
    )
    path = written(tmp_path / "csat.csv", table)
    assert start(ingest, path, "--mapping", mapping, "--source", "legacy") == 0
    (taken,) = ingest.taken
    assert (taken["source"], taken["survey"]["score"], taken["occurred_at"]) == ("legacy", 4, "2025-11-20T10:10:00Z")
    assert "1 rows without an event" in capsys.readouterr().out


def test_a_row_may_hold_several_events(tmp_path: Path, ingest: Ingest) -> None:
    mapping = written(
        tmp_path / "m.yaml", "events: $.notes[*]\nevent: {channel: crm, customer.id: $$.who, text: $.said}"
    )
    path = written(tmp_path / "e.ndjson", lines({"who": 7, "notes": [{"said": "a"}, {"said": "b"}]}, {"notes": []}))
    assert start(ingest, path, "--mapping", mapping) == 0
    first, second = ingest.ids
    assert second == f"{first}:1"
    assert ingest.taken[0]["customer"] == {"id": "7"}


def test_rows_that_cannot_be_read_lose_no_others(tmp_path: Path, ingest: Ingest) -> None:
    good = event(id="good")
    raw = b'{"broken\n\n[1]\n' + b'"' + b"x" * (5 << 20) + b'"\n' + b'{"text": "\xff"}\n' + json.dumps(good).encode()
    errors = tmp_path / "errors.jsonl"
    assert start(ingest, written(tmp_path / "e.jsonl", raw), "--errors", errors) == 1
    assert ingest.ids == ["good"]
    reasons = [json.loads(line)["errors"][0]["detail"] for line in errors.read_text().splitlines()]
    assert [reason.split(":")[0] for reason in reasons] == [
        "not JSON",
        "an event must be an object",
        "is longer than 4194304 bytes",
        "not JSON",
    ]


def test_cells_that_cannot_be_read_lose_no_others(tmp_path: Path, ingest: Ingest) -> None:
    rows = ["channel,customer.id,text,extra", "chat,c-1,a,b,c", "chat,c-2,caf\xe9,", 'chat,c-3,"x', "y" * 140_000 + '"']
    table = "\ufeff".encode() + "\n".join(rows).encode("latin-1") + b"\nchat,c-4,fine,\n"
    errors = tmp_path / "errors.jsonl"
    assert start(ingest, written(tmp_path / "t.csv", table), "--errors", errors) == 1
    assert [each["customer"]["id"] for each in ingest.taken] == ["c-4"]
    reasons = [json.loads(line)["errors"][0]["detail"] for line in errors.read_text().splitlines()]
    assert "5 cells" in reasons[0]
    assert "encoding" in reasons[1]
    assert start(ingest, tmp_path / "t.csv", "--encoding", "latin-1", "--restart") == 1
    assert "café" in [each["text"] for each in ingest.taken]


@pytest.mark.parametrize(
    ("name", "content", "arguments", "said"),
    [
        ("e.xlsx", "x", [], "--format"),
        ("e.csv", "", [], "must name the columns"),
        ("e.csv", "a,,b\n", [], "a name of its own"),
        ("e.csv", "a,a\n", [], "a name of its own"),
        ("e.csv", "a\n", ["--encoding", "utf-16"], "line by line"),
        ("e.csv", "a\n", ["--encoding", "klingon"], "klingon"),
        ("e.csv", "a\n", ["--batch", "0"], "at least 1"),
        ("e.csv", "a\n", ["--key", ""], "VOZ_API_KEY"),
        ("e.csv", "a\n", ["--mapping", "nowhere.yaml"], "nowhere.yaml"),
        ("e.jsonl", lines(event()), ["--url", "voz"], "is no URL"),
    ],
)
def test_wrong_use_is_said(
    name: str,
    content: str,
    arguments: list[str],
    said: str,
    tmp_path: Path,
    ingest: Ingest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert start(ingest, written(tmp_path / name, content), *arguments) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said(ingest: Ingest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(ingest, tmp_path / "none.csv") == 2
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [401, 403, 404, 200])
def test_an_answer_that_waiting_will_not_change_ends_it(
    answer: int, tmp_path: Path, ingest: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest.answers = [httpx.Response(answer, json={"detail": "no such key"})]
    assert start(ingest, written(tmp_path / "e.jsonl", lines(event()))) == 2
    assert f"answers {answer}: no such key" in capsys.readouterr().err


async def test_ingest_itself_takes_them(serve: Serve, tmp_path: Path) -> None:
    service: Service = await serve()
    path = written(tmp_path / "nps.csv", CSV)
    loop = asyncio.get_running_loop()

    def forward(request: httpx.Request) -> httpx.Response:
        sent = service.client.post(request.url.path, content=request.content, headers=request.headers)
        answer = asyncio.run_coroutine_threadsafe(sent, loop).result(timeout=10)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def work(*arguments: str) -> int:
        with httpx.Client(transport=httpx.MockTransport(forward)) as client:
            return run_with(parsed(path, "--key", KEYS["acme"], *arguments), client)

    assert await asyncio.to_thread(work, "--batch", "2") == 1
    assert await asyncio.to_thread(work, "--restart") == 1
    taken = [each.id for each in service.log.events]
    assert taken[:3] == taken[3:], "the same rows are the same events"
    assert service.log.events[0].event.customer.id == "c-1"
