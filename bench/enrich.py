"""Throughput of the enrich worker against its own model with nothing around it, in turns.

Both have the same texts, the same threads and the machine for themselves, but for the broker.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from common import BIN, in_turns, process, ratio, report, say, texts, wait_for

from voz.v1.customer_event_pb2 import CustomerEvent
from voz.v1.labels_pb2 import AUDIENCE_CUSTOMER, CHANNEL_SOCIAL, DIRECTION_INBOUND, EVENT_KIND_MESSAGE
from voz_contracts.cloudevents import headers
from voz_contracts.identity import customer_key, event_id, partition_key
from voz_contracts.topics import ENRICHED, EVENTS
from voz_devstack.ports import allocate_ports
from voz_devstack.testing import kafka_server

COUNT, ROUNDS = 4000, 3
ALONE = """
import json, os, sys, time
from voz_enrich.adapters.outbound.models import DEFAULT_MODEL, open_model
texts = json.load(sys.stdin)
model = open_model(DEFAULT_MODEL, threads=len(os.sched_getaffinity(0)))
model.analyse(texts[:64])
began = time.perf_counter()
model.analyse(texts)
print(len(texts) / (time.perf_counter() - began))
"""


def main() -> None:
    with TemporaryDirectory(prefix="voz-bench-") as name:
        folder, made = Path(name), texts(COUNT)
        with kafka_server(folder / "kafka") as kafka:
            memory: list[float] = []
            alone, worker = in_turns(
                ROUNDS, lambda: model_alone(made), lambda: enrich(folder, kafka.bootstrap, made, memory)
            )
    rows = [
        ("the model alone, messages/s", f"{median(alone):,.0f}"),
        ("enrich, voz.events to voz.enriched, messages/s", f"{median(worker):,.0f}"),
        ("enrich memory, MiB", f"{max(memory):.0f}"),
    ]
    figures = {
        "model_alone_per_second": round(median(alone)),
        "enrich_per_second": round(median(worker)),
        "rss_mib": round(max(memory)),
    }
    report("enrich", rows, {"enrich_vs_model_alone": ratio(worker, alone)}, figures)


def model_alone(made: list[str]) -> float:
    """Messages a second of the model in a process of its own, all texts at once."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE], input=json.dumps(made), capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def enrich(folder: Path, bootstrap: str, made: list[str], memory: list[float]) -> float:
    """Messages a second of a worker that finds a backlog, between a tenth and nine tenths of it."""
    number = len(memory)
    prefix, port = f"bench{number}-", allocate_ports(["enrich"])["enrich"]
    env = {"VOZ_KAFKA_BOOTSTRAP": bootstrap, "VOZ_TOPIC_PREFIX": prefix, "VOZ_ENRICH_PORT": str(port)}
    with process(str(BIN / "voz-topics"), "apply", log=folder / "topics.log", env=env) as topics:
        topics.wait(60)
    asyncio.run(fill(bootstrap, prefix + EVENTS.name, made))
    with process(str(BIN / "voz-enrich"), "worker", log=folder / f"enrich{number}.log", env=env) as worker:
        wait_for(f"http://127.0.0.1:{port}/livez")
        rate = asyncio.run(watch(bootstrap, prefix + ENRICHED.name, len(made)))
        memory.append(worker.memory_info().rss / 2**20)
    return rate


async def fill(bootstrap: str, topic: str, made: list[str]) -> None:
    say(f"{len(made)} events into {topic}")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5)
    await producer.start()
    now = datetime.now(UTC)
    sent = []
    for number, text in enumerate(made):
        key = customer_key("bench", "api", customer_id=f"c-{number % 500}")
        event = CustomerEvent(
            id=str(event_id("bench", "api", str(number))), tenant="bench", source="api", source_id=str(number),
            channel=CHANNEL_SOCIAL, kind=EVENT_KIND_MESSAGE, audience=AUDIENCE_CUSTOMER, direction=DIRECTION_INBOUND,
            text=text,
        )  # fmt: skip
        event.customer.key = key
        event.customer.id = f"c-{number % 500}"
        event.occurred_at.FromDatetime(now)
        event.received_at.FromDatetime(now)
        subject = partition_key("bench", key)
        marks = headers(
            event_id=event.id, source="/voz/ingest", event_type=EVENTS.value, subject=subject.decode(), time=now
        )
        sent.append(await producer.send(topic, event.SerializeToString(), key=subject, headers=marks))
    await asyncio.gather(*sent)
    await producer.stop()


async def watch(bootstrap: str, topic: str, count: int) -> float:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    partitions = [TopicPartition(topic, number) for number in range(ENRICHED.partitions)]
    first = last = (0.0, 0)
    while last[1] < count * 0.9:
        done = sum((await consumer.end_offsets(partitions)).values())
        last = (time.perf_counter(), done)
        if done < count * 0.1:
            first = last
        await asyncio.sleep(0.05)
    await consumer.stop()
    return (last[1] - first[1]) / (last[0] - first[0])


if __name__ == "__main__":
    main()
