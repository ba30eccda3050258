"""A company's own topics through the pipeline: real Kafka, the shipped model, a file that changes under the worker."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from voz.v1.customer_event_pb2 import CustomerEvent
from voz.v1.enriched_event_pb2 import EnrichedEvent, Signals
from voz_contracts import topics

from ...chaos.enrich_harness import TENANT, Installation, Worker
from .test_cli import run
from .test_model_swap import messages
from .test_worker import send

pytestmark = pytest.mark.integration
StartWorker = Callable[..., Worker]
BAG = "My suitcase never came out on the belt"
THANKS = "Grazie mille, a domani"
NOWHERE = Installation("127.0.0.1:1", "", 1)
TOPIC = f"""
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
FILE = f"""
tenants:
  - id: {TENANT}
    topics:{TOPIC}"""


@pytest.fixture
def topics_file(tmp_path: Path) -> Path:
    """FILE, where commands can read it."""
    path = tmp_path / "topics.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


async def test_a_message_gets_the_topic_of_the_file_in_force(
    installation: Installation, start_worker: StartWorker, topics_file: Path
) -> None:
    worker = start_worker(installation, VOZ_TEST_MODEL="settings", VOZ_ENRICH_TOPICS=str(topics_file))

    await send(installation, *messages(BAG, THANKS))
    assert await installation.wait_answered(2), worker.said()[-3000:]

    replace(topics_file, FILE.replace("lost-luggage", "baggage"))
    await reloaded(worker, "taken")
    await send(installation, *messages(BAG))
    assert await installation.wait_answered(3), worker.said()[-3000:]

    replace(topics_file, FILE.replace("lost-luggage", "No Such Id"))
    await reloaded(worker, "refused")
    await send(installation, *messages(BAG))
    assert await installation.wait_answered(4), worker.said()[-3000:]
    counted = await asyncio.to_thread(
        worker.metric, f'voz_enrich_own_topics_total{{own_topic="baggage",tenant="{TENANT}"}}'
    )

    topics_file.write_text(FILE, encoding="utf-8")
    tried = await asyncio.to_thread(try_topics, installation, topics_file, "--json")
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


def test_a_topic_is_tried_where_no_kafka_answers_only_on_a_file(topics_file: Path) -> None:
    ended = try_topics(NOWHERE, topics_file)
    assert ended.returncode == 2
    assert "Name a file of messages: --texts FILE" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_trial_reads_the_newest_messages_within_its_bounds(
    installation: Installation, topics_file: Path
) -> None:
    await send(installation, understood(BAG), topic=topics.ENRICHED, written_at=datetime.now(UTC) - timedelta(days=8))
    await send(installation, understood(BAG), topic=topics.ENRICHED, written_at=datetime.now(UTC) - timedelta(hours=3))
    await send(installation, understood(BAG), understood(THANKS), topic=topics.ENRICHED)
    for arguments, read, got in (
        ((), 3, 2),
        (("--since", "9d"), 4, 3),
        (("--since", "60m"), 2, 1),
        (("--records", "1"), 1, 0),
    ):
        tried = await asyncio.to_thread(try_topics, installation, topics_file, "--json", *arguments)
        assert (tried.returncode, tried.stderr) == (0, "")
        (trial,) = json.loads(tried.stdout)
        assert (trial["messages"], trial["topics"][0]["messages"]) == (read, got), arguments


def test_a_trial_on_a_file_of_messages_needs_no_kafka(topics_file: Path, tmp_path: Path) -> None:
    texts = write_texts(tmp_path, {"id": 1, "text": BAG}, {"id": "b", "text": THANKS})
    tried = try_topics(NOWHERE, topics_file, "--texts", str(texts))
    assert (tried.returncode, tried.stderr) == (0, "")
    assert tried.stdout.startswith(f"{TENANT}: 2 messages of {texts}, 1 with a topic of its own\n")
    assert BAG in tried.stdout
    assert THANKS not in tried.stdout


def test_a_bad_line_is_named_the_rest_tried_and_the_status_1(topics_file: Path, tmp_path: Path) -> None:
    texts = write_texts(tmp_path, {"id": 1, "text": BAG}, {"id": 2}, {"id": 3, "text": BAG})
    tried = try_topics(NOWHERE, topics_file, "--texts", str(texts), "--json")
    assert (tried.returncode, tried.stderr) == (1, f"{texts}:2: text must be a string\n")
    (trial,) = json.loads(tried.stdout)
    assert (trial["messages"], trial["topics"][0]["messages"], trial["warned"]) == (2, 2, False)


def test_topics_that_cannot_be_told_apart_are_a_warning_and_status_1(topics_file: Path, tmp_path: Path) -> None:
    texts = write_texts(tmp_path, {"id": 1, "text": THANKS})
    topics_file.write_text(FILE + TOPIC.replace("lost-luggage", "baggage"), encoding="utf-8")
    tried = try_topics(NOWHERE, topics_file, "--texts", str(texts))
    assert (tried.returncode, tried.stderr) == (1, "")
    assert "warning: lost-luggage and baggage can't be told apart" in tried.stdout


def test_analyze_adds_a_company_s_own_topic_to_the_signals(topics_file: Path, tmp_path: Path) -> None:
    texts = write_texts(tmp_path, {"id": 1, "text": BAG}, {"id": "b", "text": THANKS})
    topics_file.write_text(
        f"{FILE}  - id: other\n    topics:\n{TOPIC.replace('lost-luggage', 'baggage')}", encoding="utf-8"
    )
    analysed = run("analyze", "--topics", str(topics_file), "--tenant", TENANT, str(texts))
    assert (analysed.returncode, analysed.stderr) == (0, "")
    bag, thanks = (json.loads(line) for line in analysed.stdout.splitlines())
    assert (bag["id"], bag["own_topic"]) == (1, "lost-luggage")
    assert 0 < bag["own_topic_score"] <= 1
    assert (thanks["id"], thanks["own_topic"], thanks["own_topic_score"]) == ("b", None, None)
    assert {"sentiment", "topic", "model"} < bag.keys()


def understood(text: str) -> tuple[bytes, bytes]:
    """A record of `voz.enriched`: a customer's message after a model has read it. All of one customer, so of one
    partition."""
    ((key, value),) = messages(text)
    enriched = EnrichedEvent(event=CustomerEvent.FromString(value), signals=Signals(model="any"))
    return key, enriched.SerializeToString()


def write_texts(folder: Path, *lines: dict[str, Any]) -> Path:
    """A file of JSON lines."""
    path = folder / "texts.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


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


def try_topics(installation: Installation, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`voz-enrich topics try` on an installation's own messages, or on those that the arguments name."""
    return run(
        "topics", "try", str(path), *arguments,
        VOZ_KAFKA_BOOTSTRAP=installation.bootstrap, VOZ_TOPIC_PREFIX=installation.prefix,
    )  # fmt: skip
