"""Enrich workers under observation: events in, workers started and killed, and the proof of what came out.

The proof reads the topics' own logs. Of every source offset it asks: is there exactly one answer (an output or a dead
letter), in order within the customer, and with the stage that a straight replay of the source gives?
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from voz.v1 import customer_event_pb2 as contract
from voz.v1 import labels_pb2 as labels
from voz.v1.enriched_event_pb2 import EnrichedEvent, Journey, TransitionCause
from voz_contracts import topics
from voz_contracts.cloudevents import SOURCE_OFFSET, SOURCE_PARTITION, header
from voz_contracts.identity import customer_key, event_id, partition_key
from voz_contracts.words import word
from voz_devstack.ports import allocate_ports
from voz_enrich.adapters.inbound.decoding import decode
from voz_enrich.adapters.outbound.kafka_journal import POSITION_KEY
from voz_enrich.domain import journey
from voz_enrich.domain.event_signals import signals_of, suggested_stage
from voz_enrich.domain.facts import EventFacts
from voz_enrich.domain.journey_state import JourneyState
from voz_enrich.domain.journey_state import decode as decode_state
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.kafka import record_of

from .lexicon_model import hashed

ROOT = Path(__file__).parents[2]
TENANT = "demo"
BEGAN = datetime(2026, 11, 20, tzinfo=UTC)
# Stage before, stage after, cause, its type, time in the stage before, since, heard, silence (times in milliseconds).
Move = tuple[str, str, str, str, int, int, int, int]
NOWHERE: Move = ("", "", "", "", 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation's topics on one cluster."""

    bootstrap: str
    prefix: str
    partitions: int = 8
    copies: int = 1

    def topic(self, spec: topics.TopicSpec) -> str:
        """Its name here."""
        return self.prefix + spec.name

    async def create_topics(self) -> None:
        """Make the topics that enrich needs."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.create_topics(
                [
                    NewTopic(self.topic(spec), self.partitions, self.copies, topic_configs=dict(spec.config))
                    for spec in (topics.EVENTS, topics.ENRICHED, topics.JOURNEY, topics.DEAD_LETTER)
                ]
            )
        finally:
            await admin.close()

    async def read(self, spec: topics.TopicSpec) -> list[ConsumerRecord[bytes, bytes]]:
        """Everything that a topic holds, partition by partition, in order."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
        )
        await consumer.start()
        try:
            at = [TopicPartition(self.topic(spec), number) for number in range(self.partitions)]
            consumer.assign(at)
            ends = await consumer.end_offsets(at)
            found: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = {each: [] for each in at}
            for each in at:
                while await consumer.position(each) < ends[each]:
                    for records in (await consumer.getmany(timeout_ms=20)).values():
                        found[TopicPartition(records[0].topic, records[0].partition)].extend(records)
            return [record for each in at for record in found[each] if record.offset < ends[each]]
        finally:
            await consumer.stop()

    async def answered(self) -> int:
        """How many records the enriched topic and the dead letters hold."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            names = (self.topic(topics.ENRICHED), self.topic(topics.DEAD_LETTER))
            at = [TopicPartition(name, number) for name in names for number in range(self.partitions)]
            return sum((await consumer.end_offsets(at)).values())
        finally:
            await consumer.stop()

    async def wait_answered(self, count: int, *, patience_seconds: float = 60) -> bool:
        """Wait until so many are answered. False when nothing more comes for `patience_seconds`."""
        seen, still_since = -1, asyncio.get_running_loop().time()
        while (now := await self.answered()) < count:
            if now != seen:
                seen, still_since = now, asyncio.get_running_loop().time()
            elif asyncio.get_running_loop().time() - still_since > patience_seconds:
                return False
            await asyncio.sleep(0.1)
        return True


def make_event(index: int, customers: int, seed: int) -> contract.CustomerEvent:
    """The event number `index` of a story: a mix of kinds, the same for the same seed."""
    draw = random.Random(f"{seed}/{index}")
    who = f"c-{draw.randrange(customers)}"
    event = contract.CustomerEvent(
        id=str(event_id(TENANT, "api", f"e-{seed}-{index}")),
        tenant=TENANT,
        source="api",
        source_id=f"e-{seed}-{index}",
        channel=labels.CHANNEL_SOCIAL,
        kind=labels.EVENT_KIND_MESSAGE,
        audience=labels.AUDIENCE_CUSTOMER,
        direction=labels.DIRECTION_INBOUND,
        customer=contract.Customer(key=customer_key(TENANT, "api", customer_id=who), id=who),
        # A little out of order now and then, as sources are.
        occurred_at=BEGAN + timedelta(seconds=index - draw.choice((0, 0, 0, 30))),
    )
    match draw.randrange(10):
        case 0:
            event.kind = labels.EVENT_KIND_TRANSACTION
            event.transaction.type = _any_of(draw, contract.TransactionType)
        case 1:
            event.kind = labels.EVENT_KIND_SUBSCRIPTION
            event.subscription.status = _any_of(draw, contract.SubscriptionStatus)
        case 2:
            event.kind = labels.EVENT_KIND_TICKET
            event.ticket.status = _any_of(draw, contract.TicketStatus)
            event.text = f"ticket {draw.random()}"
        case 3:
            event.direction = labels.DIRECTION_OUTBOUND
            event.text = f"answer {draw.random()}"
        case _:
            event.text = f"message {draw.random()}"
    return event


def _any_of(draw: random.Random, vocabulary: Any) -> Any:
    # Any: generated enums are integers with a type of their own for each vocabulary.
    return draw.choice(vocabulary.values()[1:])


@dataclass(slots=True)
class Feeder:
    """Sends events as ingest does; `bad_every`: every so-many-th record is garbage."""

    installation: Installation
    customers: int = 200
    seed: int = 1
    bad_every: int = 0
    sent: int = 0

    async def feed(self, count: int, rate: float | None = None) -> None:
        """Send `count` more events, acknowledged by all replicas on return, at most `rate` a second."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.installation.bootstrap, acks="all", enable_idempotence=True, linger_ms=5
        )
        await producer.start()
        topic, loop = self.installation.topic(topics.EVENTS), asyncio.get_running_loop()
        began, pending = loop.time(), []
        try:
            for done in range(count):
                if rate and done % 20 == 0:
                    await asyncio.sleep(max(0.0, began + done / rate - loop.time()))
                event = make_event(self.sent, self.customers, self.seed)
                bad = self.bad_every and self.sent % self.bad_every == self.bad_every - 1
                value = b"\xff\xff garbage" if bad else event.SerializeToString()
                key = partition_key(TENANT, event.customer.key)
                pending.append(await producer.send(topic, value, key=key))
                self.sent += 1
            await asyncio.gather(*pending)
        finally:
            await producer.stop()


