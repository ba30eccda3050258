"""Whatever is killed, every accepted event is counted exactly once: the short form of `make chaos`."""

from __future__ import annotations

import os
from pathlib import Path

from tests.chaos.pipeline_chaos import torment

from voz_devstack.reaper import reap_at_end
from voz_devstack.stack import Stack
from voz_devstack.state import StateFolder


async def test_killing_every_process_loses_and_doubles_nothing(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOZ_")}
    stack = Stack(StateFolder(tmp_path), environment, print)
    info = stack.up()
    reap_at_end(stack.supervisor.pid)
    try:
        outcome = await torment(stack, info, rounds=1, rate=40, seed=7)
    finally:
        stack.down()
    assert outcome.clean, outcome
