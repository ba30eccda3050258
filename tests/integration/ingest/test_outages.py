"""Kafka away, slow, killed; ingest told to stop: what was acknowledged is there, memory is bounded, it recovers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

import httpx
import pytest
from tests.integration.ingest.conftest import Ingest, StartIngest
from tests.integration.ingest.reading import make_topic, read_events
from tests.unit.ingest.fakes import event

from voz_devstack.testing import KafkaServer

pytestmark = pytest.mark.integration


class Senders:
    """Clients that send events of their own, one after another, until they are told to stop. One that isn't
    acknowledged is sent again: the same id, the same place in its customer's order."""

    def __init__(self, ingest: Ingest, count: int) -> None:
        self.accepted: dict[int, list[str]] = {number: [] for number in range(count)}
        self.refused = 0
        self._ingest = ingest
        self._stopped = False
        self._tasks = [asyncio.create_task(self._send(number)) for number in range(count)]

    @property
    def total(self) -> int:
        return sum(map(len, self.accepted.values()))

    async def go_on_for(self, more: int) -> None:
        """Until so many more events are acknowledged."""
        goal = self.total + more
        async with asyncio.timeout(60):
            while self.total < goal:
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)

    async def _send(self, number: int) -> None:
        mine = self.accepted[number]
        while not self._stopped:
            body = json.dumps(event(id=f"{number}-{len(mine)}", customer={"id": f"customer-{number}"}))
            try:
                answer = await self._ingest.client.post("/v1/events", content=body)
            except httpx.TransportError:
                if self._ingest.process.poll() is not None:
                    return
                continue
            if answer.status_code == 202:
                mine.extend(answer.json()["ids"])
                continue
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            self.refused += 1
            await asyncio.sleep(0.1)


async def assert_nothing_lost(senders: Senders, bootstrap: str, prefix: str) -> None:
    """Every acknowledged event is there, a customer's first deliveries in the order sent."""
    order: dict[str, list[str]] = {}
    for found in await read_events(bootstrap, prefix):
        seen = order.setdefault(found.customer.id, [])
        if found.id not in seen:
            seen.append(found.id)
    for number, accepted in senders.accepted.items():
        assert order.get(f"customer-{number}", [])[: len(accepted)] == accepted


@pytest.mark.usefixtures("own_topic")
async def test_without_kafka_it_says_so_and_when_kafka_is_back_it_goes_on(
    own_kafka: KafkaServer, topic_prefix: str, start_ingest: StartIngest
) -> None:
    ingest = await start_ingest(own_kafka.bootstrap, delivery_timeout_seconds=1)
    await ingest.wait_until_ready()
    senders = Senders(ingest, 4)
    await senders.go_on_for(50)
    await asyncio.to_thread(own_kafka.kill)
    await ingest.wait_until_ready(False)
    began = time.monotonic()
    answer = await ingest.client.post("/v1/events", content=json.dumps(event(id="lost?")))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert time.monotonic() - began < 20, "the time limit of a delivery, not that of the client"
    assert (await ingest.client.get("/livez")).status_code == 200
    await asyncio.to_thread(own_kafka.start)
    await ingest.wait_until_ready()
    await senders.go_on_for(50)
    await senders.stop()
    assert senders.refused > 0
    assert await ingest.stop() == 0
    await assert_nothing_lost(senders, own_kafka.bootstrap, topic_prefix)


@pytest.mark.usefixtures("own_topic")
async def test_kafka_killed_again_and_again_under_load_loses_nothing(
    own_kafka: KafkaServer, topic_prefix: str, start_ingest: StartIngest
) -> None:
    ingest = await start_ingest(own_kafka.bootstrap, delivery_timeout_seconds=1)
    await ingest.wait_until_ready()
    senders = Senders(ingest, 16)
    for _ in range(3):
        await senders.go_on_for(150)
        await asyncio.to_thread(own_kafka.kill)
        await asyncio.to_thread(own_kafka.start)
    await senders.go_on_for(150)
    await senders.stop()
    await assert_nothing_lost(senders, own_kafka.bootstrap, topic_prefix)


async def test_it_starts_before_kafka_and_waits_for_it(
    own_kafka: KafkaServer, topic_prefix: str, start_ingest: StartIngest
) -> None:
    await asyncio.to_thread(own_kafka.stop)
    try:
        ingest = await start_ingest(own_kafka.bootstrap)
        assert not await ingest.ready()
        assert (await ingest.client.post("/v1/events", content=json.dumps(event()))).status_code == 503
    finally:
        await asyncio.to_thread(own_kafka.start)
    assert not await ingest.ready(), "the topic isn't there yet"
    await make_topic(own_kafka.bootstrap, topic_prefix)
    await ingest.wait_until_ready()
    assert (await ingest.client.post("/v1/events", content=json.dumps(event()))).status_code == 202


@pytest.mark.usefixtures("own_topic")
async def test_a_frozen_kafka_costs_bounded_memory_and_every_client_gets_an_answer(
    own_kafka: KafkaServer, topic_prefix: str, start_ingest: StartIngest
) -> None:
    budget = 4 << 20
    ingest = await start_ingest(own_kafka.bootstrap, delivery_timeout_seconds=1, max_in_flight_bytes=budget)
    await ingest.wait_until_ready()
    body = json.dumps([event(customer={"id": f"c-{n}"}, text="x" * 1000) for n in range(400)])
    (pid,) = own_kafka.pids.values()
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            answers = await asyncio.gather(*(ingest.client.post("/v1/events", content=body) for _ in range(60)))
            assert {answer.status_code for answer in answers} == {503}
            assert await ingest.metric("voz_ingest_in_flight_bytes") <= budget
        memory = await ingest.metric("process_resident_memory_bytes")
        assert memory < 250e6
    finally:
        os.kill(pid, signal.SIGCONT)
    await ingest.wait_until_ready()
    assert (await ingest.client.post("/v1/events", content=body)).status_code == 202
    async with asyncio.timeout(30):
        while await ingest.metric("voz_ingest_in_flight_bytes") > 0:
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("own_topic")
async def test_told_to_stop_under_load_it_finishes_what_it_began(
    own_kafka: KafkaServer, topic_prefix: str, start_ingest: StartIngest
) -> None:
    ingest = await start_ingest(own_kafka.bootstrap)
    await ingest.wait_until_ready()
    senders = Senders(ingest, 16)
    await senders.go_on_for(200)
    assert await ingest.stop() == 0
    await senders.stop()
    assert senders.refused == 0
    await assert_nothing_lost(senders, own_kafka.bootstrap, topic_prefix)
    kept = {found.id for found in await read_events(own_kafka.bootstrap, topic_prefix)}
    assert kept >= {each for accepted in senders.accepted.values() for each in accepted}


@pytest.mark.usefixtures("own_topic")
async def test_it_stops_in_time_when_kafka_is_away(own_kafka: KafkaServer, start_ingest: StartIngest) -> None:
    ingest = await start_ingest(own_kafka.bootstrap, delivery_timeout_seconds=1)
    await ingest.wait_until_ready()
    await asyncio.to_thread(own_kafka.kill)
    try:
        assert (await ingest.client.post("/v1/events", content=json.dumps(event()))).status_code == 503
        assert await ingest.stop() == 0
    finally:
        await asyncio.to_thread(own_kafka.start)