class Worker:
    """One enrich worker process, with the stand-in model."""

    def __init__(self, installation: Installation, folder: Path, name: str, **environment: str) -> None:
        self.log = folder / f"{name}.log"
        self.port = allocate_ports([name])[name]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]),
            "PYTHONUNBUFFERED": "1",
            "VOZ_KAFKA_BOOTSTRAP": installation.bootstrap,
            "VOZ_TOPIC_PREFIX": installation.prefix,
            "VOZ_ENRICH_PORT": str(self.port),
            "VOZ_ENRICH_SESSION_SECONDS": "6",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns at once."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.enrich_worker"], env=self._environment, stdout=log, stderr=log
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process."""
        assert self._process is not None
        return self._process

    def signal(self, what: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(what)

    def kill(self) -> None:
        """SIGKILL; gone on return."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 30) -> int:
        """SIGTERM. Returns the exit code; SIGKILL (and -9) after `seconds`."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of one of its operations endpoints."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)
        return answer.status_code, answer.text

    def metric(self, name: str) -> float:
        """One of its metrics, by its name with labels as exposed."""
        return next(
            float(line.rpartition(" ")[2])
            for line in self.get("/metrics")[1].splitlines()
            if line.startswith(f"{name} ")
        )

    def said(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")


@dataclass(slots=True)
class Proof:
    """What a run comes to. Everything but `sent` should be 0."""

    sent: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    wrong_stage: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Keep the first few things that are wrong, for whoever reads the failure."""
        if len(self.examples) < 5:
            self.examples.append(what)

    @property
    def clean(self) -> bool:
        """Whether the promise was kept."""
        return not (self.lost or self.doubled or self.out_of_order or self.wrong_stage)


