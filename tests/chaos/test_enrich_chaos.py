"""The short form of the kill and rebalance run; `make chaos` runs the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from voz_devstack.testing import KafkaAddress

from .enrich_chaos import Plan, run
from .enrich_harness import Installation

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize(
    "plan",
    [
        # Faust as it is, so that the guard has something to heal; and as production runs it.
        pytest.param(Plan(kills=3, rebalances=2, seed=3, repair=False), id="dynamic-unrepaired"),
        pytest.param(Plan(kills=2, rebalances=2, seed=4, static=True), id="static"),
    ],
)
async def test_killed_joined_and_left_with_events_flowing(
    kafka: KafkaAddress, topic_prefix: str, tmp_path: Path, plan: Plan
) -> None:
    installation = Installation(kafka.bootstrap, topic_prefix)
    await installation.create_topics()
    outcome = await run(installation, tmp_path, plan)
    assert outcome.clean, (outcome.summary(), outcome.proof.examples)
