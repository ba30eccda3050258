"""Another model in the worker's place, and one in its shadow, on real Kafka."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from voz.v1 import labels_pb2 as labels
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts import topics
from voz_enrich.adapters.outbound.models import DEFAULT_BUNDLE
from voz_enrich.cores import available_cores
from voz_enrich.shadow import Counted, counted
from voz_streamkit.kafka import record_of

from ...chaos.enrich_harness import Feeder, Installation, Worker, make_event
from ...contract.hf_checkpoints import TEXTS, save_checkpoint
from .test_worker import keyed, send

pytestmark = pytest.mark.integration
StartWorker = Callable[..., Worker]
COMMAND = str(Path(sys.executable).with_name("voz-enrich"))
SHARED_HEADERS = {"ce_id", "ce_source", "ce_type", "ce_subject", "ce_sourcepartition", "ce_sourceoffset"}


def messages(*texts: str) -> list[tuple[bytes, bytes]]:
    """The records of customers' messages."""
    records = []
    for number, text in enumerate(texts):
        event = make_event(number, 2, 5)
        if payload := event.WhichOneof("payload"):
            event.ClearField(payload)
        event.kind, event.direction, event.text = labels.EVENT_KIND_MESSAGE, labels.DIRECTION_INBOUND, text
        records.append(keyed(event))
    return records


async def test_a_hugging_face_folder_takes_the_model_s_place(
    installation: Installation, start_worker: StartWorker, tmp_path: Path
) -> None:
    folder = save_checkpoint(tmp_path / "stars", ["LABEL_0", "LABEL_1"], architecture="xlm-roberta", says=1)
    worker = start_worker(
        installation,
        VOZ_TEST_MODEL="settings",
        VOZ_ENRICH_MODEL=f"hf:{folder}",
        VOZ_ENRICH_LABEL_MAP="LABEL_0=positive,LABEL_1=negative",
    )
    await send(installation, *messages(*TEXTS, "x" * 100_000, "\x00"))
    assert await installation.wait_answered(len(TEXTS) + 2), worker.said()[-3000:]
    counted = (await asyncio.to_thread(worker.get, "/metrics"))[1]
    assert worker.stop() == 0, worker.said()[-3000:]
    answers = [EnrichedEvent.FromString(record.value) for record in await installation.read(topics.ENRICHED)]
    assert len(answers) == len(TEXTS) + 2
    (version,) = {answer.signals.model for answer in answers}
    assert version.startswith("hf:stars@")
    assert version.endswith(f"+{DEFAULT_BUNDLE}")
    for answer in answers:
        unreadable = answer.event.text == "\x00"
        assert answer.signals.sentiment == (labels.SENTIMENT_NEUTRAL if unreadable else labels.SENTIMENT_NEGATIVE)
        assert sum(answer.signals.scores[f"sentiment.{label}"] for label in ("negative", "neutral")) > 0.99
    assert f'voz_enrich_labels_total{{head="sentiment",label="negative",model="{version}"}} 5.0' in counted
    assert "Traceback" not in worker.said()


@pytest.mark.parametrize("manner", ["answers", "raises", "hangs"])
async def test_a_shadow_changes_not_a_byte_of_what_is_answered(
    installation: Installation, start_worker: StartWorker, manner: str
) -> None:
    beside = Installation(installation.bootstrap, installation.prefix + "shadow-", installation.partitions)
    await beside.create_topics()
    for where in (installation, beside):
        await Feeder(where, customers=20).feed(400)
    alone = start_worker(installation, "alone")
    shadowed = start_worker(beside, "shadowed", VOZ_TEST_SHADOW=manner, VOZ_ENRICH_SHADOW_SHARE="1")
    for worker, where in ((alone, installation), (shadowed, beside)):
        assert await where.wait_answered(400), worker.said()[-3000:]
    await settled(shadowed, manner)
    counted = await asyncio.to_thread(report, shadowed)
    for metric in ("voz_enrich_model_threads", "voz_enrich_cores"):
        assert await asyncio.to_thread(shadowed.metric, metric) == available_cores()
    assert alone.stop() == 0
    assert shadowed.stop() == 0, shadowed.said()[-3000:]
    assert await told(beside) == await told(installation)
    match manner:
        case "answers":
            assert counted.returncode == 0, counted.stderr
            assert "live     hash-1" in counted.stdout
            assert "shadow   hash-2" in counted.stdout
        case "raises":
            assert "nothing is compared yet" in counted.stderr
            assert shadowed.said().count("the shadow model failed") == 1
            assert "message 0." not in shadowed.said()
        case "hangs":
            assert "nothing is compared yet" in counted.stderr
            assert "the shadow model hangs, left behind" in shadowed.said()


