"""An installation of enrich's topics on the shared Kafka, and workers that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voz_devstack.testing import KafkaAddress

from ...chaos.enrich_harness import Installation, Worker

StartWorker = Callable[..., Worker]


@pytest.fixture
async def installation(kafka: KafkaAddress, topic_prefix: str) -> Installation:
    """Empty topics of this test."""
    here = Installation(kafka.bootstrap, topic_prefix, partitions=4)
    await here.create_topics()
    return here


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Starts a worker on an installation: `start_worker(installation, "one", VARIABLE="value")`."""
    workers: list[Worker] = []

    def started(where: Installation, name: str = "one", **environment: str) -> Worker:
        worker = Worker(where, tmp_path, name, **environment)
        worker.start()
        workers.append(worker)
        return worker

    yield started
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()
