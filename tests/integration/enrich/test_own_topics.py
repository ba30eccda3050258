"""A company's own topics through the pipeline: real Kafka, the shipped model, a file that changes under the worker."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts import topics

from ...chaos.enrich_harness import TENANT, Installation, Worker
from .test_model_swap import messages
from .test_worker import send

pytestmark = pytest.mark.integration
StartWorker = Callable[..., Worker]
COMMAND = str(Path(sys.executable).with_name("voz-enrich"))
BAG = "My suitcase never came out on the belt"
FILE = f"""
tenants:
  - id: {TENANT}
    topics:
      - id: lost-luggage
        name: Lost luggage
        description: Suitcases that did not come out on the belt
        examples:
          - {BAG}
          - My suitcase did not come out on the belt
          - Our suitcases never came out on the belt
          - The suitcase never came out of the belt
          - My bag never came out on the belt
"""


async def test_a_message_gets_the_topic_of_the_file_in_force(
    installation: Installation, start_worker: StartWorker, tmp_path: Path
) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text(FILE, encoding="utf-8")
    worker = start_worker(installation, VOZ_TEST_MODEL="settings", VOZ_ENRICH_TOPICS=str(path))

    await send(installation, *messages(BAG, "Grazie mille, a domani"))
    assert await installation.wait_answered(2), worker.said()[-3000:]

    replace(path, FILE.replace("lost-luggage", "baggage"))
    await reloaded(worker, "taken")
    await send(installation, *messages(BAG))
    assert await installation.wait_answered(3), worker.said()[-3000:]

    replace(path, FILE.replace("lost-luggage", "No Such Id"))
    await reloaded(worker, "refused")
    await send(installation, *messages(BAG))
    assert await installation.wait_answered(4), worker.said()[-3000:]
    counted = await asyncio.to_thread(
        worker.metric, f'voz_enrich_own_topics_total{{own_topic="baggage",tenant="{TENANT}"}}'
    )

    path.write_text(FILE, encoding="utf-8")
    tried = await asyncio.to_thread(try_topics, installation, path)
    assert worker.stop() == 0, worker.said()[-3000:]

    answers = [EnrichedEvent.FromString(record.value) for record in await installation.read(topics.ENRICHED)]
    answers.sort(key=lambda each: each.enriched_at.ToNanoseconds())
    assert [each.signals.own_topic for each in answers if each.event.text == BAG] == [
        "lost-luggage", "baggage", "baggage",
    ]  # fmt: skip
    assert [each.signals.own_topic for each in answers if each.event.text != BAG] == [""]
    assert counted == 2
    assert "file refused, the one in force stays" in worker.said()
    assert tried.returncode == 0, tried.stdout + tried.stderr
    (trial,) = json.loads(tried.stdout)
    assert (trial["messages"], trial["topics"][0]["messages"]) == (4, 3)
    assert trial["topics"][0]["samples"][0]["text"] == BAG


def test_a_worker_does_not_start_with_a_broken_file(
    installation: Installation, start_worker: StartWorker, tmp_path: Path
) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text(FILE.replace("examples", "exmaples"), encoding="utf-8")
    worker = start_worker(installation, VOZ_TEST_MODEL="settings", VOZ_ENRICH_TOPICS=str(path))
    assert worker.process.wait(60) == 2
    assert "topics.yaml, line 8: unknown field `exmaples`; did you mean `examples`?" in worker.said()


def test_a_topic_is_tried_where_no_kafka_answers_only_on_a_file(tmp_path: Path) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text(FILE, encoding="utf-8")
    ended = try_topics(Installation("127.0.0.1:1", "", 1), path)
    assert ended.returncode == 2
    assert "Name a file of messages: --texts FILE" in ended.stderr
    assert "Traceback" not in ended.stderr


def replace(path: Path, text: str) -> None:
    """As an editor or a ConfigMap does: another file in its place."""
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


async def reloaded(worker: Worker, outcome: str) -> None:
    """Wait until the worker has looked at the changed file."""
    for _ in range(600):
        if (
            f'voz_file_reloads_total{{file="topics.yaml",outcome="{outcome}"}} 1.0'
            in (await asyncio.to_thread(worker.get, "/metrics"))[1]
        ):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(worker.said()[-3000:])


def try_topics(installation: Installation, path: Path) -> subprocess.CompletedProcess[str]:
    """`voz-enrich topics try` on an installation's own messages."""
    environment = {"VOZ_KAFKA_BOOTSTRAP": installation.bootstrap, "VOZ_TOPIC_PREFIX": installation.prefix}
    return subprocess.run(
        [COMMAND, "topics", "try", str(path), "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