async def test_a_hugging_face_shadow_reads_its_labels_by_its_own_map(
    installation: Installation, start_worker: StartWorker, tmp_path: Path
) -> None:
    folder = save_checkpoint(tmp_path / "stars", ["LABEL_0", "LABEL_1"], architecture="xlm-roberta", says=1)
    worker = start_worker(
        installation,
        VOZ_TEST_MODEL="settings",
        VOZ_ENRICH_LABEL_MAP="LABEL_0=negative,LABEL_1=positive",
        VOZ_ENRICH_SHADOW_MODEL=f"hf:{folder}",
        VOZ_ENRICH_SHADOW_LABEL_MAP="LABEL_0=positive,LABEL_1=negative",
        VOZ_ENRICH_SHADOW_SHARE="1",
    )
    await send(installation, *messages(*TEXTS))
    assert await installation.wait_answered(len(TEXTS)), worker.said()[-3000:]
    found = await compared(worker, len(TEXTS))
    assert worker.stop() == 0, worker.said()[-3000:]
    assert {shadow for _, shadow in found.pairs["sentiment"]} == {"negative"}
    ((live, shadow),) = found.models
    assert live == DEFAULT_BUNDLE
    assert shadow.startswith("hf:stars@")
    assert shadow.endswith(f"+{DEFAULT_BUNDLE}")
    answers = [EnrichedEvent.FromString(record.value) for record in await installation.read(topics.ENRICHED)]
    assert {answer.signals.model for answer in answers} == {live}


async def compared(worker: Worker, texts: int) -> Counted:
    """What the worker counted when its shadow had answered so many texts, without an error."""
    for _ in range(1200):
        found = await asyncio.to_thread(counted, [f"http://127.0.0.1:{worker.port}/metrics"])
        if found.errors:
            break
        if found.pairs["sentiment"].total() == texts:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(worker.said()[-3000:])


async def settled(worker: Worker, manner: str) -> None:
    """Wait until the shadow has shown what it does."""
    metric = {
        "answers": 'voz_enrich_shadow_text_seconds_count{model="shadow"}',
        "raises": "voz_enrich_shadow_errors_total",
        "hangs": 'voz_enrich_shadow_info{live="hash-1",shadow="hash-2",share="1"}',
    }[manner]
    for _ in range(600):
        if (
            f"\n{metric} " in (text := (await asyncio.to_thread(worker.get, "/metrics"))[1])
            and f"{metric} 0.0" not in text
        ):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(worker.said()[-3000:])


def report(worker: Worker) -> subprocess.CompletedProcess[str]:
    """`voz-enrich shadow report` on one worker."""
    return subprocess.run(
        [COMMAND, "shadow", "report", f"http://127.0.0.1:{worker.port}/metrics"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def told(installation: Installation) -> list[tuple[int, bytes, bytes, list[tuple[str, bytes]]]]:
    """Everything on the enriched topic, without times and the installation's own name, by partition, in order."""
    found = []
    for raw in await installation.read(topics.ENRICHED):
        record = record_of(raw)
        enriched = EnrichedEvent.FromString(record.value)
        enriched.ClearField("enriched_at")
        enriched.answers.topic = enriched.answers.topic.removeprefix(installation.prefix)
        headers = [(name, value) for name, value in record.headers if name in SHARED_HEADERS]
        found.append((record.partition, record.key, enriched.SerializeToString(deterministic=True), headers))
    assert len(found) > 300
    return found
