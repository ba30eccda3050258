"""Every form of body, through a real server, onto real Kafka; and what is refused on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.integration.ingest.conftest import KEYS, Ingest, StartIngest
from tests.integration.ingest.reading import make_topic, read_events, read_records
from tests.unit.ingest.fakes import PLAIN, event

from voz.v1.customer_event_pb2 import CustomerEvent
from voz_contracts import cloudevents, identity
from voz_contracts.plain import plain
from voz_devstack.testing import KafkaAddress

pytestmark = pytest.mark.integration


@pytest.fixture
async def ingest(kafka: KafkaAddress, topic_prefix: str, start_ingest: StartIngest) -> Ingest:
    await make_topic(kafka.bootstrap, topic_prefix)
    started = await start_ingest(kafka.bootstrap)
    await started.wait_until_ready()
    return started


async def post(ingest: Ingest, body: Any, kind: str = "application/json", **headers: str) -> httpx.Response:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ingest.client.post("/v1/events", content=content, headers={"Content-Type": kind, **named})


async def test_every_form_of_body_becomes_records(ingest: Ingest, kafka: KafkaAddress, topic_prefix: str) -> None:
    envelope = {"specversion": "1.0", "source": "/shop", "type": "said", "data": event()}
    lines = "\n".join(json.dumps(event(id=f"line-{n}")) for n in range(3))
    binary = {"ce_specversion": "1.0", "ce_id": "binary", "ce_source": "/shop", "ce_type": "said"}
    answers = [
        await post(ingest, event(id="one")),
        await post(ingest, [event(id="first"), event(id="second")]),
        await post(ingest, lines, "application/x-ndjson"),
        await post(ingest, envelope | {"id": "structured"}, "application/cloudevents+json"),
        await post(ingest, [envelope | {"id": f"batch-{n}"} for n in range(2)], "application/cloudevents-batch+json"),
        await post(ingest, event(), **binary),
    ]
    assert [(answer.status_code, answer.json()["accepted"]) for answer in answers] == [
        (202, 1),
        (202, 2),
        (202, 3),
        (202, 1),
        (202, 2),
        (202, 1),
    ]
    events = await read_events(kafka.bootstrap, topic_prefix)
    assert {found.id for found in events} == {each for answer in answers for each in answer.json()["ids"]}
    assert [found.source_id for found in events] == (
        ["one", "first", "second", "line-0", "line-1", "line-2", "structured", "batch-0", "batch-1", "binary"]
    ), "one customer, one partition, one order"


async def test_a_record_is_what_the_contract_says(ingest: Ingest, kafka: KafkaAddress, topic_prefix: str) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await post(ingest, PLAIN, traceparent=trace)
    (record,) = await read_records(kafka.bootstrap, topic_prefix)
    found = CustomerEvent.FromString(record.value)
    assert plain(found) == PLAIN
    assert found.tenant == "acme"
    assert found.id == str(identity.event_id("acme", "mastodon", "tweet-841"))
    assert found.customer.key == identity.customer_key("acme", "mastodon", customer_id="c-42")
    assert record.key == identity.partition_key("acme", found.customer.key)
    assert cloudevents.header(record.headers, "ce_id") == found.id
    assert cloudevents.header(record.headers, "ce_type") == "voz.v1.CustomerEvent"
    assert cloudevents.header(record.headers, "traceparent") == trace


async def test_tenants_do_not_meet(ingest: Ingest, kafka: KafkaAddress, topic_prefix: str) -> None:
    assert (await post(ingest, PLAIN, authorization="Bearer voz_wrong")).status_code == 401
    assert (await post(ingest, PLAIN | {"tenant": "globex"})).status_code == 422
    await post(ingest, PLAIN)
    await post(ingest, PLAIN, authorization=f"Bearer {KEYS['globex']}")
    acme, globex = sorted(await read_events(kafka.bootstrap, topic_prefix), key=lambda found: found.tenant)
    assert (acme.tenant, globex.tenant) == ("acme", "globex")
    assert acme.id != globex.id
    assert acme.customer.key != globex.customer.key


async def test_the_same_event_again_has_the_same_id_and_place(
    ingest: Ingest, kafka: KafkaAddress, topic_prefix: str
) -> None:
    for _ in range(3):
        await post(ingest, PLAIN)
    records = await read_records(kafka.bootstrap, topic_prefix)
    assert len({(record.partition, record.key, cloudevents.header(record.headers, "ce_id")) for record in records}) == 1


async def test_a_batch_of_a_hundred_thousand_is_refused_in_words_and_a_stream_of_as_many_taken(
    ingest: Ingest, kafka: KafkaAddress, topic_prefix: str
) -> None:
    events = [json.dumps(event(id=str(n), customer={"id": f"c-{n % 1000}"}, text="x" * 150)) for n in range(100_000)]
    refused = await post(ingest, f"[{','.join(events)}]")
    assert refused.status_code == 413, "also when the client is still sending"
    assert "x-ndjson" in refused.json()["detail"]
    taken = await post(ingest, "\n".join(events), "application/x-ndjson")
    assert (taken.status_code, taken.json()["accepted"], len(set(taken.json()["ids"]))) == (202, 100_000, 100_000)
    kept = await read_events(kafka.bootstrap, topic_prefix)
    assert [found.id for found in sorted(kept, key=lambda found: int(found.source_id))] == taken.json()["ids"]
    assert await ingest.metric("process_resident_memory_bytes") < 400e6


async def test_a_stream_is_appended_while_it_is_sent(ingest: Ingest, kafka: KafkaAddress, topic_prefix: str) -> None:
    arrived: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        yield b"".join(json.dumps(event(id=f"early-{n}")).encode() + b"\n" for n in range(1000))
        async with asyncio.timeout(30):
            while not arrived:
                arrived.extend([1] * len(await read_records(kafka.bootstrap, topic_prefix)))
        yield json.dumps(event(id="late")).encode()

    answer = await ingest.client.post("/v1/events", content=chunks(), headers={"Content-Type": "application/x-ndjson"})
    assert answer.json()["accepted"] == 1001
    assert 500 <= len(arrived) <= 1000, "before the request had ended"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (event(occurred_at="2199-01-01T00:00:00Z"), 422),
        (event(occurred_at="1970-01-01T00:00:00Z"), 422),
        (event(customer={"id": "a\0b"}), 422),
        (event(text="x" * 2_000_000), 422),
        ("[" * 200_000, 422),
        (event(text="a\0b", foo={"deep": [[[]]]}), 202),
    ],
)
async def test_bad_input_is_answered_and_the_service_goes_on(ingest: Ingest, body: Any, status: int) -> None:
    answer = await post(ingest, body)
    assert answer.status_code == status
    assert status == 202 or answer.headers["content-type"] == "application/problem+json"
    assert await ingest.ready()


async def test_the_document_and_health_need_no_key(ingest: Ingest) -> None:
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as anybody:
        for path in ("/openapi.json", "/docs", "/livez", "/readyz", "/metrics"):
            assert (await anybody.get(path)).status_code == 200
