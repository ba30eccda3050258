"""Ends the servers that a process started when that process is gone, however it went: Ctrl-C, SIGKILL, a crash.

The reaper is a child that reads process ids from a pipe; the pipe's end is its parent's end. Linux could signal the
servers itself (PR_SET_PDEATHSIG), but at the end of the *thread* that started them, which in tests is often a pool's.
"""

from __future__ import annotations

import atexit
import functools
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TextIO

import psutil


def reap_at_end(pid: int) -> None:
    """The process of this id and its children won't outlive the calling process."""
    pipe = _reaper().stdin
    if pipe is None:
        raise RuntimeError("the reaper was started without a pipe")
    pipe.write(f"{pid} {psutil.Process(pid).create_time()!r}\n")
    pipe.flush()


@functools.cache
def _reaper() -> subprocess.Popen[str]:
    """One for each process, started when first needed, in a session of its own: Ctrl-C reaches it only as the end."""
    reaper = subprocess.Popen(
        [sys.executable, "-m", "voz_devstack.reaper"], stdin=subprocess.PIPE, text=True, start_new_session=True
    )
    atexit.register(reaper.communicate)
    return reaper


def reap(pids: TextIO) -> None:
    """Read `pid create-time` lines until they end, then kill what is still the same process, and its children."""
    started = [line.split() for line in pids]
    for pid, created in started:
        try:
            process = psutil.Process(int(pid))
            # The parent first: a supervisor would start its children again.
            family = [process, *process.children(recursive=True)] if process.create_time() == float(created) else []
        except psutil.NoSuchProcess:
            continue
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    reap(sys.stdin)
