"""How much of what the machine can do ingest leaves to its users.

Single events: requests a second, against a FastAPI server that only parses, and against the plain stack's ingest.
Batches: events a second by NDJSON, against an aiokafka producer that sends the same records.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from common import BIN, ROOT, events, in_turns, process, ratio, report, say, wait_for
from load import Load, closed_loop

from voz_devstack.ports import allocate_ports
from voz_devstack.testing import kafka_server
from voz_streamkit.http.auth import SCOPES, hash_key, new_key

ROUNDS, SECONDS, CONNECTIONS = 5, 4.0, 64
BATCH, RAW_RECORDS = 500, 40_000


def main() -> None:
    with TemporaryDirectory(prefix="voz-bench-") as name:
        folder = Path(name)
        with kafka_server(folder / "kafka") as kafka:
            measure(folder, kafka.bootstrap)


def measure(folder: Path, bootstrap: str) -> None:
    asyncio.run(make_topics(bootstrap))
    key, ports = new_key(), allocate_ports(["voz", "plain"])
    keys = folder / "keys.yaml"
    keys.write_text(
        f"keys:\n  - {{id: bench, tenant: bench, sha256: {hash_key(key)}, scopes: [{', '.join(SCOPES)}]}}\n"
    )
    common = {"VOZ_KAFKA_BOOTSTRAP": bootstrap}
    voz = common | {
        "VOZ_INGEST_PORT": str(ports["voz"]),
        "VOZ_KEYS_FILE": str(keys),
        "VOZ_INGEST_RATE_EVENTS_PER_SECOND": "1000000",
    }
    uvicorn = ["-m", "uvicorn", "ingest:create_app", "--factory", "--app-dir", str(ROOT / "bench" / "plain")]
    uvicorn += ["--port", str(ports["plain"]), "--log-level", "warning", "--no-access-log"]
    with (
        process(str(BIN / "voz-ingest"), "serve", log=folder / "voz.log", env=voz) as server,
        process(sys.executable, *uvicorn, log=folder / "plain.log", env=common),
    ):
        voz_url, plain_url = f"http://127.0.0.1:{ports['voz']}", f"http://127.0.0.1:{ports['plain']}"
        wait_for(f"{voz_url}/readyz")
        wait_for(f"{plain_url}/openapi.json")
        bodies = events(3000, run="single")
        batches = [b"\n".join(events(BATCH, run=f"batch-{number}")) for number in range(40)]
        records = asyncio.run(recorded(bootstrap, voz_url, key, bodies))

        def single(url: str) -> Load:
            return checked(
                closed_loop(
                    url, bodies, content_type="application/json", key=key, connections=CONNECTIONS, seconds=SECONDS
                )
            )

        def many() -> float:
            done = closed_loop(
                f"{voz_url}/v1/events",
                batches,
                content_type="application/x-ndjson",
                key=key,
                connections=4,
                seconds=SECONDS,
            )
            return checked(done).rate * BATCH

        say(f"{ROUNDS} rounds of five measures, {SECONDS:g} s each")
        voz_loads: list[Load] = []

        def voz_single() -> float:
            voz_loads.append(single(f"{voz_url}/v1/events"))
            return voz_loads[-1].rate

        voz_rate, parse_only, plain, voz_batch, raw = in_turns(
            ROUNDS,
            voz_single,
            lambda: single(f"{plain_url}/v1/null").rate,
            lambda: single(f"{plain_url}/v1/events").rate,
            many,
            lambda: asyncio.run(raw_rate(bootstrap, records)),
        )
        rss = server.memory_info().rss / 2**20
    rows = [
        ("Voz, single events, requests/s", f"{median(voz_rate):,.0f}"),
        ("parse only, requests/s", f"{median(parse_only):,.0f}"),
        ("plain stack (parse, send, wait), requests/s", f"{median(plain):,.0f}"),
        ("Voz p50 / p99, ms", f"{median(x.p50_ms for x in voz_loads):.1f} / {median(x.p99_ms for x in voz_loads):.1f}"),
        (f"Voz, NDJSON of {BATCH}, events/s", f"{median(voz_batch):,.0f}"),
        ("aiokafka producer, the same records, records/s", f"{median(raw):,.0f}"),
        ("Voz ingest memory, MiB", f"{rss:.0f}"),
    ]
    ratios = {
        "single_vs_parse_only": ratio(voz_rate, parse_only),
        "single_vs_plain": ratio(voz_rate, plain),
        "batch_vs_raw_producer": ratio(voz_batch, raw),
    }
    figures = {
        "single_per_second": round(median(voz_rate)),
        "single_p99_ms": round(median(x.p99_ms for x in voz_loads), 1),
        "batch_events_per_second": round(median(voz_batch)),
        "rss_mib": round(rss),
    }
    report("ingest", rows, ratios, figures)


def checked(load: Load) -> Load:
    """A load without a failed request; a fast refusal is no throughput."""
    if load.failed:
        raise RuntimeError(f"{load.failed} requests failed")
    return load


async def make_topics(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics(
        [NewTopic(name, 8, 1) for name in ("voz.events", "voz.dead-letter", "plain.events", "raw.events")]
    )
    await admin.close()


async def recorded(
    bootstrap: str, url: str, key: str, bodies: list[bytes]
) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """The records that Voz makes of these events: key, value, headers."""
    import httpx

    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    ) as client:
        (await client.post(f"{url}/v1/events", content=b"\n".join(bodies))).raise_for_status()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    partitions = [TopicPartition("voz.events", number) for number in range(8)]
    consumer.assign(partitions)
    await consumer.seek_to_beginning()
    found: list[tuple[bytes, bytes, list[tuple[str, bytes]]]] = []
    while len(found) < len(bodies):
        for batch in (await consumer.getmany(timeout_ms=500)).values():
            found += [(record.key, record.value, list(record.headers)) for record in batch]
    await consumer.stop()
    return found


async def raw_rate(bootstrap: str, records: list[tuple[bytes, bytes, list[tuple[str, bytes]]]]) -> float:
    """Records a second of an idempotent aiokafka producer with nothing else to do."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=131072
    )
    await producer.start()
    began = time.perf_counter()
    for start in range(0, RAW_RECORDS, 4000):
        some = [records[number % len(records)] for number in range(start, start + 4000)]
        await asyncio.gather(
            *[await producer.send("raw.events", value, key=key, headers=headers) for key, value, headers in some]
        )
    elapsed = time.perf_counter() - began
    await producer.stop()
    return RAW_RECORDS / elapsed


if __name__ == "__main__":
    main()
