"""Under load and out of it: load balancers notice first, restarts repeat nothing, webhooks are as safe as events."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import httpx
import pytest
from tests.integration.ingest.conftest import StartIngest
from tests.integration.ingest.reading import make_topic, read_events, read_topic, settings
from tests.integration.ingest.test_outages import Senders, assert_nothing_lost
from tests.unit.ingest.fakes import event

from voz.v1.dead_letter_pb2 import DeadLetter
from voz.v1.raw_payload_pb2 import RawPayload
from voz_contracts.topics import DEAD_LETTER, RAW, TopicSpec
from voz_devstack.testing import KafkaAddress
from voz_ingest.adapters.inbound.formats.signatures import hex_hmac
from voz_streamkit.topics import ensure_topics

pytestmark = pytest.mark.integration
CONNECTIONS = """
connections:
  - {id: page, tenant: acme, source: facebook, secrets: [app-secret], own: ["7"], options: {keep_raw: true}}
"""
COMMENT = {
    "object": "page",
    "entry": [
        {
            "id": "7",
            "time": 1763632800,
            "changes": [
                {
                    "field": "feed",
                    "value": {
                        "from": {"id": "42", "name": "Ana"},
                        "item": "comment",
                        "verb": "add",
                        "post_id": "7_1",
                        "comment_id": "1_2",
                        "created_time": 1763632800,
                        "message": "¿Y mi pedido?",
                    },
                }
            ],
        }
    ],
}


async def test_a_load_balancer_sees_not_ready_first_and_nothing_accepted_is_lost(
    kafka: KafkaAddress, topic_prefix: str, start_ingest: StartIngest
) -> None:
    await make_topic(kafka.bootstrap, topic_prefix)
    ingest = await start_ingest(kafka.bootstrap, drain_seconds=1.5)
    await ingest.wait_until_ready()
    senders = Senders(ingest, 16)
    await senders.go_on_for(200)
    ingest.process.send_signal(signal.SIGTERM)
    await ingest.wait_until_ready(False)
    while_draining = senders.total
    await senders.go_on_for(20)  # not ready, and still every request that comes is answered
    assert senders.total > while_draining
    assert await asyncio.to_thread(ingest.process.wait, 30) == 0
    await senders.stop()
    assert senders.refused == 0
    await assert_nothing_lost(senders, kafka.bootstrap, topic_prefix)


async def test_what_is_sent_again_after_a_crash_is_the_same_event(
    kafka: KafkaAddress, topic_prefix: str, start_ingest: StartIngest
) -> None:
    await make_topic(kafka.bootstrap, topic_prefix)
    body = json.dumps([event(id=str(number), customer={"id": f"c-{number % 7}"}) for number in range(50)])
    first = await start_ingest(kafka.bootstrap)
    await first.wait_until_ready()
    before = (await first.client.post("/v1/events", content=body)).json()["ids"]
    first.process.kill()
    await asyncio.to_thread(first.process.wait)
    second = await start_ingest(kafka.bootstrap)
    await second.wait_until_ready()
    after = (await second.client.post("/v1/events", content=body)).json()["ids"]
    assert before == after
    assert {found.id for found in await read_events(kafka.bootstrap, topic_prefix)} == set(before)


async def test_json_without_bottom_is_refused_in_words(
    kafka: KafkaAddress, topic_prefix: str, start_ingest: StartIngest
) -> None:
    await make_topic(kafka.bootstrap, topic_prefix)
    ingest = await start_ingest(kafka.bootstrap)
    await ingest.wait_until_ready()
    for bottomless in ("[" * 100_000, '{"a":' * 100_000, '{"attributes":' + "[" * 5000 + "]" * 5000 + "}"):
        answer = await ingest.client.post("/v1/events", content=bottomless)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await ingest.client.post("/v1/events", content=json.dumps(event()))).status_code == 202


async def test_a_webhook_reaches_kafka_with_its_evidence_and_its_bytes(
    kafka: KafkaAddress,
    topic_prefix: str,
    start_ingest: StartIngest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "connections.yaml").write_text(CONNECTIONS)
    monkeypatch.setenv("VOZ_CONNECTIONS_FILE", str(tmp_path / "connections.yaml"))
    await make_topic(kafka.bootstrap, topic_prefix)
    await ensure_topics(settings(kafka.bootstrap, topic_prefix), [DEAD_LETTER, RAW])
    ingest = await start_ingest(kafka.bootstrap)
    await ingest.wait_until_ready()

    async def post(body: bytes, secret: str = "app-secret") -> httpx.Response:
        headers = {"X-Hub-Signature-256": f"sha256={hex_hmac(secret, body)}"}
        return await ingest.client.post("/v1/webhooks/page", content=body, headers=headers)

    body = json.dumps(COMMENT).encode()
    assert (await post(body, "guessed")).status_code == 401
    answers = [await post(body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json(), "a redelivery is the same event"
    (unreadable,) = [await post(b"{not JSON")]
    assert unreadable.status_code == 422

    found = await read_events(kafka.bootstrap, topic_prefix)
    assert {(each.source, each.text, each.customer.id) for each in found} == {("facebook", "¿Y mi pedido?", "42")}
    kept = [RawPayload.FromString(value) for value in await _values(kafka, topic_prefix, RAW)]
    assert [(each.body, [*each.event_ids]) for each in kept] == [(body, answers[0].json()["ids"])] * 2
    assert not [name for each in kept for name in each.headers if "signature" in name or name == "authorization"]
    (letter,) = [DeadLetter.FromString(value) for value in await _values(kafka, topic_prefix, DEAD_LETTER)]
    assert (letter.value, letter.reason, letter.service) == (b"{not JSON", "unreadable", "ingest")


async def _values(kafka: KafkaAddress, prefix: str, topic: TopicSpec) -> list[bytes]:
    return [
        record.value for record in await read_topic(kafka.bootstrap, settings(kafka.bootstrap, prefix).topic(topic))
    ]
