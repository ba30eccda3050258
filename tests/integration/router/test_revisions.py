"""What was edited or taken back, in cases on real PostgreSQL and Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from aiokafka import TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.integration.router.conftest import Fixed, People, deletion, edit
from tests.integration.router.test_stream import Stream, consuming, types

from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts.identity import event_id
from voz_router.adapters.inbound.effects import RoutingEffects
from voz_router.adapters.inbound.records import decode
from voz_router.adapters.outbound.messages import publisher
from voz_router.adapters.outbound.postgres_cases import PostgresRoutingStore
from voz_router.adapters.outbound.postgres_upkeep import Retention, keep_up
from voz_router.adapters.outbound.tables import SCHEMA
from voz_router.metrics import RouterMetrics
from voz_router.use_cases import RouteEvents
from voz_streamkit.dead_letters import DeadLetterLimit, DeadLetters
from voz_streamkit.kafka import create_producer
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record
from voz_streamkit.sink import ExactlyOnceSink

pytest_plugins = ["tests.integration.router.test_stream"]
Make = Callable[..., EnrichedEvent]
Route = Callable[..., Awaitable[Any]]
OnlyCase = Callable[[], Awaitable[str]]
SECRET = "mi tarjeta es 4111"


async def everything(engine: AsyncEngine, *tables: str) -> str:
    """All rows of tables, to look for words in."""
    async with engine.connect() as connection:
        return str([(await connection.execute(text(f"select * from router.{table}"))).all() for table in tables])


async def test_an_edit_replaces_what_was_said(team: People, route: Route, make: Make, only_case: OnlyCase) -> None:
    await route(make(source_id="m", text=SECRET))
    await route(make(text="¿Hay alguien?", intents=["question"]))
    await route(edit("m", 1, text="No funciona la app"))
    found = (await team.worker.get(f"/v1/cases/{await only_case()}")).json()
    assert (found["text"], found["message_count"]) == ("No funciona la app", 2)
    assert [(each["text"], each["edited"], each["deleted"]) for each in found["messages"]] == [
        ("No funciona la app", True, False),
        ("¿Hay alguien?", False, False),
    ]
    assert found["messages"][0]["event_id"] == event_id("acme", "api", "m"), "it keeps its place"
    assert [each["type"] for each in found["history"]] == ["opened", "message_added", "message_edited"]


async def test_what_was_taken_back_leaves_the_case(
    team: People, route: Route, make: Make, only_case: OnlyCase, engine: AsyncEngine
) -> None:
    await route(make(source_id="m", text=SECRET))
    # Its source names nobody: the deletion comes under another customer, so perhaps in another partition.
    await route(deletion("m", "unknown"))
    case_id = await only_case()
    found = (await team.worker.get(f"/v1/cases/{case_id}")).json()
    assert (found["text"], found["status"], found["signals"]["intents"]) == ("", "open", ["complaint"])
    (message,) = found["messages"]
    assert (message["text"], message["deleted"], message["signals"]["intents"]) == ("", True, [])
    assert SECRET not in await everything(engine, "support_case", "case_message", "case_event", "decision")
    queue = (await team.worker.get("/v1/queues/care/cases")).json()["items"]
    assert [each["text"] for each in queue] == [""]
    decisions = (await team.reader.get("/v1/decisions", params={"customer": "unknown"})).json()["items"]
    assert [(each["effect"], each["reason"]) for each in decisions] == [("none", "Its author took a message back")]


async def test_a_resolved_case_is_reworded_and_stays_resolved(
    team: People, route: Route, make: Make, only_case: OnlyCase
) -> None:
    await route(make(source_id="m", text=SECRET))
    case_id = await only_case()
    answer = await team.worker.post(f"/v1/cases/{case_id}/resolve", json={"agent": "ana", "outcome": "resolved"})
    assert answer.status_code == 200, answer.text
    await route(deletion("m"))
    found = (await team.worker.get(f"/v1/cases/{case_id}")).json()
    assert (found["text"], found["status"], found["messages"][0]["text"]) == ("", "resolved", "")


async def test_a_case_opened_before_messages_were_kept_forgets_too(
    engine: AsyncEngine, route: Route, make: Make
) -> None:
    await route(make(source_id="m", text=SECRET))
    async with engine.begin() as connection:
        await connection.execute(text("update router.support_case set message_id = null"))
    await route(deletion("m"))
    assert SECRET not in await everything(engine, "case_message")


async def test_the_news_goes_out_with_the_case_as_it_reads_now(stream: Stream, make: Make) -> None:
    async with consuming(stream.settings):
        await stream.send(make(source_id="m", text=SECRET), edit("m", 1, text="No funciona"))
        await stream.until("select count(*) from router.decision", 2)
        await stream.send(deletion("m", "unknown"))
        await stream.until("select count(*) from router.decision", 3)
        # An old version and a repetition, from elsewhere.
        await stream.send(edit("m", 0, "c-7", text=SECRET, occurred_at=datetime(2026, 1, 1, tzinfo=UTC)), deletion("m"))
        await stream.until("select count(*) from router.decision", 4)
        events = await stream.case_events()
    assert types(events) == ["opened", "message_edited", "message_deleted"]
    assert [event.support_case.text for event in events] == [SECRET, "No funciona", ""]
    assert [event.sequence for event in events] == [1, 2, 3]


async def test_versions_routed_at_the_same_time_find_each_other(stream: Stream, make: Make) -> None:
    """The original in one partition and its deletion in another, committed at the same moment, again and again."""
    producer = create_producer(stream.settings)
    letters = DeadLetters(producer, "none", "router", DeadLetterLimit(), Metrics("router"))
    publish = publisher(stream.settings)
    routing = RouteEvents(Fixed(), lambda: datetime.now(UTC))
    metrics = RouterMetrics(Metrics("router-test").registry)
    effects = RoutingEffects(routing, lambda connection: PostgresRoutingStore(connection, publish), metrics)
    sink = ExactlyOnceSink(stream.engine, SCHEMA, "voz-router", decode, effects, letters)
    rounds, together = 30, asyncio.Barrier(3)

    async def consume(partition: int, message: Callable[[int], EnrichedEvent]) -> None:
        for number in range(rounds):
            record = Record("t", partition, number, b"", message(number).SerializeToString(), (), 0)
            await together.wait()
            await sink.apply({TopicPartition("t", partition): [record]}, {TopicPartition("t", partition): number})

    await asyncio.gather(
        consume(0, lambda number: make(f"c-{number}", source_id=f"m-{number}", text=SECRET)),
        consume(1, lambda number: deletion(f"m-{number}", "unknown")),
        consume(2, lambda number: edit(f"m-{number}", 1, "somebody", text=SECRET)),
    )
    await producer.stop()
    assert SECRET not in await everything(stream.engine, "support_case", "case_message")


async def test_states_are_forgotten_with_the_cases(engine: AsyncEngine, route: Route) -> None:
    await route(deletion("m"))
    retention = Retention(decisions_days=90, cases_days=400, applied_ids_days=37)
    await keep_up(engine, retention, datetime.now(UTC))
    assert await everything(engine, "message_state") != "[[]]"
    async with engine.begin() as connection:
        await connection.execute(text("update router.message_state set changed_at = now() - interval '401 days'"))
    await keep_up(engine, retention, datetime.now(UTC))
    assert await everything(engine, "message_state") == "[[]]"