async def prove(installation: Installation) -> Proof:
    """Compare the answers and the states with a straight replay of the source."""
    source = await installation.read(topics.EVENTS)
    outputs = await installation.read(topics.ENRICHED)
    letters = await installation.read(topics.DEAD_LETTER)
    proof = Proof(sent=len(source))

    answers: Counter[tuple[int, int]] = Counter()
    moves: dict[tuple[int, int], Move] = {}
    order: dict[bytes, list[int]] = defaultdict(list)
    for output in outputs:
        at = int(header(output.headers, SOURCE_PARTITION)), int(header(output.headers, SOURCE_OFFSET))
        enriched = EnrichedEvent.FromString(output.value)
        assert (output.partition, enriched.answers.partition, enriched.answers.offset) == (at[0], *at)
        answers[at] += 1
        moves[at] = _published(enriched.journey)
        order[output.key].append(at[1])
    for letter in letters:
        _, partition, offset = header(letter.headers, "ce_id").rsplit("/", 2)
        answers[int(partition), int(offset)] += 1

    expected, states = replay(source)
    for record in source:
        at = record.partition, record.offset
        if answers[at] == 0:
            proof.lost += 1
            proof.note(f"lost {at}")
        elif answers[at] > 1:
            proof.doubled += answers[at] - 1
            proof.note(f"doubled {at}")
        if at in moves and moves[at] != expected[at]:
            proof.wrong_stage += 1
            proof.note(f"journey {at}: {moves[at]}, replay: {expected[at]}")
    proof.out_of_order = sum(a >= b for offsets in order.values() for a, b in pairwise(offsets))
    kept = newest(await installation.read(topics.JOURNEY))
    for key, state in states.items():
        if kept.get(key) != state:
            proof.wrong_stage += 1
            proof.note(f"state of {key!r}: {kept.get(key)}, replay: {state}")
    return proof


def replay(
    source: Iterable[ConsumerRecord[bytes, bytes]],
) -> tuple[dict[tuple[int, int], Move], dict[bytes, JourneyState]]:
    """What every good source offset was to the journey, and every customer's last state, by the domain alone."""
    moves: dict[tuple[int, int], Move] = {}
    states: dict[bytes, JourneyState] = {}
    for record in source:
        try:
            heard = decode(record_of(record))
        except InvalidRecordError:
            continue
        text = hashed(heard.text, heard.message.language_hint or None) if heard.text and heard.facts.inbound else None
        before = states.get(record.key)
        suggested = suggested_stage(signals_of(heard.facts, text))
        after = journey.advance(before, heard.facts, suggested, record.offset)
        if after is not None:
            states[record.key] = after
        moves[record.partition, record.offset] = _move(before, after, heard.facts) if after else NOWHERE
    return moves, states


def _move(before: JourneyState | None, after: JourneyState, facts: EventFacts) -> Move:
    step = journey.step(before, after, facts, journey.AT_RISK_DAYS * journey.DAY_MS)
    moved = step.transition
    return (
        step.previous or "",
        after.stage,
        moved.cause if moved else "",
        moved.event_type if moved else "",
        (moved.lasted_ms or 0) if moved else 0,
        after.since_ms,
        after.heard_ms,
        step.silence_ms or 0,
    )


def _published(said: Journey) -> Move:
    return (
        word(labels.Stage, said.previous_stage),
        word(labels.Stage, said.stage),
        word(TransitionCause, said.cause),
        said.cause_type,
        said.in_previous_stage.ToMilliseconds(),
        said.since.ToMilliseconds(),
        said.heard_at.ToMilliseconds(),
        said.silence.ToMilliseconds(),
    )


def newest(changelog: Iterable[ConsumerRecord[bytes, bytes]]) -> dict[bytes, JourneyState]:
    """Every customer's state as the changelog has it."""
    return {record.key: decode_state(record.value) for record in changelog if record.key != POSITION_KEY}
