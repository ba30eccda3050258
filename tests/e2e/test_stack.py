"""`voz-stack` keeps its promises: what it starts, says, heals and leaves behind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from tests.e2e.conftest import Checkout, checkout, eventually, on_servers_of, ready

pytestmark = pytest.mark.e2e

NAMES = {
    "kafka",
    "postgres",
    "ingest",
    "ingest-connect",
    "enrich",
    "router-serve",
    "router-consume",
    "metrics-serve",
    "metrics-consume",
}


@pytest.fixture
def beside(stack: Checkout, tmp_path: Path) -> Iterator[Checkout]:
    """A second checkout, not started, on the first one's servers: with a database and topics of its own."""
    with on_servers_of(stack, tmp_path / "voz") as second:
        yield second


def test_the_stack_file_says_where_everything_is(stack: Checkout) -> None:
    document = json.loads((stack.folder / "stack.json").read_text(encoding="utf-8"))
    assert document["tenant"] == "demo"
    assert {each["name"] for each in document["processes"]} == NAMES
    for process in document["processes"]:
        assert psutil.pid_exists(process["pid"])
        if process["name"] in ("kafka", "postgres"):
            assert process["metrics_url"] is None
        else:
            assert "voz_build_info" in httpx.get(process["metrics_url"], trust_env=False).text
    key = {"Authorization": f"Bearer {document['api_key']}"}
    for service, path in (("router", "/v1/queues"), ("metrics_api", "/v1/kpis")):
        answer = httpx.get(document[service]["url"] + path, headers=key, trust_env=False)
        assert answer.status_code == 200
    event = {"channel": "chat", "customer": {"id": "e2e-stack"}, "text": "¿Abrís los sábados?"}
    answer = httpx.post(f"{document['ingest']['url']}/v1/events", json=event, headers=key, trust_env=False)
    assert answer.status_code == 202


def test_a_second_up_leaves_the_running_one_alone(stack: Checkout) -> None:
    before = stack.info()
    again = stack.run("up")
    assert again.returncode == 0
    assert "running already" in again.stdout
    assert stack.info() == before


def test_status_lists_who_runs_where_and_how_far_behind(stack: Checkout) -> None:
    head, *lines = stack.run("status").stdout.splitlines()
    assert head.split() == ["name", "pid", "state", "for", "url", "lag"]
    rows = {line.split()[0]: line.split() for line in lines}
    assert rows.keys() == NAMES
    for process in stack.info().processes:
        assert rows[process.name][1] == str(process.pid)
        assert rows[process.name][2] == "running"
    for consumer in ("enrich", "router-consume", "metrics-consume"):
        assert rows[consumer][5].isdecimal()


def test_killed_services_come_back_and_are_known_by_their_new_ids(stack: Checkout) -> None:
    before = {each.name: each for each in stack.info().processes if each.metrics_url}
    for process in before.values():
        os.kill(process.pid, signal.SIGKILL)
    eventually(
        lambda: all(each.pid != before[each.name].pid for each in stack.info().processes if each.metrics_url),
        "every service has a new process",
    )
    for process in stack.info().processes:
        url = (process.metrics_url or "").removesuffix("/metrics")
        if url:
            eventually(lambda url=url: ready(url), f"{process.name} is ready again")  # type: ignore[misc]
    said = stack.run("status").stdout
    assert "running ×2" in said
    assert all(str(each.pid) in said for each in stack.info().processes), "no column is squeezed away"


def test_what_cannot_start_is_named_with_its_last_words_and_nothing_stays(beside: Checkout, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nrules: [", encoding="utf-8")
    up = Checkout(beside.folder, {**beside.environment, "VOZ_POLICY_FILE": str(policy)}).run("up")
    assert up.returncode == 1
    assert "error: router-" in up.stderr
    assert "policy.yaml" in up.stderr
    assert beside.left_processes() == []
    assert not (beside.folder / "stack.json").exists()


def test_an_interrupted_start_leaves_nothing(beside: Checkout) -> None:
    up = beside.start("up")
    assert up.stdout is not None
    for line in up.stdout:
        if "topics are" in line:
            up.send_signal(signal.SIGINT)
            break
    up.communicate(timeout=120)
    assert up.returncode == 130
    assert beside.left_processes() == []


def test_a_named_port_that_is_taken_is_said_at_once(stack: Checkout, tmp_path: Path) -> None:
    taken = stack.info().ingest_url.rpartition(":")[2]
    up = checkout(tmp_path / "voz", VOZ_INGEST_PORT=taken).run("up")
    assert up.returncode == 1
    assert f"VOZ_INGEST_PORT names port {taken}" in up.stderr


def test_without_a_stack_every_command_says_so(tmp_path: Path) -> None:
    nothing = checkout(tmp_path / "voz")
    assert "nothing was running" in nothing.run("down").stdout
    assert "nothing is running" in nothing.run("status").stdout
    replay = nothing.run("replay", "--file", "somewhere.jsonl")
    assert replay.returncode == 1
    assert "make up" in replay.stderr
    assert nothing.run("clean").returncode == 0


def test_a_demo_without_a_stack_starts_one_and_stops_it(beside: Checkout) -> None:
    demo = beside.run("demo", "--seconds", "5", "--rate", "10")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    summary = json.loads(demo.stdout.splitlines()[-1])
    assert summary["accepted"] == summary["enriched"] == summary["counted"] > 0
    assert beside.left_processes() == []
