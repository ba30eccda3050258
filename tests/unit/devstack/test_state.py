"""What a stack keeps on disk."""

from __future__ import annotations

import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from voz_devstack.stackfile import Process, StackInfo, read_info, record_pid, write_info
from voz_devstack.state import PORTS, StateError, StateFolder
from voz_streamkit.http.auth import SCOPES, parse_keys

INFO = StackInfo(
    tenant="demo",
    api_key="voz_secret",
    kafka_bootstrap="127.0.0.1:1",
    topic_prefix="",
    postgres_dsn="postgresql://voz:x@127.0.0.1:2/voz",
    ingest_url="http://127.0.0.1:3",
    router_url="http://127.0.0.1:4",
    metrics_api_url="http://127.0.0.1:5",
    processes=(Process("kafka", 101, None), Process("enrich", 105, "http://127.0.0.1:6/metrics")),
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_stack_file_holds_what_other_programs_rely_on(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    write_info(file, lambda: INFO)
    assert read_info(file) == INFO
    assert mode(file) == 0o600


def test_a_restarted_process_is_known_by_its_new_id(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    record_pid(file, "enrich", 1)
    assert read_info(file) is None
    write_info(file, lambda: INFO)
    record_pid(file, "enrich", 206)
    info = read_info(file)
    assert info is not None
    assert {each.name: each.pid for each in info.processes} == {"kafka": 101, "enrich": 206}


def test_processes_that_restart_at_once_are_all_recorded(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    names = [f"worker-{number}" for number in range(8)]
    processes = tuple(Process(name, 1, None) for name in names)
    write_info(file, lambda: StackInfo(**{**INFO.__dict__, "processes": processes}))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda number: record_pid(file, names[number], 100 + number), range(8)))
    info = read_info(file)
    assert info is not None
    assert [each.pid for each in info.processes] == [100 + number for number in range(8)]


def test_ports_are_the_same_at_the_next_start(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    first = state.ports({})
    assert first.keys() == set(PORTS)
    assert len(set(first.values())) == len(PORTS)
    assert state.ports({}) == first


def test_a_variable_names_a_port(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        with pytest.raises(StateError, match=f"VOZ_METRICS_API_PORT names port {taken}"):
            state.ports({"VOZ_METRICS_API_PORT": str(taken)})
    assert state.ports({"VOZ_METRICS_API_PORT": str(taken)})["metrics-api"] == taken


@pytest.mark.parametrize("said", ["x", "0", "70000", "-1"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, said: str) -> None:
    with pytest.raises(StateError, match="VOZ_ROUTER_OPS_PORT must be a port"):
        StateFolder(tmp_path).ports({"VOZ_ROUTER_OPS_PORT": said})


def test_the_development_key_is_made_once_and_has_all_scopes(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    file, key = state.keys({})
    assert state.keys({}) == (file, key)
    assert key is not None
    principal = parse_keys(file.read_text(encoding="utf-8")).find(key)
    assert principal is not None
    assert (principal.tenant, principal.scopes) == ("demo", frozenset(SCOPES))
    assert key not in file.read_text(encoding="utf-8")
    assert mode(tmp_path / "api-key") == 0o600


def test_keys_of_ones_own_are_used(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    with pytest.raises(StateError, match="which is no file"):
        StateFolder(tmp_path).keys({"VOZ_KEYS_FILE": str(mine)})
    mine.touch()
    assert StateFolder(tmp_path).keys({"VOZ_KEYS_FILE": str(mine)}) == (mine, None)
    named = {"VOZ_KEYS_FILE": str(mine), "VOZ_API_KEY": "voz_mine"}
    assert StateFolder(tmp_path).keys(named) == (mine, "voz_mine")


def test_the_folder_can_be_named() -> None:
    assert StateFolder.default({"VOZ_STATE_DIR": "/somewhere/else"}).path == Path("/somewhere/else")
    assert StateFolder.default({}).path.name == ".voz"
