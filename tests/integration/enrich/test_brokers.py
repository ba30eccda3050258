"""Three brokers, three copies: the loss of any one of them costs nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from voz_devstack.testing import kafka_server

from ...chaos.enrich_harness import Feeder, Installation, Proof, Worker, prove

pytestmark = pytest.mark.integration


async def test_each_broker_is_lost_in_turn(tmp_path: Path) -> None:
    with kafka_server(tmp_path / "kafka", nodes=3) as cluster:
        installation = Installation(cluster.bootstrap, "", partitions=4, copies=3)
        await installation.create_topics()
        worker = Worker(installation, tmp_path, "one")
        worker.start()
        try:
            feeder = Feeder(installation, customers=40, bad_every=41)
            feeding = asyncio.create_task(feeder.feed(1800, rate=60))
            answered = 0
            for node in (1, 2, 3):
                answered += 250
                assert await installation.wait_answered(answered), worker.said()[-2000:]
                await asyncio.to_thread(cluster.kill, node)
                answered += 250
                assert await installation.wait_answered(answered, patience_seconds=90), worker.said()[-2000:]
                await asyncio.to_thread(cluster.start, node)
            await feeding
            assert await installation.wait_answered(1800, patience_seconds=90), worker.said()[-2000:]
            proof = await prove(installation)
            assert proof == Proof(sent=1800)
            assert worker.stop() == 0
        finally:
            if worker.process.poll() is None:
                worker.kill()
