"""One person, many handles: links on real Kafka and PostgreSQL, from ingest to the customers that metrics-api knows."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from tests.integration.ingest.conftest import Ingest, StartIngest
from tests.integration.ingest.reading import make_topic, read_events, read_records
from tests.unit.ingest.fakes import event

from voz.v1.customer_event_pb2 import CustomerEvent
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts.joins import join_of
from voz_devstack.testing import KafkaAddress, PostgresServer, postgres_server
from voz_enrich.adapters.inbound.decoding import decode as decode_for_enrich
from voz_enrich.domain.event_signals import NONE, signals_of
from voz_enrich.domain.journey import advance
from voz_ingest.adapters.outbound.identity_map import own_key
from voz_ingest.domain.identities import parse
from voz_metrics_api.adapters.inbound.decode import decoder
from voz_metrics_api.adapters.outbound.customers import PostgresCustomerStore
from voz_metrics_api.adapters.outbound.effects import PostgresEffects
from voz_metrics_api.adapters.outbound.reading import Reader
from voz_router.adapters.inbound.records import event_of
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.dead_letters import DeadLetterLimit, DeadLetters
from voz_streamkit.kafka import create_producer
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record
from voz_streamkit.settings import DatabaseSettings, ServiceSettings
from voz_streamkit.sink import ExactlyOnceSink

pytestmark = pytest.mark.integration
TOOT: dict[str, Any] = {"source": "mastodon", "customer": {"handle": "@ana"}}
MAIL: dict[str, Any] = {"source": "mailgun", "channel": "email", "customer": {"handle": "ana@example.com"}}
SHOP: dict[str, Any] = {"source": "shop", "customer": {"id": "c-42"}}
COMPANY, TOOTS, MAILS = (
    str(own_key("acme", parse(each))) for each in ("company:c-42", "mastodon:@ana", "mailgun:ana@example.com")
)


@pytest.fixture
async def ingest(
    start_ingest: StartIngest, kafka: KafkaAddress, database: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Ingest:
    """ingest with a database, and its topic."""
    monkeypatch.setenv("VOZ_POSTGRES_DSN", database)
    await make_topic(kafka.bootstrap, topic_prefix)
    started = await start_ingest(kafka.bootstrap)
    await started.wait_until_ready()
    return started


async def say(ingest: Ingest, text: str, **fields: Any) -> int:
    answer = await ingest.client.post("/v1/events", content=json.dumps(event(id=str(uuid4()), text=text, **fields)))
    return answer.status_code


async def profile(ingest: Ingest, who: dict[str, Any], **links: str) -> int:
    links = {f"id.{name}": value for name, value in links.items()}
    said = event(**who | {"id": str(uuid4()), "text": None, "profile": links})
    return (await ingest.client.post("/v1/events", content=json.dumps(said))).status_code


async def link(ingest: Ingest, *identities: str) -> Any:
    answer = await ingest.client.post("/v1/identities/links", json={"identities": identities})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def unlink(ingest: Ingest, *identities: str) -> None:
    answer = await ingest.client.request("DELETE", "/v1/identities/links", json={"identities": identities})
    assert answer.status_code == 200, answer.text


async def keys(bootstrap: str, prefix: str) -> dict[str, str]:
    """Text → customer key of every message."""
    return {each.text: each.customer.key for each in await read_events(bootstrap, prefix) if each.text}


async def until_published(bootstrap: str, prefix: str, number: int) -> list[CustomerEvent]:
    """What Voz itself has said, once so much of it is there."""
    async with asyncio.timeout(30):
        while True:
            found = [each for each in await read_events(bootstrap, prefix) if join_of(each)]
            if len(found) >= number:
                return found
            await asyncio.sleep(0.1)


async def test_events_before_and_after_a_merge_a_restart_and_a_parting(
    ingest: Ingest, start_ingest: StartIngest, kafka: KafkaAddress, topic_prefix: str
) -> None:
    for text, who in (("toot 1", TOOT), ("mail 1", MAIL), ("shop 1", SHOP)):
        assert await say(ingest, text, **who) == 202
    assert await profile(ingest, SHOP, email="ana@example.com") == 202
    assert await say(ingest, "mail 2", **MAIL) == 202
    linked = await link(ingest, "company:c-42", "mastodon:@ana")
    assert linked["key"] == COMPANY
    for text, who in (("toot 2", TOOT), ("shop 2", SHOP)):
        assert await say(ingest, text, **who) == 202
    assert await ingest.stop() == 0
    again = await start_ingest(kafka.bootstrap)
    await again.wait_until_ready()
    assert await say(again, "toot 3", **TOOT) == 202
    await unlink(again, "mastodon:@ana")
    assert await say(again, "toot 4", **TOOT) == 202
    assert await say(again, "mail 3", **MAIL) == 202
    assert await keys(kafka.bootstrap, topic_prefix) == {
        "toot 1": TOOTS,
        "mail 1": MAILS,
        "shop 1": COMPANY,
        "mail 2": COMPANY,
        "toot 2": COMPANY,
        "shop 2": COMPANY,
        "toot 3": COMPANY,
        "toot 4": TOOTS,
        "mail 3": COMPANY,
    }
    told = await until_published(kafka.bootstrap, topic_prefix, 4)
    said = {(join.other, join.joined, each.customer.key) for each in told if (join := join_of(each))}
    email = str(own_key("acme", parse("email:ana@example.com")))
    assert said == {
        (email, True, COMPANY),
        (MAILS, True, COMPANY),
        (TOOTS, True, COMPANY),
        (TOOTS, False, COMPANY),
    }
    who_said = linked["said"]
    assert [each["by"] for each in who_said] == ["key:acme", "key:acme", "key:acme"]


async def test_two_processes_agree_within_moments(
    ingest: Ingest, start_ingest: StartIngest, kafka: KafkaAddress, topic_prefix: str
) -> None:
    other = await start_ingest(kafka.bootstrap)
    await other.wait_until_ready()
    await link(ingest, "company:c-42", "mastodon:@ana")
    async with asyncio.timeout(10):
        for number in range(1000):
            await say(other, f"toot {number}", **TOOT)
            if (await keys(kafka.bootstrap, topic_prefix))[f"toot {number}"] == COMPANY:
                break
    assert len(await until_published(kafka.bootstrap, topic_prefix, 1)) == 1, "one relay works at a time"


async def test_the_command_line_links_lists_and_unlinks(ingest: Ingest, kafka: KafkaAddress, topic_prefix: str) -> None:
    def command(*arguments: str) -> tuple[int, list[Any]]:
        run = subprocess.run(
            [sys.executable, "-m", "voz_ingest.main", "identities", *arguments, "--tenant", "acme"],
            env={**os.environ, "VOZ_TOPIC_PREFIX": topic_prefix},
            capture_output=True,
            text=True,
            check=False,
        )
        return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]

    code, (person,) = await asyncio.to_thread(command, "link", "company:c-42", "mastodon:@ana", "--note", "CRM")
    assert (code, person["key"], person["identities"]) == (0, COMPANY, ["company:c-42", "mastodon:@ana"])
    assert person["said"][0]["by"].startswith("cli:")
    await until_published(kafka.bootstrap, topic_prefix, 1)
    async with asyncio.timeout(10):
        number = 0
        while await keys(kafka.bootstrap, topic_prefix) != {f"toot {n}": COMPANY for n in range(number)} or not number:
            await asyncio.sleep(1.5)
            await say(ingest, f"toot {number}", **TOOT)
            number += 1
    code, people = await asyncio.to_thread(command, "unlink", "mastodon:@ana")
    assert (code, people[0]["key"]) == (0, TOOTS)
    assert (await asyncio.to_thread(command, "list", "mastodon:@ana"))[1] == people
    assert (await asyncio.to_thread(command, "link", "company:c-42"))[0] == 2
    assert (await asyncio.to_thread(command, "link", "company:c-42", "ana"))[0] == 2


@pytest.fixture
async def own_postgres(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL to stop and start."""
    with postgres_server(tmp_path / "postgres") as server:
        yield server


