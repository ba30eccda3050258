"""The whole pipeline against the plain stack, and how fresh its figures are at 70 % of its own throughput.

Throughput: events a second from the first POST until the last one is counted in a KPI (Voz) or stored as a row (plain).
Freshness: from the 202 until the event is visible in `volume` as anybody would ask for it, over HTTP.
The plain stack needs torch (`pip install -e 'services/enrich[hf]'`, or another interpreter with torch, transformers and
faust-streaming, named in VOZ_BENCH_PLAIN_PYTHON) and ../shared/models; without them it is left out, and that is said.
"""

from __future__ import annotations

import asyncio
import bisect
import importlib.util
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import httpx
import psutil
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from common import ROOT, events, in_turns, process, ratio, report, say, wait_for

from voz_devstack.clients import BusyError, MetricsClient, http_client
from voz_devstack.ports import allocate_ports
from voz_devstack.reaper import reap_at_end
from voz_devstack.stack import Stack
from voz_devstack.stackfile import StackInfo
from voz_devstack.state import StateFolder

COUNT, PLAIN_COUNT, ROUNDS, FRESHNESS_SECONDS = 3000, 400, 3, 40.0
BASE_MODEL = ROOT.parent / "shared" / "models" / "e5-small-pruned"
PLAIN = ROOT / "bench" / "plain"


def main() -> None:
    with TemporaryDirectory(prefix="voz-bench-") as name:
        folder = Path(name)
        stack = Stack(StateFolder(folder / "voz"), dict(os.environ), say)
        info = stack.up()
        reap_at_end(stack.supervisor.pid)
        try:
            measure(folder, stack, info)
        finally:
            stack.down()


def measure(folder: Path, stack: Stack, info: StackInfo) -> None:
    plain_python = find_plain_python()
    runs = iter(range(1000))
    measures = [lambda: asyncio.run(throughput(info, f"run{next(runs)}"))]
    if plain_python:
        plain = PlainStack(folder, info, plain_python)
        measures.append(plain.throughput)
    else:
        say("the plain stack is left out: it needs torch and ../shared/models (see the head of this file)")
    say("warming up")
    asyncio.run(throughput(info, "warm", count=300))
    rates = in_turns(ROUNDS, *measures)
    target = 0.7 * median(rates[0])
    say(f"freshness at {target:.0f} events/s for {FRESHNESS_SECONDS:g} s")
    delays = asyncio.run(freshness(info, target))
    memory = memory_of(stack)
    p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
    rows = [("Voz, accepted to counted, events/s", f"{median(rates[0]):,.0f}")]
    ratios = {}
    if plain_python:
        rows.append(("plain stack, accepted to stored, events/s", f"{median(rates[1]):,.1f}"))
        ratios["pipeline_vs_plain"] = ratio(rates[0], rates[1])
    rows.append((f"freshness at {target:.0f} events/s, p50 / p99, s", f"{p50:.2f} / {p99:.2f}"))
    rows += [(f"memory of {name}, MiB", f"{size:.0f}") for name, size in memory.items()]
    figures: dict[str, float] = {
        "events_per_second": round(median(rates[0])),
        "freshness_p50_seconds": round(p50, 3),
        "freshness_p99_seconds": round(p99, 3),
        "freshness_events_per_second": round(target),
        **{f"rss_mib_{name}": round(size) for name, size in memory.items()},
    }
    if plain_python:
        figures["plain_events_per_second"] = round(median(rates[1]), 1)
    report("pipeline", rows, ratios, figures)


async def throughput(info: StackInfo, run: str, count: int = COUNT) -> float:
    """Events a second of a burst, from its first POST until all of it is counted."""
    made = [
        event.replace(b'"channel"', f'"source": "{run}", "channel"'.encode(), 1) for event in events(count, run=run)
    ]
    began, start = time.perf_counter(), datetime.now(UTC) - timedelta(minutes=2)
    async with http_client(str(info.api_key)) as http:
        metrics = MetricsClient(http, info.metrics_api_url)
        for first in range(0, count, 500):
            await post(http, info, made[first : first + 500])
        while await volume(metrics, run, start) < count:
            await asyncio.sleep(0.05)
    return count / (time.perf_counter() - began)


