"""Kills every process of the whole pipeline, Kafka and PostgreSQL included, with events flowing; then counts.

    python -m tests.chaos.pipeline_chaos --rounds 3

The last line is one JSON object; the exit code is 1 when anything in it is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from aiokafka import AIOKafkaConsumer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from voz.v1.case_pb2 import CASE_EVENT_TYPE_OPENED, CaseEvent
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts.topics import CASES, ENRICHED
from voz_devstack.clients import BusyError, IngestClient, MetricsClient, http_client
from voz_devstack.reaper import reap_at_end
from voz_devstack.stack import Stack
from voz_devstack.stackfile import StackInfo
from voz_devstack.state import StateFolder

VICTIMS = ("enrich", "router-consume", "metrics-consume", "ingest", "router-serve", "kafka", "postgres")
TEXTS = (
    "Third time the app logs me out while I am paying",
    "Gracias Marta, lo habéis arreglado en dos minutos",
    "Quais são os horários da loja de sábado?",
    "Ich kündige, das war die letzte falsche Rechnung",
    "Bonjour, mon colis n'est toujours pas arrivé",
    "Ottimo prodotto, lo consiglio a tutti",
)
CUSTOMERS, BATCH, LANES = 60, 10, 6


@dataclass(frozen=True)
class Outcome:
    """What the run came to. `lost`: accepted and not counted; `doubled`: counted, answered or opened twice."""

    kills: int
    sent: int
    lost: int
    doubled: int
    cases: int
    stuck: int

    @property
    def clean(self) -> bool:
        """Whether every promise was kept, by a run that did something."""
        return self.kills > 0 and self.cases > 0 and not (self.lost or self.doubled or self.stuck)


@dataclass
class Feeder:
    """Sends small batches at a steady rate until told to stop; each is sent until it is accepted, with the same ids."""

    ingest: IngestClient
    run: str
    rate: float
    made: int = 0
    sent: int = 0

    async def feed(self, stop: asyncio.Event) -> None:
        """Some batches on the way at once, so that one that waits for a dead process doesn't hold up the others."""
        async with asyncio.TaskGroup() as lanes:
            for _ in range(LANES):
                lanes.create_task(self._lane(stop))

    async def _lane(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            first, self.made = self.made, self.made + BATCH
            accepted = await self.ingest.send([self._event(number) for number in range(first, first + BATCH)])
            if len(accepted.ids) != BATCH:
                raise AssertionError(f"refused: {accepted.rejected}")
            self.sent += BATCH
            await asyncio.sleep(BATCH * LANES / self.rate)

    def _event(self, number: int) -> dict[str, object]:
        customer = f"{self.run}-{number % CUSTOMERS}"
        words = TEXTS[number % len(TEXTS)]
        event_id = f"{self.run}-{number}"
        return {"id": event_id, "source": self.run, "channel": "chat", "customer": {"id": customer}, "text": words}


async def torment(stack: Stack, info: StackInfo, *, rounds: int, rate: float, seed: int) -> Outcome:
    """Kill each process `rounds` times, in random order, at random moments; compare what went in with what came out."""
    chance, run = random.Random(seed), f"chaos{uuid.uuid4().hex[:8]}"
    began, stop = datetime.now(UTC), asyncio.Event()
    async with http_client(str(info.api_key)) as http:
        metrics = MetricsClient(http, info.metrics_api_url)
        feeder = Feeder(IngestClient(http, info.ingest_url), run, rate)
        feeding = asyncio.create_task(feeder.feed(stop))
        await asyncio.sleep(3)
        victims = list(VICTIMS) * rounds
        chance.shuffle(victims)
        for name in victims:
            await kill(stack, name)
            await asyncio.sleep(chance.uniform(0.5, 4))
        stop.set()
        await feeding
        # Whole minutes, as KPIs are kept; a run's source is its own, so a wider window counts nothing else.
        start, end = began - timedelta(minutes=2), datetime.now(UTC) + timedelta(minutes=2)
        counted = await settled(metrics, run, start, end, feeder.sent)
        stuck = await ill(http, info)
    answered, again, opened = await published(info, run)
    doubled = max(0, counted - feeder.sent) + again + await doubled_cases(info, run)
    lost = max(0, feeder.sent - counted, feeder.sent - len(answered))
    return Outcome(len(victims), feeder.sent, lost, doubled, len(opened), len(stuck))


async def kill(stack: Stack, name: str) -> None:
    """SIGKILL, and wait until the supervisor has started it again."""
    before = pid_of(stack, name)
    os.kill(before, signal.SIGKILL)
    async with asyncio.timeout(60):
        while pid_of(stack, name) in (0, before):
            await asyncio.sleep(0.1)


def pid_of(stack: Stack, name: str) -> int:
    """The process's id now; 0 while it is down."""
    return next((status.pid or 0 for status in stack.supervisor.status() if status.name == name), 0)


async def settled(metrics: MetricsClient, run: str, start: datetime, end: datetime, wanted: int) -> int:
    """The volume once it has reached `wanted` and stood still for some looks, or after two minutes what it is."""
    deadline, still, last = asyncio.get_running_loop().time() + 120, 0, -1
    while asyncio.get_running_loop().time() < deadline and still < 6:
        try:
            volume = await metrics.volume(run, start, end)
        except BusyError:
            volume = -1
        still = still + 1 if volume == last and volume >= wanted else 0
        last = volume
        await asyncio.sleep(0.5)
    return last


async def ill(http: httpx.AsyncClient, info: StackInfo) -> Sequence[str]:
    """Processes that don't say within a minute that they are alive and ready."""
    found = []
    for process in info.processes:
        if process.metrics_url is None:
            continue
        for question in ("livez", "readyz"):
            url = process.metrics_url.replace("/metrics", f"/{question}")
            for _ in range(60):
                try:
                    if (await http.get(url)).is_success:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(1)
            else:
                found.append(url)
    return found


async def published(info: StackInfo, run: str) -> tuple[set[str], int, set[str]]:
    """The run's events that are answered, how many source records are answered again, and the cases opened.

    An event that its sender repeated stands in the source twice, and is answered twice: counting once is what router
    and metrics-api promise. A source record has one answer.
    """
    names = [info.topic_prefix + topic.name for topic in (ENRICHED, CASES)]
    consumer = AIOKafkaConsumer(*names, bootstrap_servers=info.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    answered, opened = set[str](), set[str]()
    records_answered: Counter[tuple[int, int]] = Counter()
    ends = await consumer.end_offsets(consumer.assignment())
    await consumer.seek_to_beginning()
    while any([await consumer.position(partition) < end for partition, end in ends.items()]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                if record.topic == names[0]:
                    answer = EnrichedEvent.FromString(record.value)
                    records_answered[answer.answers.partition, answer.answers.offset] += 1
                    answered.update([answer.event.id] if answer.event.source == run else [])
                else:
                    happened = CaseEvent.FromString(record.value)
                    if happened.type == CASE_EVENT_TYPE_OPENED and happened.support_case.source == run:
                        opened.add(happened.support_case.id)
    await consumer.stop()
    return answered, sum(times - 1 for times in records_answered.values()), opened


async def doubled_cases(info: StackInfo, run: str) -> int:
    """Open cases of one customer beyond the first, and events decided or taken into a case more than once."""
    engine = create_async_engine(info.postgres_dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    doubled = "select coalesce(sum(n - 1), 0) from (select count(*) n from router.{} having count(*) > 1) doubled"
    questions = (
        f"support_case where status <> 'resolved' and source = '{run}' group by tenant, customer_key, scope",
        "decision group by tenant, event_id",
        "case_message group by tenant, event_id",
    )
    async with engine.connect() as connection:
        found = [int(await connection.scalar(text(doubled.format(question))) or 0) for question in questions]
    await engine.dispose()
    return sum(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each process is killed (default 3)")
    parser.add_argument("--rate", type=float, default=60.0, help="events a second (default 60)")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with TemporaryDirectory(prefix="voz-chaos-") as folder:
        stack = Stack(StateFolder(Path(folder)), dict(os.environ), lambda words: print(words, file=sys.stderr))
        info = stack.up()
        reap_at_end(stack.supervisor.pid)
        try:
            outcome = asyncio.run(torment(stack, info, rounds=chosen.rounds, rate=chosen.rate, seed=chosen.seed))
        finally:
            stack.down()
    print(json.dumps(asdict(outcome)))
    return 0 if outcome.clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
