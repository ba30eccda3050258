"""`stack.json`: where a running stack is, for other programs; and the process ids in it, kept true over restarts.

The standard library only: `launch` uses it at every start of a program.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# In the environment of a program whose process id stands in the file it names.
STACK_FILE = "VOZ_STACK_FILE"


@dataclass(frozen=True)
class Process:
    """A process of the pipeline."""

    name: str
    pid: int
    metrics_url: str | None


@dataclass(frozen=True)
class StackInfo:
    """A running stack, as `stack.json` says it. `api_key` is None when the keys are somebody else's."""

    tenant: str
    api_key: str | None
    kafka_bootstrap: str
    topic_prefix: str
    postgres_dsn: str
    ingest_url: str
    router_url: str
    metrics_api_url: str
    processes: Sequence[Process]

    @property
    def board_url(self) -> str:
        """The live board; the key is in the fragment, which browsers don't send."""
        return f"{self.metrics_api_url}/#key={self.api_key}" if self.api_key else f"{self.metrics_api_url}/"

    def as_json(self) -> str:
        """The document that other programs read."""
        document = {
            "tenant": self.tenant,
            "api_key": self.api_key,
            "kafka": {"bootstrap": self.kafka_bootstrap},
            "topic_prefix": self.topic_prefix,
            "postgres": {"dsn": self.postgres_dsn},
            "ingest": {"url": self.ingest_url},
            "router": {"url": self.router_url},
            "metrics_api": {"url": self.metrics_api_url},
            "processes": [
                {"name": process.name, "pid": process.pid, "metrics_url": process.metrics_url}
                for process in self.processes
            ],
        }
        return json.dumps(document, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> StackInfo:
        """Read what `as_json` wrote."""
        document: dict[str, Any] = json.loads(text)
        return cls(
            tenant=document["tenant"],
            api_key=document["api_key"],
            kafka_bootstrap=document["kafka"]["bootstrap"],
            topic_prefix=document["topic_prefix"],
            postgres_dsn=document["postgres"]["dsn"],
            ingest_url=document["ingest"]["url"],
            router_url=document["router"]["url"],
            metrics_api_url=document["metrics_api"]["url"],
            processes=tuple(Process(**process) for process in document["processes"]),
        )


def read_info(path: Path) -> StackInfo | None:
    """The stack that was last said to be ready; None when there is none."""
    try:
        return StackInfo.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def write_info(path: Path, make: Callable[[], StackInfo]) -> StackInfo:
    """Replace the file. What it says is made while nobody else changes it, so that no restart goes unseen."""
    with _exclusive(path):
        info = make()
        write_private(path, info.as_json())
        return info


def record_pid(path: Path, name: str, pid: int) -> None:
    """The program of this name runs as another process now. Nothing happens before there is a file."""
    with _exclusive(path):
        info = read_info(path)
        if info:
            others = tuple(replace(each, pid=pid) if each.name == name else each for each in info.processes)
            write_private(path, replace(info, processes=others).as_json())


def write_private(path: Path, text: str) -> None:
    """Replace a file, whole, for the owner's eyes only: it holds secrets."""
    fresh = path.with_suffix(f".{os.getpid()}.new")
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.with_suffix(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