async def freshness(info: StackInfo, rate: float) -> list[float]:
    """Seconds from each event's 202 until the k-th accepted event makes the volume k, sorted."""
    run, accepted, seen = "fresh", list[float](), list[tuple[float, int]]()
    count, start = int(rate * FRESHNESS_SECONDS), datetime.now(UTC) - timedelta(minutes=2)
    made = [
        event.replace(b'"channel"', f'"source": "{run}", "channel"'.encode(), 1) for event in events(count, run=run)
    ]
    async with http_client(str(info.api_key)) as http:
        metrics = MetricsClient(http, info.metrics_api_url)

        async def look() -> None:
            while not seen or seen[-1][1] < count:
                seen_now = await volume(metrics, run, start)
                seen.append((time.perf_counter(), seen_now))
                await asyncio.sleep(0.05)

        looking = asyncio.create_task(look())
        began, step = time.perf_counter(), max(1, round(rate / 20))
        for first in range(0, count, step):
            await asyncio.sleep(max(0.0, began + first / rate - time.perf_counter()))
            some = made[first : first + step]
            await post(http, info, some)
            accepted += [time.perf_counter()] * len(some)
        await looking
    volumes = [volume for _, volume in seen]
    return sorted(seen[bisect.bisect_left(volumes, k + 1)][0] - at for k, at in enumerate(accepted))


async def volume(metrics: MetricsClient, run: str, start: datetime) -> int:
    """Events of the run that are counted; a refusal for the moment is said, and asked again."""
    while True:
        try:
            return await metrics.volume(run, start, datetime.now(UTC) + timedelta(minutes=2))
        except BusyError as busy:
            say(str(busy))
            await asyncio.sleep(0.2)


async def post(http: httpx.AsyncClient, info: StackInfo, some: list[bytes]) -> None:
    answer = await http.post(
        f"{info.ingest_url}/v1/events", content=b"\n".join(some), headers={"Content-Type": "application/x-ndjson"}
    )
    answer.raise_for_status()
    if answer.json()["accepted"] != len(some):
        raise RuntimeError(answer.text)


def memory_of(stack: Stack) -> dict[str, float]:
    """Resident memory of each process and its children, MiB, largest first."""
    found = {}
    for status in stack.supervisor.status():
        if status.pid:
            family = psutil.Process(status.pid)
            found[status.name] = sum(p.memory_info().rss for p in [family, *family.children(recursive=True)]) / 2**20
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def find_plain_python() -> str | None:
    """An interpreter that can run the plain stack."""
    if not BASE_MODEL.is_dir():
        return None
    here = sys.executable if importlib.util.find_spec("torch") else None
    return os.environ.get("VOZ_BENCH_PLAIN_PYTHON", here)


class PlainStack:
    """The plain stack, on the same broker and database, started for each measure and stopped after it."""

    def __init__(self, folder: Path, info: StackInfo, python: str) -> None:
        self.folder, self.info, self.python = folder, info, python
        self.model, self.runs = folder / "plain-model", 0
        say("a model for the plain stack")
        subprocess.run(
            [python, str(PLAIN / "model.py"), str(BASE_MODEL), str(self.model)], check=True, capture_output=True
        )
        asyncio.run(self.make_topics())

    async def make_topics(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.info.kafka_bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(name, 8, 1) for name in ("plain.events", "plain.enriched")])
        await admin.close()

    def throughput(self) -> float:
        """Events a second from the first POST until the last row."""
        port = allocate_ports(["plain"])["plain"]
        env = {
            "VOZ_KAFKA_BOOTSTRAP": self.info.kafka_bootstrap, "VOZ_POSTGRES_DSN": self.info.postgres_dsn,
            "MODEL": str(self.model), "FAUST_DATADIR": str(self.folder / "faust"),
        }  # fmt: skip
        uvicorn = ["-m", "uvicorn", "ingest:create_app", "--factory", "--app-dir", str(PLAIN), "--port", str(port)]
        worker = ["-m", "faust", "--workdir", str(PLAIN), "-A", "enrich", "worker", "-l", "warn", "--without-web"]
        log, self.runs = self.folder / "plain.log", self.runs + 1
        with (
            process(sys.executable, *uvicorn, "--log-level", "warning", log=log, env=env),
            process(sys.executable, str(PLAIN / "sink.py"), log=log, env=env),
            process(self.python, *worker, log=log, env=env),
        ):
            wait_for(f"http://127.0.0.1:{port}/openapi.json")
            return asyncio.run(self.burst(f"http://127.0.0.1:{port}/v1/events"))

    async def burst(self, url: str) -> float:
        database: Any = await asyncpg.connect(self.info.postgres_dsn)
        count = "select count(*) from plain_enriched where id like $1"
        try:
            async with httpx.AsyncClient(timeout=60) as http:

                async def send(run: str, number: int) -> float:
                    made = events(number, run=run)
                    began = time.perf_counter()
                    for event in made:
                        (
                            await http.post(url, content=event, headers={"Content-Type": "application/json"})
                        ).raise_for_status()
                    while not await database.fetchval("select to_regclass('plain_enriched')") or (
                        await database.fetchval(count, f"{run}-%") < number
                    ):
                        await asyncio.sleep(0.1)
                    return number / (time.perf_counter() - began)

                await send(f"warm{self.runs}", 5)  # until the model is loaded and the consumers have joined
                return await send(f"plain{self.runs}", PLAIN_COUNT)
        finally:
            await database.close()


if __name__ == "__main__":
    main()
