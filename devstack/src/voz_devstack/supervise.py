"""Keeps programs running by supervisord: whatever ends is started again, as Kubernetes would, until it is stopped.

A program that ended later than `start_seconds` after its start is started again at once. One that ends sooner is
started again after 1, 2, 3 … seconds, without end; meanwhile its state is `BACKOFF`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from voz_devstack.launch import count_starts, write_specification

# Unix socket paths end at 104 (macOS) or 108 bytes, and supervisord first appends its process id.
_LONGEST_SOCKET_PATH = 90
_FOR_EVER = 1_000_000_000
_ALREADY_STARTED, _NOT_RUNNING = 60, 70
# In the environment of the supervisor and so of every program: what a killed one left can be told from all else.
_MARK = "VOZ_STACK_FOLDER"


class SupervisorError(Exception):
    """The supervisor can't be started or doesn't know a program. The text says which."""


@dataclass(frozen=True)
class Program:
    """One process to keep running. Groups start in the order given to the supervisor and stop in the opposite one."""

    name: str
    command: tuple[str, ...]
    log_path: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    group: str = "services"
    stop_signal: str = "TERM"
    stop_seconds: int = 15
    start_seconds: int = 1


@dataclass(frozen=True)
class ProgramStatus:
    """What the supervisor says of a program.

    `state`: STOPPED STARTING RUNNING BACKOFF STOPPING EXITED FATAL. `since`: of the present or, if it doesn't run, the
    last process's end; None when it never ran. `starts`: more than one means that it ended and was started again.
    """

    name: str
    group: str
    state: str
    pid: int | None
    since: datetime | None
    starts: int
    detail: str


class Supervisor:
    """The supervisor of one folder, which holds its configuration, log and socket. It outlives this object."""

    def __init__(self, folder: Path, groups: Sequence[str] = ("infrastructure", "services")) -> None:
        self._folder = folder.absolute()
        self._groups = tuple(groups)

    def launch(self, programs: Sequence[Program], *, seconds: float = 20) -> None:
        """Start the supervisor with these programs; none of them runs before `start`.

        What an earlier supervisor of this folder left behind when it was killed is ended first. Raises SupervisorError
        when it is running already or doesn't come up.
        """
        if self.is_running():
            raise SupervisorError(f"a supervisor is running already in {self._folder}")
        self._end_leftovers()
        self._write(programs)
        started = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configuration)],
            env={**os.environ, _MARK: str(self._folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        deadline = time.monotonic() + seconds
        while not self.is_running():
            if started.returncode != 0 or time.monotonic() > deadline:
                raise SupervisorError(f"the supervisor did not start: {(started.stderr or started.stdout).strip()}")
            time.sleep(0.05)

    def start(self, *names: str) -> None:
        """Start these programs; returns when their processes exist, which isn't when they are ready."""
        for name in self._full_names(names):
            self._call("startProcess", name, False, unless=_ALREADY_STARTED)

    def stop_programs(self, *names: str) -> None:
        """Stop these programs, in this order, and return when they have ended. They stay stopped until `start`."""
        for name in self._full_names(names):
            self._call("stopProcess", name, True, unless=_NOT_RUNNING)

    def is_running(self) -> bool:
        try:
            self._call("getState")
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    @property
    def pid(self) -> int:
        """The supervisor's own process id."""
        return int(self._call("getPID"))

    def status(self) -> list[ProgramStatus]:
        """Every program, in the order of the groups and of their names. Raises OSError when it isn't running."""
        found = [self._status(info) for info in self._call("getAllProcessInfo")]
        return sorted(found, key=lambda status: (self._groups.index(status.group), status.name))

    def stop(self, *, seconds: float = 120) -> None:
        """Stop all programs, last group first, then the supervisor. Returns when no process is left of either.

        A program that takes longer than its `stop_seconds` is killed, all that is left after `seconds` as well. Does
        nothing more than end leftovers when the supervisor isn't running.
        """
        try:
            process = psutil.Process(self.pid)
            self._call("shutdown")
        except (OSError, xmlrpc.client.Error, psutil.NoSuchProcess):
            pass
        else:
            _wait_for_end([process], seconds)
        self._end_leftovers()
        if self._socket.parent != self._folder:
            shutil.rmtree(self._socket.parent, ignore_errors=True)

    @property
    def _configuration(self) -> Path:
        return self._folder / "supervisord.conf"

    @property
    def _socket(self) -> Path:
        beside = self._folder / "supervisor.sock"
        if len(os.fsencode(beside)) <= _LONGEST_SOCKET_PATH:
            return beside
        digest = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"voz-{os.geteuid()}-{digest}" / "supervisor.sock"

    def _specification(self, name: str) -> Path:
        return self._folder / "programs" / f"{name}.json"

    def _write(self, programs: Sequence[Program]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._socket.parent.mkdir(exist_ok=True, mode=0o700)
        if self._socket.parent.stat().st_uid != os.geteuid():
            raise SupervisorError(f"{self._socket.parent} belongs to somebody else")
        shutil.rmtree(self._specification("").parent, ignore_errors=True)
        self._specification("").parent.mkdir(mode=0o700)
        for program in programs:
            program.log_path.parent.mkdir(parents=True, exist_ok=True)
            specification = self._specification(program.name)
            write_specification(specification, program.command, program.environment, program.directory)
        sections = [*self._own_sections(), *(self._program_section(program) for program in programs)]
        for order, group in enumerate(self._groups, start=1):
            members = ",".join(program.name for program in programs if program.group == group)
            sections.append(f"[group:{group}]\nprograms={members}\npriority={order}\n" if members else "")
        self._configuration.write_text("\n".join(sections), encoding="utf-8")

    def _own_sections(self) -> Iterable[str]:
        folder, socket = _literal(self._folder), _literal(self._socket)
        yield (
            f"[supervisord]\nidentifier=voz\nlogfile={folder}/supervisord.log\nlogfile_maxbytes=10MB\n"
            f"logfile_backups=1\npidfile={folder}/supervisord.pid\nchildlogdir={folder}\n"
            # Root is told to say so.
            + ("user=root\n" if os.geteuid() == 0 else "")
        )
        yield f"[unix_http_server]\nfile={socket}\nchmod=0600\n"
        yield (
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        )

    def _program_section(self, program: Program) -> str:
        launcher = (
            f'"{_literal(sys.executable)}" -m voz_devstack.launch "{_literal(self._specification(program.name))}"'
        )
        return (
            f"[program:{program.name}]\ncommand={launcher}\nautostart=false\nautorestart=true\n"
            f"startsecs={program.start_seconds}\nstartretries={_FOR_EVER}\n"
            f"stopsignal={program.stop_signal}\nstopwaitsecs={program.stop_seconds}\nkillasgroup=true\n"
            f"redirect_stderr=true\nstdout_logfile={_literal(program.log_path.absolute())}\n"
            "stdout_logfile_maxbytes=10MB\nstdout_logfile_backups=2\n"
        )

    def _status(self, info: Mapping[str, Any]) -> ProgramStatus:
        moment = info["start"] if info["pid"] else info["stop"]
        return ProgramStatus(
            name=info["name"],
            group=info["group"],
            state=info["statename"],
            pid=info["pid"] or None,
            since=datetime.fromtimestamp(moment, UTC) if moment else None,
            starts=count_starts(self._specification(info["name"])),
            detail=info["spawnerr"] or info["description"],
        )

    def _full_names(self, names: Sequence[str]) -> list[str]:
        groups = {status.name: status.group for status in self.status()}
        unknown = [name for name in names if name not in groups]
        if unknown:
            raise SupervisorError(f"no such program: {', '.join(unknown)}; there are {', '.join(groups)}")
        return [f"{groups[name]}:{name}" for name in names]

    def _call(self, method: str, *arguments: object, unless: int | None = None) -> Any:
        """Ask the supervisor over its socket. A fault with the code `unless` is no fault."""
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        # The host is never looked up: the transport goes to the socket.
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != unless:
                raise
        finally:
            transport.close()

    def _end_leftovers(self) -> None:
        """End processes of this folder that nobody supervises any more, the youngest first."""
        left = sorted(self._marked(), key=lambda process: -process.create_time())
        for process in left:
            _signal(process.terminate)
        alive = _wait_for_end(left, seconds=10)
        for process in alive:
            _signal(process.kill)
        _wait_for_end(alive, seconds=10)

    def _marked(self) -> Iterable[psutil.Process]:
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == str(self._folder):
                    yield process
            except (psutil.Error, OSError):
                continue


def _literal(path: object) -> str:
    """A path in supervisord's configuration, where `%` begins an expansion."""
    return str(path).replace("%", "%%")


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        pass


def _wait_for_end(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still run after at most `seconds`. Ended ones that nobody reaps, as in a container without an init
    process, don't count as running.
    """
    deadline = time.monotonic() + seconds
    alive = [process for process in processes if _runs(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(0.05)
        alive = [process for process in alive if _runs(process)]
    return alive


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
