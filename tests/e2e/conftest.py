"""The whole pipeline, as `make up` starts it: once for all tests here, in a folder and on ports of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest

from voz_devstack.postgres import create_database, drop_database
from voz_devstack.reaper import reap_at_end
from voz_devstack.stackfile import StackInfo, read_info
from voz_devstack.supervise import Supervisor

_VOZ_STACK = Path(sys.executable).with_name("voz-stack")


@dataclass(frozen=True)
class Checkout:
    """A state folder and the environment that `voz-stack` is run with."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str, seconds: float = 240) -> subprocess.CompletedProcess[str]:
        """Run `voz-stack` to its end."""
        return subprocess.run(
            [_VOZ_STACK, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `voz-stack`, as in a terminal of its own; standard output is a pipe."""
        return subprocess.Popen(
            [_VOZ_STACK, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def info(self) -> StackInfo:
        """What `stack.json` says now."""
        info = read_info(self.folder / "stack.json")
        assert info is not None
        return info

    def left_processes(self) -> list[str]:
        """Command lines of processes of this stack that exist, supervised or not."""
        mark, found = str(self.folder), []
        for process in psutil.process_iter():
            try:
                if any(mark in part for part in process.cmdline()) or process.environ().get(
                    "VOZ_STACK_FOLDER", ""
                ).startswith(mark):
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found


def checkout(folder: Path, **variables: str) -> Checkout:
    """Settings of the developer's own don't reach the tests; downloads are shared."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("VOZ_") or name == "VOZ_CACHE_DIR"
    }
    return Checkout(folder, {**inherited, "VOZ_STATE_DIR": str(folder), **variables})


def eventually(check: Callable[[], bool], what: str, *, seconds: float = 120) -> None:
    """Return when the check holds. The time is a limit for hanging, not a promise."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not after {seconds:g} s: {what}"
        time.sleep(0.2)


def ready(url: str) -> bool:
    """Whether the process there answers that it is ready."""
    try:
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def started(here: Checkout) -> Iterator[Checkout]:
    """The pipeline of this checkout runs in the block."""
    up = here.run("up")
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        reap_at_end(Supervisor(here.folder / "supervisor").pid)
        yield here
    finally:
        here.run("down")


@contextmanager
def on_servers_of(first: Checkout, folder: Path, **variables: str) -> Iterator[Checkout]:
    """Another checkout, not started, on a running one's servers: with a database and topics of its own."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    dsn = create_database(first.info().postgres_dsn, name)
    second = checkout(
        folder,
        VOZ_KAFKA_BOOTSTRAP=first.info().kafka_bootstrap,
        VOZ_POSTGRES_DSN=dsn,
        VOZ_TOPIC_PREFIX=f"{name}-",
        **variables,
    )
    try:
        yield second
    finally:
        second.run("down")
        drop_database(first.info().postgres_dsn, name)


@pytest.fixture(scope="session")
def stack() -> Iterator[Checkout]:
    """A running pipeline. Tests share it: what they count is their own events or a difference."""
    with TemporaryDirectory(prefix="voz-e2e-") as folder, started(checkout(Path(folder))) as running:
        yield running
