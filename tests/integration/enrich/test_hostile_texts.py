"""Odd and hostile texts through the worker on real Kafka: an answer or a dead letter each, and no word in any log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from voz.v1 import labels_pb2 as labels
from voz.v1.customer_event_pb2 import CustomerEvent
from voz.v1.dead_letter_pb2 import DeadLetter
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts import topics
from voz_enrich.adapters.outbound.models import DEFAULT_MODEL

from ...chaos.enrich_harness import Installation, Worker, make_event
from ...contract.odd_texts import MARKER, ODD_TEXTS
from .test_worker import keyed, send

pytestmark = pytest.mark.integration
StartWorker = Callable[..., Worker]


def said(number: int, text: str) -> CustomerEvent:
    """A message as ingest writes it, of somebody with a name."""
    event = make_event(number, 1, 11)
    if payload := event.WhichOneof("payload"):
        event.ClearField(payload)
    event.kind, event.direction, event.text = labels.EVENT_KIND_MESSAGE, labels.DIRECTION_INBOUND, text
    event.customer.handle = event.customer.display_name = event.customer.id = MARKER
    event.attributes["author"] = MARKER
    return event


def broken(number: int) -> list[tuple[bytes | None, bytes | None]]:
    """Records with a text that can't be read, or that aren't their customer's."""
    key, value = keyed(said(number, f"half \u00e9 {MARKER}"))
    half_a_pair = value.replace("\u00e9 ".encode(), b"\xed\xa0\xbd")  # a lone surrogate, as some encoders write it
    assert half_a_pair != value
    return [(key, half_a_pair), (key, value[: len(value) // 2]), (f"demo/{MARKER}".encode(), value), (None, value)]


def unmarked(log: str) -> None:
    """No line of a log holds the marker, in any spelling of JSON."""
    assert MARKER not in log
    assert MARKER.encode("unicode_escape").decode() not in log
    assert MARKER.lower() not in log.lower()


async def test_every_odd_text_has_an_answer_or_a_dead_letter_and_no_log_has_the_text(
    installation: Installation, start_worker: StartWorker
) -> None:
    # protobuf's strings hold no halves of surrogate pairs: those come as bytes, among the broken ones
    texts = [text for text in ODD_TEXTS.values() if "\ud83d" not in text]
    events = [said(number, text) for number, text in enumerate([*texts, *(f"{MARKER} {text}" for text in texts)])]
    bad = broken(900)
    worker = start_worker(
        installation, VOZ_TEST_MODEL="settings", VOZ_LOG_LEVEL="DEBUG", VOZ_ENRICH_SHADOW_MODEL=DEFAULT_MODEL,
        VOZ_ENRICH_SHADOW_SHARE="1",
    )  # fmt: skip
    await send(installation, *(keyed(event) for event in events), *bad)
    assert await installation.wait_answered(len(events) + len(bad)), worker.said()[-3000:]
    assert worker.stop() == 0, worker.said()[-3000:]
    answers = [EnrichedEvent.FromString(record.value) for record in await installation.read(topics.ENRICHED)]
    assert {answer.event.id: answer.event.text for answer in answers} == {event.id: event.text for event in events}
    assert all(answer.signals.language for answer in answers if answer.event.text.strip())
    letters = [DeadLetter.FromString(record.value) for record in await installation.read(topics.DEAD_LETTER)]
    assert sorted(letter.reason for letter in letters) == ["invalid", "invalid", "undecodable", "undecodable"]
    assert all(MARKER not in letter.detail for letter in letters)
    assert worker.said().count("dead letter") == len(bad)
    unmarked(worker.said())


async def test_a_text_that_the_model_fails_on_is_put_aside_and_not_told(
    installation: Installation, start_worker: StartWorker
) -> None:
    texts = [f"{MARKER} says {number}" if number in (7, 40) else f"message {number}" for number in range(60)]
    worker = start_worker(
        installation, VOZ_TEST_FAILING_WORD=MARKER, VOZ_LOG_LEVEL="DEBUG", VOZ_TEST_SHADOW="raises",
        VOZ_ENRICH_SHADOW_SHARE="1",
    )  # fmt: skip
    await send(installation, *(keyed(said(number, text)) for number, text in enumerate(texts)))
    assert await installation.wait_answered(len(texts)), worker.said()[-3000:]
    assert worker.stop() == 0, worker.said()[-3000:]
    letters = [DeadLetter.FromString(record.value) for record in await installation.read(topics.DEAD_LETTER)]
    assert [letter.reason for letter in letters] == ["unanswerable"] * 2
    assert {CustomerEvent.FromString(letter.value).text for letter in letters} == {texts[7], texts[40]}
    assert len(await installation.read(topics.ENRICHED)) == len(texts) - 2
    unmarked(worker.said())


async def test_a_model_that_fails_on_everything_ends_the_worker_without_a_text(
    installation: Installation, start_worker: StartWorker
) -> None:
    worker = start_worker(installation, VOZ_TEST_FAILING_WORD="", VOZ_LOG_LEVEL="DEBUG")
    await send(installation, *(keyed(said(number, f"{MARKER} {number}")) for number in range(20)))
    assert await asyncio.to_thread(worker.process.wait, 60) == 1
    assert await installation.answered() == 0
    unmarked(worker.said())
    told = [json.loads(line) for line in worker.said().splitlines() if line.startswith("{")]
    assert any("the model fails on any text: ValueError" in json.dumps(each) for each in told)
    frames = [frame["name"] for each in told for error in each.get("exception", []) for frame in error["frames"]]
    assert "analyse" in frames  # where it failed is still said
