"""`voz-enrich` as a user runs it: with the shipped model, and with mistakes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from voz.v1 import labels_pb2 as labels
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts import topics
from voz_enrich.adapters.outbound.models import DEFAULT_BUNDLE

from ...chaos.enrich_harness import Installation, make_event
from .test_worker import keyed, send

pytestmark = pytest.mark.integration
COMMAND = str(Path(sys.executable).with_name("voz-enrich"))
COMPLAINT = "The hotel was awful"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_into(subprocess.PIPE, arguments, environment)


def run_on_a_terminal(*arguments: str, no_color: str = "") -> list[str]:
    """The lines that it writes on a terminal that has colours, when it ends well."""
    ours, its = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        try:
            ended = run_into(its, arguments, {"TERM": "xterm-256color", "NO_COLOR": no_color})
        finally:
            os.close(its)
        written = b""
        try:
            while part := screen.read(4096):
                written += part
        except OSError:  # how Linux says that nothing more will come
            pass
    assert (ended.returncode, ended.stderr) == (0, "")
    return written.decode().splitlines()


def run_into(output: int, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, **environment},
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def complaint(tmp_path: Path) -> str:
    """A file with a text of which one word says what there is to say."""
    path = tmp_path / "complaint.jsonl"
    path.write_text(json.dumps({"id": "a", "text": COMPLAINT}), encoding="utf-8")
    return str(path)


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


def test_an_explanation_is_json_in_a_pipe_and_where_json_is_asked_for(complaint: str) -> None:
    piped = run("analyze", "--explain", complaint)
    assert (piped.returncode, piped.stderr) == (0, "")
    answered = json.loads(piped.stdout)
    assert (answered["id"], answered["sentiment"]) == ("a", "negative")
    assert [COMPLAINT[each["start"] : each["end"]] for each in answered["explain"]] == COMPLAINT.split()
    assert [each["word"] for each in answered["explain"]] == COMPLAINT.split()
    assert min(answered["explain"], key=lambda each: each["sentiment"])["word"] == "awful"
    (line,) = run_on_a_terminal("analyze", "--explain", "--json", complaint)
    assert json.loads(line) == answered


def test_an_explanation_is_drawn_on_a_terminal_in_colour_unless_it_wants_none(complaint: str) -> None:
    plain = run_on_a_terminal("analyze", "--explain", complaint, no_color="1")
    name, sentiment, intent = plain
    assert name == "a"
    assert re.match(r"  sentiment negative −\d\.\d\d: awful −\d\.\d\d", sentiment), sentiment
    assert re.match(r"  intent [a-z_]+ \d\.\d\d: ", intent), intent

    coloured = run_on_a_terminal("analyze", "--explain", complaint)
    assert re.search(r"\x1b\[97;48;5;(52|88|124)mawful\x1b\[0m", coloured[2]), coloured  # on red
    assert [re.sub(r"\x1b\[[\d;]+m", "", line) for line in coloured] == [
        name, sentiment, f"    {COMPLAINT}", intent, f"    {COMPLAINT}",
    ]  # fmt: skip


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
        assert answer.signals.model == DEFAULT_BUNDLE
        if (expected := texts[answer.event.text]) is not None:
            assert answer.signals.sentiment == expected, answer