async def test_an_outage_of_postgres(
    own_postgres: PostgresServer,
    start_ingest: StartIngest,
    kafka: KafkaAddress,
    topic_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VOZ_POSTGRES_DSN", own_postgres.dsn)
    await make_topic(kafka.bootstrap, topic_prefix)
    ingest = await start_ingest(kafka.bootstrap)
    await ingest.wait_until_ready()
    await link(ingest, "company:c-42", "mastodon:@ana")
    await asyncio.to_thread(own_postgres.stop)
    assert await say(ingest, "known", **TOOT) == 202
    assert await say(ingest, "learned later", **{**TOOT, "customer": {"handle": "@ana"}}) == 202
    assert await profile(ingest, SHOP, mastodon="@ana") == 202, "nothing new"
    assert await profile(ingest, SHOP, email="ana@example.com") == 503
    refused = await ingest.client.post("/v1/identities/links", json={"identities": ["x:1", "x:2"]})
    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    await asyncio.to_thread(own_postgres.start)
    async with asyncio.timeout(30):
        while await profile(ingest, SHOP, email="ana@example.com") != 202:
            await asyncio.sleep(0.1)
    assert await say(ingest, "mail", **MAIL) == 202
    assert await keys(kafka.bootstrap, topic_prefix) == {"known": COMPANY, "learned later": COMPANY, "mail": COMPANY}


async def test_without_a_database_there_are_no_links(
    start_ingest: StartIngest, kafka: KafkaAddress, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOZ_POSTGRES_DSN", raising=False)
    await make_topic(kafka.bootstrap, topic_prefix)
    ingest = await start_ingest(kafka.bootstrap)
    await ingest.wait_until_ready()
    assert await profile(ingest, SHOP, email="ana@example.com") == 202
    assert await say(ingest, "mail", **MAIL) == 202
    assert (await keys(kafka.bootstrap, topic_prefix)) == {"mail": MAILS}
    refused = await ingest.client.post("/v1/identities/links", json={"identities": ["x:1", "x:2"]})
    assert refused.status_code == 503
    assert "VOZ_POSTGRES_DSN" in refused.json()["detail"]


async def test_customers_are_joined_and_parted_where_they_are_read(
    ingest: Ingest, kafka: KafkaAddress, database: str, topic_prefix: str
) -> None:
    """What is on Kafka goes through the readers' own decoding; delivered twice, and parted after another half."""
    for text, who in (("toot 1", TOOT), ("mail 1", MAIL), ("shop 1", SHOP)):
        assert await say(ingest, text, **who) == 202
    await link(ingest, "company:c-42", "mastodon:@ana", "email:ana@example.com")
    assert await say(ingest, "toot 2", **TOOT) == 202
    assert await say(ingest, "mail 2", **MAIL) == 202
    await until_published(kafka.bootstrap, topic_prefix, 3)
    await asyncio.to_thread(migrate, database, "voz_metrics_api")
    engine = create_engine(DatabaseSettings(postgres_dsn=database))
    customers = PostgresCustomerStore(Reader(engine, 20))
    producer = create_producer(ServiceSettings(kafka_bootstrap=kafka.bootstrap))
    letters = DeadLetters(producer, "none", "metrics-api", DeadLetterLimit(), Metrics("metrics-api"))
    sink = ExactlyOnceSink(engine, "metrics", "m", decoder("enriched", "cases"), PostgresEffects(), letters)

    async def count(records: list[Record], first: int) -> None:
        batch = [Record("enriched", 0, first + i, b"k", as_enriched(record), (), 0) for i, record in enumerate(records)]
        partition = TopicPartition("enriched", 0)
        await sink.apply({partition: batch}, {partition: first})

    async def words(name: str) -> list[str]:
        found = await customers.find("acme", [name], "")
        assert found is not None
        return [each.text for each in await customers.timeline("acme", found.keys, None, 50)]

    records = await read_records(kafka.bootstrap, topic_prefix)
    await count([*records, *records], 0)
    for key in (COMPANY, TOOTS, MAILS):
        assert sorted(await words(key)) == ["mail 1", "mail 2", "shop 1", "toot 1", "toot 2"]
    await unlink(ingest, "mastodon:@ana")
    assert await say(ingest, "toot 3", **TOOT) == 202
    await until_published(kafka.bootstrap, topic_prefix, 4)
    new = [each for each in await read_records(kafka.bootstrap, topic_prefix) if each not in records]
    await count([*new, *records], 2 * len(records))
    assert sorted(await words(TOOTS)) == ["toot 1", "toot 3"]
    assert sorted(await words(COMPANY)) == ["mail 1", "mail 2", "shop 1", "toot 2"]
    await producer.stop()
    await engine.dispose()


def as_enriched(record: Record) -> bytes:
    """The answer that enrich would give, by its own reading; what Voz says means nothing to it, nor to router."""
    heard = decode_for_enrich(record)
    if join_of(heard.message):
        assert signals_of(heard.facts, None) == NONE
        assert advance(None, heard.facts, None, 1) is None
        assert not event_of(EnrichedEvent(event=heard.message)).answers
    return EnrichedEvent(event=heard.message).SerializeToString()
