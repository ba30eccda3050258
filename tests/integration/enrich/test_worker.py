"""The worker on real Kafka, with a stand-in model: plain flow, deaths, bad records, long texts, frozen processes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from datetime import datetime

import pytest
from aiokafka import AIOKafkaProducer

from voz.v1 import customer_event_pb2 as contract
from voz.v1 import labels_pb2 as labels
from voz.v1.customer_event_pb2 import CustomerEvent
from voz.v1.dead_letter_pb2 import DeadLetter
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts import topics
from voz_contracts.cloudevents import header
from voz_contracts.identity import partition_key

from ...chaos.enrich_harness import Feeder, Installation, Proof, Worker, make_event, prove

pytestmark = pytest.mark.integration
StartWorker = Callable[..., Worker]


async def send(
    installation: Installation,
    *records: tuple[bytes | None, bytes | None],
    topic: topics.TopicSpec = topics.EVENTS,
    written_at: datetime | None = None,
) -> None:
    """Send raw (key, value) records to the source, or to another topic; as of now, or of another time."""
    timestamp_ms = int(written_at.timestamp() * 1000) if written_at else None
    producer = AIOKafkaProducer(bootstrap_servers=installation.bootstrap, acks="all", max_request_size=4 << 20)
    await producer.start()
    try:
        for key, value in records:
            await producer.send_and_wait(installation.topic(topic), value, key=key, timestamp_ms=timestamp_ms)
    finally:
        await producer.stop()


def keyed(event: CustomerEvent) -> tuple[bytes, bytes]:
    """The record of an event."""
    return partition_key(event.tenant, event.customer.key), event.SerializeToString()


async def test_every_event_is_answered_with_its_own_headers(
    installation: Installation, start_worker: StartWorker
) -> None:
    worker = start_worker(installation)
    await Feeder(installation, customers=30).feed(500)
    assert await installation.wait_answered(500), worker.said()[-3000:]
    assert (await asyncio.to_thread(worker.get, "/livez"))[0] == 200
    assert (await asyncio.to_thread(worker.get, "/readyz"))[0] == 200
    assert await asyncio.to_thread(worker.metric, 'voz_enrich_events_total{outcome="enriched"}') == 500
    assert worker.stop() == 0, worker.said()[-3000:]
    proof = await prove(installation)
    assert proof == Proof(sent=500)
    for record in await installation.read(topics.ENRICHED):
        enriched = EnrichedEvent.FromString(record.value)
        assert header(record.headers, "ce_type") == "voz.v1.EnrichedEvent"
        assert header(record.headers, "ce_id") == enriched.event.id
        assert header(record.headers, "ce_subject") == record.key.decode()
        assert enriched.answers.topic == installation.topic(topics.EVENTS)
        if enriched.event.direction == labels.DIRECTION_OUTBOUND:
            assert enriched.signals.sentiment == labels.SENTIMENT_UNSPECIFIED
    assert "Traceback" not in worker.said()


async def test_a_worker_started_again_goes_on_where_it_was(
    installation: Installation, start_worker: StartWorker
) -> None:
    feeder = Feeder(installation, customers=30)
    await feeder.feed(200)
    first = start_worker(installation)
    assert await installation.wait_answered(200)
    assert first.stop() == 0
    await feeder.feed(200)
    second = start_worker(installation, "two")
    assert await installation.wait_answered(400)
    assert second.stop() == 0
    proof = await prove(installation)
    assert proof == Proof(sent=400)


async def test_bad_records_are_put_aside_with_the_evidence_and_the_others_go_on(
    installation: Installation, start_worker: StartWorker
) -> None:
    good = [make_event(index, 5, 1) for index in range(150)]
    no_id = make_event(200, 5, 1)
    no_id.ClearField("id")
    off_scale = make_event(201, 5, 1)
    off_scale.survey.CopyFrom(
        contract.Survey(metric=contract.SURVEY_METRIC_NPS, score=11, scale=contract.Scale(min=0, max=10))
    )
    stranger = make_event(202, 5, 1)
    key = keyed(good[0])[0]
    bad: list[tuple[bytes | None, bytes | None]] = [
        (key, b"\xff\xff\xff"),
        (key, b""),
        (key, None),
        (None, stranger.SerializeToString()),
        (b"demo/somebody-else", stranger.SerializeToString()),
        keyed(no_id),
        keyed(off_scale),
    ]
    worker = start_worker(installation)
    await send(installation, *(keyed(event) for event in good[:100]))
    await send(installation, *bad)
    await send(installation, *(keyed(event) for event in good[100:]))
    assert await installation.wait_answered(150 + len(bad)), worker.said()[-3000:]
    assert worker.stop() == 0
    letters = [DeadLetter.FromString(record.value) for record in await installation.read(topics.DEAD_LETTER)]
    assert {(letter.key, letter.value) for letter in letters} == {(k or b"", v or b"") for k, v in bad}
    assert len(letters) == len(bad)
    assert {letter.reason for letter in letters} == {"undecodable", "invalid"}
    assert {letter.topic for letter in letters} == {installation.topic(topics.EVENTS)}
    assert all(letter.service == "enrich" and letter.detail for letter in letters)
    outputs = [EnrichedEvent.FromString(record.value) for record in await installation.read(topics.ENRICHED)]
    assert sorted(each.event.id for each in outputs) == sorted(event.id for event in good)


async def test_texts_that_no_model_likes_are_enriched(installation: Installation, start_worker: StartWorker) -> None:
    events = []
    for index, text in enumerate(("x" * 100_000, "\x00\x01\x1b[0m\u200b", "", "   \n", "😀" * 20_000, "\u202e" * 50)):
        event = make_event(1000 + index, 1, 9)
        event.ClearField("payload")
        event.kind, event.direction, event.text = labels.EVENT_KIND_MESSAGE, labels.DIRECTION_INBOUND, text
        events.append(event)
    start_worker(installation)
    await send(installation, *(keyed(event) for event in events))
    assert await installation.wait_answered(len(events))
    outputs = {
        e.event.id: e for r in await installation.read(topics.ENRICHED) if (e := EnrichedEvent.FromString(r.value))
    }
    assert [outputs[event.id].event.text for event in events] == [event.text for event in events]
    assert [outputs[event.id].signals.origin != 0 for event in events] == [True, True, False, False, True, True]


async def test_an_answer_too_large_for_kafka_is_put_aside_and_the_next_goes_on(
    installation: Installation, start_worker: StartWorker
) -> None:
    large, small = make_event(1, 1, 3), make_event(2, 1, 3)
    large.text, small.text = "x" * 1_040_000, "small"
    start_worker(installation)
    await send(installation, keyed(large), keyed(small))
    assert await installation.wait_answered(2)
    (record,) = await installation.read(topics.DEAD_LETTER)
    letter = DeadLetter.FromString(record.value)
    assert letter.reason == "too_large"
    assert letter.value == large.SerializeToString()[: len(letter.value)]
    assert len(letter.value) >= 10_000


async def test_a_stream_of_garbage_stops_the_worker(installation: Installation, start_worker: StartWorker) -> None:
    worker = start_worker(installation)
    feeder = Feeder(installation, bad_every=2)
    await feeder.feed(400)
    assert await asyncio.to_thread(worker.process.wait, 60) == 1
    assert "DeadLetterLimitError" in worker.said()
    assert len(await installation.read(topics.DEAD_LETTER)) < 200


async def test_killed_at_any_moment_around_dead_letters(installation: Installation, start_worker: StartWorker) -> None:
    feeder = Feeder(installation, customers=30, bad_every=11)
    feeding = asyncio.create_task(feeder.feed(1200, rate=200))
    settings = {"VOZ_ENRICH_INSTANCE_ID": "one", "VOZ_ENRICH_BATCH_EVENTS": "16", "VOZ_ENRICH_DEAD_LETTER_RATIO": "0.5"}
    for life in range(4):
        worker = start_worker(installation, f"life{life}", **settings)
        assert await installation.wait_answered(220 * (life + 1)), worker.said()[-3000:]
        worker.kill()
    start_worker(installation, "last", **settings)
    await feeding
    assert await installation.wait_answered(1200)
    await asyncio.sleep(1)
    proof = await prove(installation)
    assert proof == Proof(sent=1200)


async def test_a_frozen_worker_leaves_and_writes_nothing_more(
    installation: Installation, start_worker: StartWorker
) -> None:
    settings = {"VOZ_ENRICH_SESSION_SECONDS": "4", "VOZ_TEST_TEXT_SECONDS": "0.002"}
    frozen = start_worker(installation, "frozen", **settings)
    feeder = Feeder(installation, customers=30, bad_every=23)
    feeding = asyncio.create_task(feeder.feed(2000, rate=150))
    assert await installation.wait_answered(200), frozen.said()[-3000:]
    frozen.signal(signal.SIGSTOP)
    other = start_worker(installation, "other", **settings)
    assert await installation.wait_answered(1200), other.said()[-3000:]
    frozen.signal(signal.SIGCONT)
    assert await asyncio.to_thread(frozen.process.wait, 30) == 1
    assert "FrozenError" in frozen.said()
    await feeding
    assert await installation.wait_answered(2000)
    await asyncio.sleep(1)
    proof = await prove(installation)
    assert (proof.sent, proof.lost, proof.out_of_order, proof.wrong_stage) == (2000, 0, 0, 0), proof
    # What was already in the frozen process's hands when it stopped may still go out: a batch at most.
    assert proof.doubled <= 64


async def test_missing_topics_are_named(installation: Installation, start_worker: StartWorker) -> None:
    nowhere = Installation(installation.bootstrap, installation.prefix + "no-")
    worker = start_worker(nowhere)
    assert await asyncio.to_thread(worker.process.wait, 60) == 1
    assert "voz-topics apply" in worker.said()
