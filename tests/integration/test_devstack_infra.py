"""The servers that everything else stands on: they start from nothing, survive SIGKILL and leave nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiokafka
import asyncpg
import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from voz_devstack.jars import LOCK_FILE, JarError, kafka_jars, read_lock
from voz_devstack.kafka import KafkaCluster, KafkaNode
from voz_devstack.ports import allocate_ports, is_free
from voz_devstack.postgres import PostgresCluster, PostgresError, execute
from voz_devstack.supervise import Program, ProgramStatus, Supervisor, SupervisorError
from voz_devstack.testing import KafkaAddress, PostgresAddress, kafka_server, postgres_server
from voz_devstack.unprivileged import as_account

pytestmark = pytest.mark.integration


async def test_topics_and_records_survive_the_kill_of_a_broker(tmp_path: Path) -> None:
    with kafka_server(tmp_path) as kafka:
        await _make_topic(kafka.bootstrap, "kept", copies=1)
        await _send(kafka.bootstrap, "kept", [b"one", b"two"])
        before = kafka.pids[1]
        kafka.kill(1)
        assert not kafka.pids
        kafka.start(1)
        assert kafka.pids[1] != before
        await _send(kafka.bootstrap, "kept", [b"three"])
        assert await _read(kafka.bootstrap, "kept", 3) == [b"one", b"two", b"three"]


async def test_three_copies_bear_the_loss_of_a_broker(tmp_path: Path) -> None:
    with kafka_server(tmp_path, nodes=3) as kafka:
        await _make_topic(kafka.bootstrap, "copied", copies=3)
        await _send(kafka.bootstrap, "copied", [b"three of three"])
        kafka.kill(2)
        await _send(kafka.bootstrap, "copied", [b"two of three"])
        kafka.start(2)
        await _send(kafka.bootstrap, "copied", [b"three again"])
        expected = [b"three of three", b"two of three", b"three again"]
        assert await _read(kafka.bootstrap, "copied", 3) == expected
        assert sorted(kafka.pids) == [1, 2, 3]


async def test_a_topic_nobody_made_is_not_made_by_asking(kafka: KafkaAddress, topic_prefix: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.describe_topics([f"{topic_prefix}misspelt"])
        assert f"{topic_prefix}misspelt" not in await admin.list_topics()
    finally:
        await admin.close()


async def test_committed_rows_survive_the_kill_of_postgresql(tmp_path: Path) -> None:
    with postgres_server(tmp_path) as postgres:
        execute(postgres.dsn, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1), (2)")
        before = postgres.pid
        postgres.kill()
        postgres.start()
        assert postgres.pid != before
        assert execute(postgres.dsn, "SELECT sum(n) FROM kept") == "3"
    with postgres_server(tmp_path) as postgres:
        assert execute(postgres.dsn, "SELECT sum(n) FROM kept") == "3"


async def test_postgresql_keeps_its_promise_and_asks_for_the_password(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval("SHOW fsync") == "on"
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
    finally:
        await connection.close()
    parts = urlsplit(database)
    wrong = parts._replace(netloc=f"voz:wrong@{parts.hostname}:{parts.port}").geturl()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


def test_a_database_is_copied_from_a_template(postgres: PostgresAddress, database: str) -> None:
    execute(database, "CREATE TABLE found_again (n int)")
    template = urlsplit(database).path.lstrip("/")
    copy = f"{template}_copy"
    try:
        dsn = postgres.create_database(copy, template=template)
        assert execute(dsn, "SELECT count(*) FROM found_again") == "0"
    finally:
        postgres.drop_database(copy)
    with pytest.raises(ValueError, match="not a plain database name"):
        postgres.create_database("drop table; --")
    with pytest.raises(PostgresError, match="does not exist"):
        execute(dsn, "SELECT 1")


def test_postgresql_runs_in_a_folder_that_others_cannot_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with postgres_server(closed / "postgres") as postgres:
        assert execute(postgres.dsn, "SELECT 1") == "1"
        assert psutil.Process(postgres.pid).uids().effective != 0
    assert closed.stat().st_mode & 0o777 == 0o700
    assert (closed / "postgres" / "password").stat().st_mode & 0o777 == 0o600


def test_a_right_of_way_is_lent_only_where_others_cannot_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("found")
    ask = ["/bin/sh", "-c", 'test -r "$0" && cat "$0"', str(closed / "file")]
    assert subprocess.run(as_account(ask, reach=[closed]), capture_output=True, check=True).stdout == b"found"
    rights = ["/bin/grep", "CapEff", "/proc/self/status"]
    free = subprocess.run(as_account(rights, reach=[Path("/")]), capture_output=True, text=True, check=True).stdout
    assert int(free.split()[1], 16) == 0


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_servers_end_with_the_process_that_started_them(tmp_path: Path, ending: signal.Signals) -> None:
    code = (
        "import pathlib, sys, time\nfrom voz_devstack.testing import postgres_server\n"
        "with postgres_server(pathlib.Path(sys.argv[1])) as postgres:\n"
        "    print(postgres.pid, flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        server = psutil.Process(int(owner.stdout.readline()))
        assert server.is_running()
        owner.send_signal(ending)
    server.wait(timeout=30)


def test_a_supervised_family_ends_with_the_process_that_claimed_it(tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.launch([Program("idle", (sys.executable, "-c", "import time; time.sleep(600)"), tmp_path / "idle.log")])
    supervisor.start("idle")
    family = [supervisor.pid, _status(supervisor, "idle").pid or 0]
    code = (
        f"from voz_devstack.reaper import reap_at_end; reap_at_end({family[0]}); print('claimed', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as claimant:
        assert claimant.stdout is not None
        assert claimant.stdout.readline() == "claimed\n"
        assert all(_runs(pid) for pid in family)
        claimant.kill()
    _eventually(lambda: not any(_runs(pid) for pid in family))


def test_a_jar_that_differs_from_the_lock_is_refused_with_what_to_do(tmp_path: Path) -> None:
    locked = read_lock(LOCK_FILE)
    name = min(locked)
    lock = tmp_path / "kafka-jars.lock"
    lock.write_text("".join(f"{digest}  {jar}\n" for jar, digest in {**locked, name: "0" * 64}.items()))
    with pytest.raises(JarError, match=rf"{name} isn't the jar .* expected {'0' * 64}.*Delete"):
        kafka_jars(tmp_path / "cache", lock=lock)


def test_a_damaged_jar_is_replaced_and_a_stray_one_removed(tmp_path: Path) -> None:
    jars = kafka_jars(tmp_path)
    damaged, stray = jars.folder / jars.names[0], jars.folder / "stray.jar"
    damaged.unlink()
    damaged.write_bytes(b"not a jar")
    stray.touch()
    said: list[str] = []
    assert kafka_jars(tmp_path, report=said.append) == jars
    assert len(said) == 1
    assert damaged.read_bytes() != b"not a jar"
    assert not stray.exists()
    assert kafka_jars(tmp_path, report=said.append) == jars
    assert len(said) == 1


def test_ports_are_kept_unless_somebody_took_them() -> None:
    first = allocate_ports(["kafka", "postgres"])
    assert len(set(first.values())) == 2
    assert allocate_ports(["kafka", "postgres"], known=first) == first
    with socket.socket() as other:
        other.bind(("127.0.0.1", first["kafka"]))
        other.listen()
        assert not is_free(first["kafka"])
        second = allocate_ports(["kafka", "postgres"], known=first)
        assert second["kafka"] != first["kafka"]
        assert second["postgres"] == first["postgres"]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "supervisor")
    yield supervisor
    supervisor.stop()


def test_kafka_and_postgresql_are_healed_after_each_kill(tmp_path: Path, supervisor: Supervisor) -> None:
    ports = allocate_ports(["broker", "controller", "postgres"])
    jars = kafka_jars()
    kafka = KafkaCluster(tmp_path / "kafka", (KafkaNode(1, ports["broker"], ports["controller"]),), jars)
    postgres = PostgresCluster(tmp_path / "postgres", ports["postgres"])
    kafka.prepare()
    postgres.prepare()
    programs = [
        Program("kafka", tuple(kafka.command(kafka.nodes[0])), tmp_path / "kafka.log", group="infrastructure"),
        Program(
            "postgres", tuple(postgres.command()), tmp_path / "postgres.log", group="infrastructure", stop_signal="INT"
        ),
    ]
    supervisor.launch(programs)
    assert {status.state for status in supervisor.status()} == {"STOPPED"}
    supervisor.start("kafka", "postgres")
    seen: set[int] = set()
    for name in ("postgres", "kafka", "postgres"):
        kafka.wait_until_serving()
        postgres.wait_until_serving()
        killed = _status(supervisor, name).pid
        assert killed is not None
        seen |= {killed, *(status.pid for status in supervisor.status() if status.pid)}
        os.kill(killed, signal.SIGKILL)
        _wait_for_another(supervisor, name, killed)
    kafka.wait_until_serving()
    postgres.wait_until_serving()
    assert execute(postgres.dsn(), "SELECT 1") == "1"
    assert _status(supervisor, "postgres").starts >= 3
    assert _status(supervisor, "kafka").starts == 2
    seen |= {supervisor.pid, *(status.pid for status in supervisor.status() if status.pid)}
    supervisor.stop()
    assert not [pid for pid in seen if _runs(pid)]
    assert not supervisor.is_running()


def test_groups_stop_in_the_opposite_order(tmp_path: Path, supervisor: Supervisor) -> None:
    said = tmp_path / "said"
    code = (
        "import signal, sys, time\n"
        "def leave(*_):\n    time.sleep(0.3)\n    open(sys.argv[2], 'a').write(sys.argv[1] + ' ')\n    sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave)\nprint('ready', flush=True)\ntime.sleep(600)\n"
    )
    groups = {"broker": "infrastructure", "sender": "services", "reader": "services"}
    supervisor.launch(
        [
            Program(name, (sys.executable, "-c", code, name, str(said)), tmp_path / f"{name}.log", group=group)
            for name, group in groups.items()
        ]
    )
    supervisor.start(*groups)
    _eventually(lambda: all("ready" in (tmp_path / f"{name}.log").read_text() for name in groups))
    supervisor.stop()
    *services, last = said.read_text().split()
    assert sorted(services) == ["reader", "sender"]
    assert last == "broker"


def test_a_program_that_keeps_ending_is_started_for_ever_and_shows(tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.launch([Program("broken", (sys.executable, "-c", "exit(3)"), tmp_path / "broken.log")])
    supervisor.start("broken")
    _eventually(lambda: _status(supervisor, "broken").starts >= 3)
    status = _status(supervisor, "broken")
    assert status.state in ("STARTING", "BACKOFF")
    with pytest.raises(SupervisorError, match=r"no such program: borken; there are broken"):
        supervisor.start("borken")
    supervisor.stop_programs("broken")
    supervisor.start("broken")


def test_any_value_reaches_a_program_unchanged(tmp_path: Path, supervisor: Supervisor) -> None:
    odd = "%(here)s \"double\" 'single' ; # a=b, 100% ñ\nnext line"
    code = (
        "import os, sys; print(os.environ['ODD'] == sys.argv[1], os.getcwd(), flush=True); import time; time.sleep(600)"
    )
    program = Program("odd", (sys.executable, "-c", code, odd), tmp_path / "odd.log", {"ODD": odd}, directory=tmp_path)
    supervisor.launch([program])
    supervisor.start("odd")
    _eventually(lambda: (tmp_path / "odd.log").read_text() == f"True {tmp_path}\n")


def test_a_long_path_is_no_hindrance(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / ("long" * 20) / ("path" * 20) / "100% sure")
    supervisor.launch([Program("sleeper", ("sleep", "600"), tmp_path / "sleeper.log")])
    try:
        supervisor.start("sleeper")
        assert _status(supervisor, "sleeper").pid is not None
        with pytest.raises(SupervisorError, match="running already"):
            supervisor.launch([])
    finally:
        supervisor.stop()


def test_what_a_killed_supervisor_left_is_ended_before_the_next_one(tmp_path: Path, supervisor: Supervisor) -> None:
    program = Program("sleeper", ("sleep", "600"), tmp_path / "sleeper.log")
    supervisor.launch([program])
    supervisor.start("sleeper")
    left = _status(supervisor, "sleeper").pid
    assert left is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    _eventually(lambda: not supervisor.is_running())
    supervisor.launch([replace(program, name="another")])
    assert not _runs(left)
    assert [status.name for status in supervisor.status()] == ["another"]


async def _make_topic(bootstrap: str, name: str, copies: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, copies)])
    finally:
        await admin.close()


async def _send(bootstrap: str, topic: str, values: list[bytes]) -> None:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


def _status(supervisor: Supervisor, name: str) -> ProgramStatus:
    return next(status for status in supervisor.status() if status.name == name)


def _wait_for_another(supervisor: Supervisor, name: str, pid: int) -> None:
    _eventually(lambda: _status(supervisor, name).pid not in (None, pid))


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _eventually(check: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            pytest.fail(f"did not happen within {seconds:g} s")
        time.sleep(0.05)
