"""One connector with a source made for the test: what it delivers, when it moves, how it fails."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from tests.unit.ingest.fakes import MemoryEventLog, MemoryEvidence, MemoryRawPayloads
from tests.unit.ingest.memory_stores import MemoryConnectorStore

from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.inbound.connections import NoConnections
from voz_ingest.adapters.inbound.connectors.declared import Declared
from voz_ingest.adapters.inbound.connectors.delivery import Delivery
from voz_ingest.adapters.inbound.connectors.runner import Parts, Runner
from voz_ingest.adapters.inbound.sources import (
    Advance,
    Mailbox,
    Payload,
    PayloadError,
    Pull,
    PullState,
    Source,
    decode,
    decode_object,
)
from voz_ingest.adapters.outbound.transports import Transports
from voz_ingest.adapters.outbound.web import Fetched, StatusError
from voz_ingest.domain.budget import ByteBudget
from voz_ingest.domain.connection import Connection
from voz_ingest.domain.draft import Draft
from voz_ingest.metrics import ConnectMetrics, IngestMetrics
from voz_streamkit.errors import TransientError
from voz_streamkit.metrics import Metrics

pytestmark = pytest.mark.unit
KEY = ("acme", "test")


def page(*ids: str, following: str | None = None, **more: Any) -> Any:
    """A page: its events, and where the next one begins."""
    return {"events": [event(name) for name in ids], "next": following} | more


def event(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "source": "api", "channel": "chat", "customer": {"id": "c"}, "text": f"text {name}"} | more


def parse(payload: Payload) -> list[Draft]:
    return [Draft(each) for each in decode_object(payload).get("events", [])]


def pull(state: PullState) -> Pull:
    return Pull(f"https://source.example/{state.position.get('next', '')}")


def advance(state: PullState, payload: Payload) -> Advance:
    following = decode_object(payload)["next"] if b"next" in payload.body else None
    if following is None:
        return Advance({**state.position, "seen": True}, wait_seconds=decode_object(payload).get("wait", 3600))
    return Advance({"next": following}, again=True)


TEST_SOURCE = replace(
    sources.load("trustpilot"), name="api", parse=parse, pull=pull, advance=advance, begins=None, refused=None
)
STREAM = replace(
    TEST_SOURCE,
    pull=None,
    streams=lambda state: [Pull("wss://source.example", transport="websocket")],
    advance=lambda state, payload: Advance({"cursor": decode_object(payload)["at"]}),
)


class Answers:
    """Transports that answer from a list; asked further, the last answer comes again, as a page without news would."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.streamed: asyncio.Queue[Any] = asyncio.Queue()
        self.open = 0

    async def ask(self, pull: Pull | Mailbox, connection: Connection, hosts: Collection[str]) -> Sequence[Payload]:
        self.asked.append(pull.url if isinstance(pull, Pull) else pull.host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = await answer()
        body, headers = answer if isinstance(answer, tuple) else (answer, {})
        return [Payload(body if isinstance(body, bytes) else json.dumps(body).encode(), headers)]

    @asynccontextmanager
    async def listen(
        self, pull: Pull, connection: Connection, hosts: Collection[str]
    ) -> AsyncIterator[AsyncIterator[Payload]]:
        async def payloads() -> AsyncIterator[Payload]:
            while True:
                said = await self.streamed.get()
                if isinstance(said, Exception):
                    raise said
                yield Payload(said if isinstance(said, bytes) else json.dumps(said).encode())

        self.open += 1
        try:
            yield payloads()
        finally:
            self.open -= 1


class Bench:
    """A runner with everything in memory."""

    def __init__(self, source: Source, *answers: Any, **options: Any) -> None:
        self.connection = Connection("test", "acme", "api", ("s",), options=options)
        self.declared = Declared(self.connection, source)
        self.store, self.log, self.evidence = MemoryConnectorStore(), MemoryEventLog(), MemoryEvidence()
        self.raw, self.transports = MemoryRawPayloads(), Answers(*answers)
        shared = Metrics("ingest")
        self.metrics = ConnectMetrics(shared)
        delivery = Delivery(
            self.log,
            self.evidence,
            self.raw,
            NoConnections(),
            IngestMetrics(shared, ByteBudget(1 << 20)),
            self.metrics,
            max_text_bytes=1000,
        )
        transports = cast(Transports, self.transports)
        self.parts = Parts(self.store, transports, delivery, self.metrics, lambda: 0.0, max_backoff_seconds=1.0)
        self.runner: Runner | None = None

    async def start(self) -> asyncio.Task[None]:
        await self.store.declare({KEY: "api"})
        (lease,) = await self.store.claim([KEY], "here", limit=1, seconds=60)
        self.runner = Runner(self.declared, lease, self.parts)
        self.runner.held_until = time.monotonic() + 60
        return asyncio.create_task(self.runner.run())

    async def run_until(self, done: Callable[[], object]) -> None:
        """Run until something holds, and then to the end."""
        running = await self.start()
        assert self.runner is not None
        await until(done, running)
        self.runner.stop.set()
        await running

    @property
    def ids(self) -> list[str]:
        return [each.event.source_id for each in self.log.events]

    @property
    def row(self) -> Any:
        return self.store.rows[KEY]


async def until(done: Callable[[], object], running: asyncio.Task[None]) -> None:
    async with asyncio.timeout(10):
        while not done():
            assert not running.done() or running.exception() is None, running.exception()
            await asyncio.sleep(0)


async def test_pages_are_delivered_one_after_another() -> None:
    bench = Bench(TEST_SOURCE, page("a", "b", following="2"), page("c", following="3"), page())
    await bench.run_until(lambda: bench.row.position.get("seen"))
    assert bench.ids == ["a", "b", "c"]
    assert bench.transports.asked == [f"https://source.example/{each}" for each in ("", "2", "3")]
    assert bench.row.position == {"next": "3", "seen": True}
    assert bench.row.owner is None, "the lease is given back"
    assert bench.row.failures == 0


async def test_what_a_page_shows_again_is_not_sent_again() -> None:
    bench = Bench(TEST_SOURCE, page("a", following="2"), page("a", "b", "b", following="3"), page("b", "a"))
    await bench.run_until(lambda: bench.row.position.get("seen"))
    assert bench.ids == ["a", "b"]
    bench.transports.answers = [page("a", "c")]
    bench.row.due_at = datetime.now(UTC)
    await bench.run_until(lambda: len(bench.transports.asked) > 3 and bench.row.owner)
    assert bench.ids == ["a", "b", "c"], "nor by the next one who runs it"


async def test_a_page_that_repeats_itself_ends_the_round() -> None:
    bench = Bench(TEST_SOURCE, page("a", following="2"), page("b", following="2"), poll_seconds=3600)
    await bench.run_until(lambda: len(bench.transports.asked) == 2 and bench.row.due_at > datetime.now(UTC))
    assert bench.ids == ["a", "b"]
    assert len(bench.transports.asked) == 2


async def test_nothing_moves_before_the_log_has_acknowledged() -> None:
    bench = Bench(TEST_SOURCE, page("a", following="2"), page("b", following="3"), page())
    bench.log.after_parts = 1
    running = await bench.start()
    await until(lambda: len(bench.transports.asked) == 2, running)
    for _ in range(100):
        await asyncio.sleep(0)
    assert bench.row.position == {"next": "2"}
    bench.log.after_parts = None
    await until(lambda: bench.row.position.get("seen"), running)
    assert bench.ids == ["a", "b"]
    assert len(bench.transports.asked) == 3, "the page is not asked for again"
    assert bench.runner is not None
    bench.runner.stop.set()
    await running


async def test_a_stop_while_the_log_is_away_leaves_the_position() -> None:
    bench = Bench(TEST_SOURCE, page("a", following="2"))
    bench.log.away = True
    await bench.run_until(lambda: bench.transports.asked)
    assert bench.row.position == {}
    assert bench.row.owner is None


async def test_a_lease_that_is_lost_ends_it_with_nothing_written() -> None:
    bench: Bench

    async def taken_away() -> Any:
        await bench.store.rewind(KEY, {"next": "9"})
        return page("a", following="2")

    bench = Bench(TEST_SOURCE, taken_away)
    await (await bench.start())
    assert bench.row.position == {"next": "9"}
    bench = Bench(TEST_SOURCE, page("a"))
    running = await bench.start()
    assert bench.runner is not None
    bench.runner.held_until = 0.0
    await running
    assert bench.ids == [], "after its time it appends nothing either"


@pytest.mark.parametrize(
    ("failure", "says", "reason"),
    [
        (TransientError("no answer in time"), "no answer in time", "network"),
        (StatusError(Fetched(500, {}, b"<html>")), "500", "server"),
        (StatusError(Fetched(401, {}, b"no")), "401", "refused"),
        (StatusError(Fetched(429, {"retry-after": "0"}, b"")), "429", "rate"),
        (b'{"events": [{"id"', "unreadable", "unreadable"),
        (KeyError("a fault of ours"), "fault", "error"),
    ],
)
async def test_failures_are_kept_and_tried_again(failure: Any, says: str, reason: str) -> None:
    bench = Bench(TEST_SOURCE, failure, page("a"))
    states: list[Any] = []

    def done() -> bool:
        if bench.row.failures:
            states.append((bench.row.failures, bench.row.last_error))
        return bool(bench.row.position.get("seen"))

    await bench.run_until(done)
    assert states
    assert states[0][0] == 1
    assert says in states[0][1]
    assert bench.ids == ["a"]
    assert bench.row.last_error is None, "a success ends it"
    counted = bench.metrics.failures.labels("test", "api", reason)
    assert counted._value.get() == 1


async def test_what_the_source_says_about_rates_is_kept_for_whoever_runs_it_next() -> None:
    for answer in (
        StatusError(Fetched(429, {"retry-after": "120"}, b"")),
        StatusError(Fetched(503, {"x-ratelimit-reset": str(time.time() + 120)}, b"")),
        (page(following="2"), {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "120"}),
    ):
        bench = Bench(TEST_SOURCE, answer)
        await bench.run_until(lambda b=bench: b.row.due_at > datetime.now(UTC) + timedelta(seconds=100))  # type: ignore[misc]
        assert len(bench.transports.asked) == 1


async def test_the_source_knows_what_a_refusal_means() -> None:
    source = replace(TEST_SOURCE, refused=lambda state, status, payload: Advance({"next": "fresh"}, again=True))
    bench = Bench(source, StatusError(Fetched(400, {}, b"token expired")), page("a"))
    await bench.run_until(lambda: bench.row.position.get("seen"))
    assert bench.transports.asked[1] == "https://source.example/fresh"


async def test_a_page_that_stays_unreadable_is_put_aside_once_and_asked_for_again() -> None:
    bench = Bench(TEST_SOURCE, b"<html>")
    await bench.run_until(lambda: bench.row.failures >= 7)
    assert [(body, reason) for _, body, reason, _ in bench.evidence.put_aside] == [(b"<html>", "unreadable")]
    assert bench.row.position == {}


async def test_an_event_that_is_refused_is_put_aside_and_the_others_are_taken() -> None:
    wrong = page("a", "b") | {"events": [event("a"), event("b", channel="nowhere"), event("c")]}
    bench = Bench(TEST_SOURCE, wrong | {"next": "2"}, wrong)
    await bench.run_until(lambda: bench.row.position.get("seen"))
    assert bench.ids == ["a", "c"]
    ((_, body, reason, detail),) = bench.evidence.put_aside
    assert (json.loads(body)["next"], reason) == ("2", "rejected")
    assert "/channel" in detail


async def test_what_happened_before_it_began_is_passed_over() -> None:
    source = replace(TEST_SOURCE, begins=lambda state: datetime(2026, 11, 1, tzinfo=UTC))
    old, new = event("old", occurred_at="2020-01-01T00:00:00Z"), event("new", occurred_at="2026-11-02T00:00:00Z")
    bench = Bench(source, {"events": [old, new, event("undated")]})
    await bench.run_until(lambda: bench.row.position.get("seen"))
    assert bench.ids == ["new", "undated"]


async def test_positions_that_can_not_be_kept_are_not_taken() -> None:
    bench = Bench(TEST_SOURCE, page("a", following="\x00"), page("b"))
    await bench.run_until(lambda: bench.row.position.get("seen"))
    assert bench.ids == ["a", "b"]


async def test_payloads_are_kept_where_the_connection_asks_for_it() -> None:
    bench = Bench(TEST_SOURCE, {"events": [event("a"), event("b", channel="nowhere"), event("c")]}, keep_raw=True)
    await bench.run_until(lambda: bench.row.position.get("seen"))
    ((_, body, kept),) = bench.raw.kept
    assert b"nowhere" in body
    assert kept == [each.id for each in bench.log.events]


async def test_a_token_is_asked_for_once_and_again_after_a_401() -> None:
    tokens = iter(["t1", "t2"])

    async def token() -> Any:
        return {"access_token": next(tokens), "expires_in": 3600}

    source = replace(
        TEST_SOURCE,
        authorise=lambda state: Pull("https://source.example/token"),
        pull=lambda state: Pull(f"https://source.example/{state.token}"),
    )
    refused = StatusError(Fetched(401, {}, b""))
    bench = Bench(source, token, page("a", following="2"), refused, token, page())
    await bench.run_until(lambda: bench.row.position.get("seen"))
    paths = [url.rpartition("/")[2] for url in bench.transports.asked]
    assert paths == ["token", "t1", "t1", "token", "t2"]


def message(at: int, *events: Any) -> dict[str, Any]:
    return {"at": at, "events": list(events)}


async def test_a_stream_is_delivered_and_its_position_kept() -> None:
    bench = Bench(STREAM)
    for at in range(5):
        bench.transports.streamed.put_nowait(message(at, event(f"m{at}")))
    await bench.run_until(lambda: bench.row.position == {"cursor": 4})
    assert bench.ids == ["m0", "m1", "m2", "m3", "m4"]
    assert bench.transports.open == 0


async def test_a_stream_that_ends_is_opened_again_where_it_was() -> None:
    bench = Bench(STREAM)
    for said in (message(1, event("a")), TransientError("closed"), message(2, event("b"))):
        bench.transports.streamed.put_nowait(said)
    await bench.run_until(lambda: bench.row.position == {"cursor": 2})
    assert bench.ids == ["a", "b"]


async def test_an_unreadable_message_of_a_stream_is_put_aside() -> None:
    bench = Bench(STREAM)
    for said in (message(1, event("a")), b"{half", message(2, event("b"))):
        bench.transports.streamed.put_nowait(said)
    await bench.run_until(lambda: bench.row.position == {"cursor": 2})
    assert bench.ids == ["a", "b"]
    assert [body for _, body, _, _ in bench.evidence.put_aside] == [b"{half"]


async def test_of_deletions_only_those_of_what_it_brought_concern_anybody() -> None:
    def deleted(name: str) -> dict[str, Any]:
        behaviour = {"behaviour": {"type": "message_deleted"}, "attributes": {"deletion_of": name}}
        return {key: value for key, value in event(f"{name}:deleted").items() if key != "text"} | behaviour

    bench = Bench(STREAM)
    for said in (message(1, event("a"), event("b")), message(2, deleted("a"), deleted("x")), message(3, deleted("b"))):
        bench.transports.streamed.put_nowait(said)
    await bench.run_until(lambda: bench.row.position == {"cursor": 3})
    assert bench.ids == ["a", "b", "a:deleted", "b:deleted"]


async def test_what_is_not_wanted_moves_the_position_only() -> None:
    source = replace(STREAM, wanted=lambda payload: b"acme" in payload.body)
    bench = Bench(source)
    for said in (message(1, event("a")), message(2, event("acme")), message(3, event("b"))):
        bench.transports.streamed.put_nowait(said)
    await bench.run_until(lambda: bench.row.position == {"cursor": 3})
    assert bench.ids == ["acme"]


async def test_pages_tell_what_a_stream_left_out() -> None:
    """The position is moved by pages only, which are asked for once the stream is open, and now and then."""

    def moved(state: PullState, payload: Payload) -> Advance:
        document = cast(dict[str, Any], decode(payload.body))
        return advance(state, payload) if "next" in document else Advance(state.position)

    source = replace(TEST_SOURCE, streams=STREAM.streams, advance=moved)
    bench = Bench(source, page("a", following="2"), page("b", "live"))
    bench.transports.streamed.put_nowait({"events": [event("live")]})
    await bench.run_until(lambda: len(bench.ids) == 3 and bench.row.position.get("seen"))
    assert sorted(bench.ids) == ["a", "b", "live"]
    assert bench.row.position == {"next": "2", "seen": True}


async def test_errors_of_one_stream_are_told_after_what_it_brought() -> None:
    bench = Bench(replace(STREAM, parse=lambda payload: _raise() if b"bad" in payload.body else parse(payload)))
    for said in (message(1, event("a")), message(2, event("bad")), message(3, event("c"))):
        bench.transports.streamed.put_nowait(said)
    await bench.run_until(lambda: bench.row.position == {"cursor": 3})
    assert bench.ids == ["a", "c"]


def _raise() -> list[Draft]:
    raise PayloadError("/x", "no")
