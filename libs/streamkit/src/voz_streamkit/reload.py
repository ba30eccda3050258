"""A configuration file that is read again when it changes; one with an error is refused and the old one stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog
import yaml

from voz_streamkit.metrics import Metrics

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class FileError(Exception):
    """A configuration file can't be used: which one, the line where it is known, and why."""

    def __init__(self, path: Path | str, line: int | None, message: str) -> None:
        super().__init__(f"{path}{f', line {line}' if line else ''}: {message}")
        self.path, self.line, self.message = Path(path), line, message


class ReloadingFile(Generic[T]):
    """The parsed content of a file, as of its last version without an error.

    `parse` takes the text and raises FileError (or ValueError, yaml.YAMLError). The first read raises FileError: a
    service doesn't start without its configuration.
    """

    def __init__(self, path: Path, parse: Callable[[str], T], metrics: Metrics, *, poll_seconds: float = 1.0) -> None:
        self._path, self._parse, self._metrics, self._poll_seconds = path, parse, metrics, poll_seconds
        self._seen = self._stamp()
        self.value: T = self._read()

    async def watch(self, stop: asyncio.Event, changed: Callable[[T], None] | None = None) -> None:
        """Look at the file every `poll_seconds` until `stop`; call `changed` with each new content taken."""
        while not stop.is_set():
            if self.refresh() and changed:
                changed(self.value)
            try:
                async with asyncio.timeout(self._poll_seconds):
                    await stop.wait()
            except TimeoutError:
                pass

    def refresh(self) -> bool:
        """Read the file if it changed. True when new content is in force."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            self.value = self._read()
        except FileError as error:
            self._metrics.reloads.labels(self._path.name, "refused").inc()
            _log.error(
                "file refused, the one in force stays", file=str(error.path), line=error.line, error=error.message
            )
            return False
        self._metrics.reloads.labels(self._path.name, "taken").inc()
        _log.info("file taken", file=str(self._path))
        return True

    def _stamp(self) -> tuple[int, int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    def _read(self) -> T:
        try:
            return self._parse(self._path.read_text(encoding="utf-8"))
        except FileError as error:
            raise FileError(self._path, error.line, error.message) from error
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else None
            raise FileError(self._path, line, error.problem or "not YAML") from error
        except (OSError, ValueError) as error:
            raise FileError(self._path, None, str(error)) from error
