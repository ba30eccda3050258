"""Under load and under attack: a flood without Kafka, slow clients, a stop in the middle, a kill and the same again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from tests.integration.ingest.conftest import KEYS, Ingest, StartIngest
from tests.integration.ingest.flood import Flood, post
from tests.integration.ingest.reading import read_events, read_records
from tests.unit.ingest.fakes import event

from voz_contracts import cloudevents
from voz_devstack.testing import KafkaServer

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_topic")]
KEY = KEYS["acme"]
BUDGET = 8 << 20


def port(ingest: Ingest) -> int:
    return int(ingest.client.base_url.port or 0)


def small(connection: int, number: int) -> bytes:
    """One event a request: a customer's own, in order."""
    body = event(id=f"{connection}-{number}", customer={"id": f"c-{connection}"}, text="x" * 500)
    return post(KEY, json.dumps(body).encode())


def mixed(connection: int, number: int) -> bytes:
    """Small requests, arrays and streams."""
    if connection % 3 == 0:
        return small(connection, number)
    events = [event(id=f"{connection}-{number}-{n}", customer={"id": f"c-{n}"}, text="x" * 500) for n in range(100)]
    if connection % 3 == 1:
        return post(KEY, json.dumps(events).encode())
    return post(KEY, "\n".join(map(json.dumps, events)).encode(), kind="application/x-ndjson")


async def end(reader: asyncio.StreamReader) -> bytes:
    """The status that a connection ended with, if any."""
    try:
        return (await reader.read())[9:12]
    except ConnectionError:
        return b""


@contextmanager
def frozen(kafka: KafkaServer) -> Iterator[None]:
    """Kafka stopped, its connections left open."""
    (pid,) = kafka.pids.values()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_flood_without_kafka_is_refused_in_flat_memory_and_loses_nothing_accepted(
    own_kafka: KafkaServer, topic_prefix: str, start_ingest: StartIngest
) -> None:
    ingest = await start_ingest(own_kafka.bootstrap, delivery_timeout_seconds=1, max_in_flight_bytes=BUDGET)
    await ingest.wait_until_ready()
    process = psutil.Process(ingest.process.pid)
    memory = []
    async with Flood(port(ingest), 150, mixed) as flood:
        await flood.until(600)
        with frozen(own_kafka):
            await ingest.wait_until_ready(False)
            for _ in range(6):
                await flood.until(800)
                memory.append(process.memory_info().rss)
                assert await ingest.metric("voz_ingest_in_flight_bytes") <= BUDGET
            assert flood.statuses[503] > 0
        await ingest.wait_until_ready()
        await flood.until(600)
    assert flood.statuses.keys() == {202, 503}
    assert flood.closed == 0
    assert max(memory) - memory[1] < 16 << 20, "flat"
    assert max(memory) < 250 << 20
    kept = {found.id for found in await read_events(own_kafka.bootstrap, topic_prefix)}
    accepted = {each for _, _, status, body in flood.answers if status == 202 for each in json.loads(body)["ids"]}
    assert accepted <= kept
    async with asyncio.timeout(30):
        while await ingest.metric("voz_ingest_in_flight_bytes") > 0:
            await asyncio.sleep(0.05)


async def test_a_stop_under_load_is_announced_and_loses_nothing(
    own_kafka: KafkaServer, topic_prefix: str, start_ingest: StartIngest
) -> None:
    ingest = await start_ingest(own_kafka.bootstrap, drain_seconds=1)
    await ingest.wait_until_ready()
    async with Flood(port(ingest), 32, small) as flood:
        await flood.until(500)
        stopping = asyncio.create_task(ingest.stop())
        await ingest.wait_until_ready(False)
        before = flood.statuses[202]
        await flood.until(100)
        assert flood.statuses[202] > before, "while it says that it isn't ready it still takes what comes"
        assert await stopping == 0
    assert flood.statuses.keys() == {202}, "requests under way end well"
    order: dict[str, list[str]] = {}
    for found in await read_events(own_kafka.bootstrap, topic_prefix):
        order.setdefault(found.customer.id, []).append(found.source_id)
    for connection in range(32):
        accepted = [f"{connection}-{number}" for which, number, _, _ in flood.answers if which == connection]
        assert order[f"c-{connection}"][: len(accepted)] == accepted


async def test_the_same_request_is_the_same_events_before_and_after_a_kill(
    own_kafka: KafkaServer, topic_prefix: str, start_ingest: StartIngest
) -> None:
    named = json.dumps([event(id="a"), event(id="b", customer={"handle": "@ana"})])
    unnamed = json.dumps([event(), event(text="again")])
    answers = []
    for _ in range(2):
        ingest = await start_ingest(own_kafka.bootstrap)
        await ingest.wait_until_ready()
        for _ in range(2):
            for body, headers in ((named, {}), (unnamed, {"Idempotency-Key": "k-1"})):
                answer = await ingest.client.post("/v1/events", content=body, headers=headers)
                answers.append((answer.status_code, answer.json()["ids"]))
        ingest.process.kill()
        ingest.process.wait()
    assert {status for status, _ in answers} == {202}
    assert answers[0::2] == answers[:1] * 4
    assert answers[1::2] == answers[1:2] * 4
    records = await read_records(own_kafka.bootstrap, topic_prefix)
    assert len(records) == 16
    ids = {cloudevents.header(record.headers, "ce_id") for record in records}
    assert ids == {*answers[0][1], *answers[1][1]}
    assert len({(cloudevents.header(record.headers, "ce_id"), record.key, record.partition) for record in records}) == 4


async def test_slow_and_idle_clients_cost_others_nothing(own_kafka: KafkaServer, start_ingest: StartIngest) -> None:
    ingest = await start_ingest(own_kafka.bootstrap, max_connections=60, head_timeout_seconds=1, body_timeout_seconds=1)
    await ingest.wait_until_ready()
    attackers = [await asyncio.open_connection("127.0.0.1", port(ingest)) for _ in range(100)]
    for number, (_, writer) in enumerate(attackers):
        request = small(number, 0)
        # Nothing, half of the headers, a third of the body: by turns.
        writer.write((b"", request[:60], request[:-400])[number % 3])
    async with Flood(port(ingest), 10, lambda connection, number: small(1000 + connection, number)) as flood:
        async with asyncio.timeout(60):
            while flood.statuses[202] < 300:
                await asyncio.sleep(0.02)
    ends = [await end(reader) for number, (reader, _) in enumerate(attackers) if number % 3]
    assert set(ends) <= {b"408", b"503", b""}
    assert ends.count(b"408") > 0
    for _, writer in attackers:
        writer.close()


async def test_what_is_too_deep_or_too_large_is_refused_and_the_service_goes_on(
    own_kafka: KafkaServer, start_ingest: StartIngest
) -> None:
    ingest = await start_ingest(own_kafka.bootstrap, max_body_bytes=1 << 20)
    await ingest.wait_until_ready()
    deep = '{"a":' * 100_000
    for body, status in (
        (deep, 422),
        ("[" * 500_000, 422),
        (json.dumps(event())[:-1] + f', "foo": {"[" * 900}{"]" * 900}}}', 202),
        ("[" + "1," * 9_999 + "1]", 422),
        ("[" + "1," * 10_000 + "1]", 413),
        ("x" * (2 << 20), 413),
        (f"{deep}\n" + json.dumps(event()), 202),
    ):
        kind = "application/x-ndjson" if "\n" in body else "application/json"
        answer = await ingest.client.post("/v1/events", content=body, headers={"Content-Type": kind})
        assert answer.status_code == status, body[:50]
    assert await ingest.ready()
