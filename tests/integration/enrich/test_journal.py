"""The journal on real Kafka: what is written comes back, whoever wrote between, and a crash repeats nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import CollectorRegistry

from voz_contracts import topics
from voz_contracts.cloudevents import SOURCE_OFFSET
from voz_enrich.adapters.outbound.kafka_journal import POSITION_KEY, JournalTopics, KafkaJournal
from voz_enrich.adapters.outbound.kafka_log import KafkaPartitions, partition_counts
from voz_enrich.domain.journey_state import JourneyState, Standing, encode
from voz_enrich.domain.labels import Stage
from voz_enrich.ports import Output, Page
from voz_streamkit.dead_letters import DeadLetterLimit, DeadLetters
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record

from ...chaos.enrich_harness import Installation

pytestmark = pytest.mark.integration


class DiedError(Exception):
    """The process ended here."""


def die() -> None:
    raise DiedError


def live_on() -> None:
    pass


@asynccontextmanager
async def journal_of(installation: Installation) -> AsyncIterator[KafkaJournal]:
    """A journal as a worker has it."""
    async with AsyncExitStack() as stack:
        producer = AIOKafkaProducer(
            bootstrap_servers=installation.bootstrap, acks="all", enable_idempotence=True, max_batch_size=100_000
        )
        reader, lookups = (KafkaPartitions(installation.bootstrap, name) for name in ("reader", "lookups"))
        for client in (producer, reader, lookups):
            await client.start()
            stack.push_async_callback(client.stop)
        names = JournalTopics(
            installation.topic(topics.EVENTS),
            installation.topic(topics.ENRICHED),
            installation.topic(topics.JOURNEY),
            installation.topic(topics.DEAD_LETTER),
            installation.partitions,
        )
        metrics = Metrics("enrich", CollectorRegistry())
        letters = DeadLetters(producer, names.dead_letter, "enrich", DeadLetterLimit(), metrics)
        yield KafkaJournal(producer, reader, lookups, letters, names)


def state(stage: Stage, covers: int) -> bytes:
    at = 1_800_000_000_000
    return encode(JourneyState(stage, Standing.CUSTOMER, since_ms=at, heard_ms=at, covers=covers, explicit_ms=at))


def output(offset: int, size: int = 10) -> Output:
    return Output(b"x" * size, [(SOURCE_OFFSET, b"%d" % offset)])


def page(first: int, count: int, stage: Stage = Stage.USE, *, refused: tuple[int, ...] = (), size: int = 10) -> Page:
    """Answers to offsets `first` … of partition 2, all of customer `c`."""
    offsets = range(first, first + count)
    return Page(
        partition=2,
        outputs=[(b"c", output(each, size)) for each in offsets if each not in refused],
        refused=[
            (Record("anything", 2, each, b"c", b"?", (), 0), InvalidRecordError("invalid", "why")) for each in refused
        ],
        states={b"c": state(stage, first + count - 1)},
        position=first + count,
    )


async def test_what_is_written_comes_back(installation: Installation) -> None:
    async with journal_of(installation) as journal:
        fresh = await journal.restore(2)
        assert (fresh.position, fresh.sent, fresh.states) == (0, -1, {})
        await journal.write([page(0, 5)], live_on)
        await journal.write([page(5, 3, Stage.RENEW)], live_on)
    async with journal_of(installation) as journal:
        restored = await journal.restore(2)
        assert (restored.position, restored.sent, restored.states) == (8, 7, {b"c": state(Stage.RENEW, 7)})
        assert dict(journal.customers()) == restored.states
        assert (await journal.restore(1)).position == 0


async def test_answers_without_a_position_are_known_after_a_crash(installation: Installation) -> None:
    async with journal_of(installation) as journal:
        await journal.restore(2)
        await journal.write([page(0, 3)], live_on)
        with pytest.raises(DiedError):
            await journal.write([page(3, 4)], die)  # between the answers and the states
    async with journal_of(installation) as journal:
        restored = await journal.restore(2)
        assert (restored.position, restored.sent, restored.states) == (3, 6, {b"c": state(Stage.USE, 2)})


async def test_what_was_put_aside_before_a_crash_is_known(installation: Installation) -> None:
    async with journal_of(installation) as journal:
        await journal.restore(2)
        await journal.write([Page(2, [], [_refused(installation, 0)], {}, 1)], live_on)
        with pytest.raises(DiedError):
            await journal.write([Page(2, [], [_refused(installation, 1), _refused(installation, 3)], {}, 4)], die)
    async with journal_of(installation) as journal:
        assert (await journal.restore(2)).position == 1
        assert await journal.refused_already(2) == {1, 3}
        assert await _refused_of(journal, 1) == frozenset()


async def test_a_partition_that_comes_back_is_read_from_where_it_was_left(installation: Installation) -> None:
    async with journal_of(installation) as journal, journal_of(installation) as other:
        restored = await journal.restore(2)
        first = page(0, 2)
        await journal.write([first], live_on)
        restored.states.update(first.states)
        # Another worker has the partition meanwhile.
        await other.restore(2)
        await other.write([page(2, 3, Stage.LEAVE)], live_on)
        again = await journal.restore(2)
        assert again.states is restored.states, "what is known already is not read again"
        assert (again.position, again.sent, again.states) == (5, 4, {b"c": state(Stage.LEAVE, 4)})
        journal.keep({0})
        assert not journal.customers()
        assert (await journal.restore(2)).states == {b"c": state(Stage.LEAVE, 4)}


async def test_a_late_record_of_a_frozen_worker_changes_nothing(installation: Installation) -> None:
    async with journal_of(installation) as frozen, journal_of(installation) as journal:
        await frozen.restore(2)
        restored = await journal.restore(2)
        await journal.write([page(0, 9, Stage.LEAVE)], live_on)
        restored.states.update(page(0, 9, Stage.LEAVE).states)
        await frozen.write([page(0, 4, Stage.DISCOVER)], live_on)
        await journal.write([page(9, 1, Stage.RENEW)], live_on)
        restored.states.update(page(9, 1, Stage.RENEW).states)
        assert (await journal.restore(2)).position == 10
    async with journal_of(installation) as journal:
        restored = await journal.restore(2)
        assert (restored.position, restored.sent, restored.states) == (10, 9, {b"c": state(Stage.RENEW, 9)})


async def test_a_page_larger_than_a_record_batch_is_written_in_order(installation: Installation) -> None:
    async with journal_of(installation) as journal:
        await journal.restore(2)
        await journal.write([page(0, 50, size=9_000)], live_on)
        assert (await journal.restore(2)).sent == 49
    written = [record for record in await installation.read(topics.ENRICHED) if record.partition == 2]
    assert [dict(record.headers)[SOURCE_OFFSET] for record in written] == [b"%d" % offset for offset in range(50)]


async def test_the_position_follows_the_states_that_it_covers(installation: Installation) -> None:
    async with journal_of(installation) as journal:
        await journal.restore(0)
        await journal.restore(2)
        await journal.write(
            [page(0, 1), Page(0, [], [], {b"a": state(Stage.USE, 0), b"b": state(Stage.USE, 1)}, 2)], live_on
        )
    keys = [(record.partition, record.key) for record in await installation.read(topics.JOURNEY)]
    assert keys == [(0, b"a"), (0, b"b"), (0, POSITION_KEY), (2, b"c"), (2, POSITION_KEY)]


async def test_topics_that_do_not_exist_have_no_partitions(installation: Installation) -> None:
    known = installation.topic(topics.EVENTS)
    assert await partition_counts(installation.bootstrap, [known]) == {known: 4}
    missing = await partition_counts(installation.bootstrap, [known, "no-such-topic"], patience_seconds=0.3)
    assert missing == {known: 4, "no-such-topic": 0}


def _refused(installation: Installation, offset: int) -> tuple[Record, InvalidRecordError]:
    record = Record(installation.topic(topics.EVENTS), 2, offset, b"c", b"?", (), 0)
    return record, InvalidRecordError("invalid", "why")


async def _refused_of(journal: KafkaJournal, partition: int) -> frozenset[int]:
    await journal.restore(partition)
    return await journal.refused_already(partition)
