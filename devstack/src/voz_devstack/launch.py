"""Become a program as its specification says: `python -m voz_devstack.launch SPECIFICATION.json`.

The supervisor starts every program through this. Its own configuration can't hold any command and any value: it
expands `%`, cuts at ` ;` and strips quotes. And a file of the owner's alone is the better place for secrets.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from voz_devstack.stackfile import STACK_FILE, record_pid


def write_specification(
    path: Path, command: Sequence[str], environment: Mapping[str, str], directory: Path | None
) -> None:
    """What `main` will read; for the owner's eyes only, as the environment holds secrets."""
    path.touch(mode=0o600)
    folder = str(directory) if directory else None
    content = {"command": list(command), "environment": dict(environment), "directory": folder}
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def count_starts(path: Path) -> int:
    """How often the program of this specification was started since the specification was written."""
    starts = path.with_suffix(".starts")
    return starts.stat().st_size if starts.exists() else 0


def main() -> None:
    path = Path(sys.argv[1])
    specification = json.loads(path.read_text(encoding="utf-8"))
    # A byte for each start: nothing to read, nothing to tear.
    with path.with_suffix(".starts").open("ab") as starts:
        starts.write(b".")
    stack_file = specification["environment"].get(STACK_FILE)
    if stack_file:
        # exec keeps the process id, so it is known before the program is.
        record_pid(Path(stack_file), path.stem, os.getpid())
    if specification["directory"]:
        os.chdir(specification["directory"])
    command = specification["command"]
    os.execvpe(command[0], command, {**os.environ, **specification["environment"]})


if __name__ == "__main__":
    main()
