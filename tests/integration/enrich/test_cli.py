"""`voz-enrich` as a user runs it: with the shipped model, and with mistakes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from voz.v1 import labels_pb2 as labels
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts import topics

from ...chaos.enrich_harness import Installation, make_event
from .test_worker import keyed, send

pytestmark = pytest.mark.integration
COMMAND = str(Path(sys.executable).with_name("voz-enrich"))


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_lists_the_settings() -> None:
    shown = run("worker", "--help")
    assert shown.returncode == 0
    for variable in ("VOZ_ENRICH_MODEL", "VOZ_ENRICH_INSTANCE_ID", "VOZ_KAFKA_BOOTSTRAP"):
        assert variable in shown.stdout
    assert "analyze" in run("--help").stdout


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("VOZ_ENRICH_MODEL", "bundle:no-such-bundle", "no-such-bundle"),
        ("VOZ_ENRICH_MODEL", "magic", "VOZ_ENRICH_MODEL"),
        ("VOZ_ENRICH_BATCH_EVENTS", "0", "VOZ_ENRICH_BATCH_EVENTS"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_named(variable: str, value: str, said: str) -> None:
    ended = run("worker", **{variable: value})
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_the_shipped_model_understands_a_stream(installation: Installation, tmp_path: Path) -> None:
    texts = {
        "Tercera vez que se cae la app al pagar, estoy harto": labels.SENTIMENT_NEGATIVE,
        "Thank you so much, Marta solved it in two minutes, wonderful service!": labels.SENTIMENT_POSITIVE,
        "x" * 100_000: None,
        "\x00\x1b[31m\u200b": None,
    }
    events = []
    for index, text in enumerate(texts):
        event = make_event(index, 3, 5)
        if payload := event.WhichOneof("payload"):
            event.ClearField(payload)
        event.kind, event.direction, event.text = labels.EVENT_KIND_MESSAGE, labels.DIRECTION_INBOUND, text
        events.append(event)
    environment = {
        **os.environ,
        "VOZ_KAFKA_BOOTSTRAP": installation.bootstrap,
        "VOZ_TOPIC_PREFIX": installation.prefix,
        "VOZ_ENRICH_PORT": "0",
    }
    log = tmp_path / "worker.log"
    with log.open("wb") as out:
        worker = subprocess.Popen([COMMAND, "worker"], env=environment, stdout=out, stderr=out)
    try:
        await send(installation, *(keyed(event) for event in events))
        assert await installation.wait_answered(len(events)), log.read_text()[-3000:]
        worker.terminate()
        assert await asyncio.to_thread(worker.wait, 30) == 0
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()
    answers = [EnrichedEvent.FromString(record.value) for record in await installation.read(topics.ENRICHED)]
    assert len(answers) == len(events)
    for answer in answers:
        assert answer.signals.model == "voz-signals-3"
        if (expected := texts[answer.event.text]) is not None:
            assert answer.signals.sentiment == expected, answer
