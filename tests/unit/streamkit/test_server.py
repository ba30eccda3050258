"""HTTP over real sockets: hot and other routes on one connection, slow and greedy clients, the drain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import Request as FrameworkRequest
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect

from voz_devstack.ports import allocate_ports
from voz_streamkit.health import Health
from voz_streamkit.http.app import create_app
from voz_streamkit.http.hot import Answer, Exchange, HotMiddleware, HotRoutes, Request, Route
from voz_streamkit.http.problems import Problem
from voz_streamkit.http.protocol import Limits
from voz_streamkit.http.server import serve
from voz_streamkit.metrics import Metrics

BRISK = Limits(sweep_seconds=0.02)


@dataclass
class Subject:
    """A server with a hot route `/hot` and another, `/framework`, both of which answer with what they were sent."""

    port: int
    stop: asyncio.Event
    health: Health
    serving: asyncio.Task[None]
    together: list[int] = field(default_factory=list)
    """How many requests came together."""
    alone: list[bytes] = field(default_factory=list)
    gone: int = 0
    held: list[Exchange] = field(default_factory=list)
    """Requests with the body `hold`, which wait for their answers."""

    async def connect(self) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))


@dataclass
class Client:
    """One connection, by hand."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes | str) -> None:
        self.writer.write(data if isinstance(data, bytes) else data.encode())

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    async def closed(self) -> bool:
        """Wait until the server has closed the connection; whether it sent nothing before."""
        async with asyncio.timeout(20):
            try:
                return not await self.reader.read()
            except ConnectionResetError:
                return True


def post(path: str, body: bytes | str, *headers: str, version: str = "1.1") -> bytes:
    raw = body if isinstance(body, bytes) else body.encode()
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"POST {path} HTTP/{version}\r\nHost: voz\r\n{lines}Content-Length: {len(raw)}\r\n\r\n".encode() + raw


Start = Callable[..., Any]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a server; keyword arguments are those of `serve`."""
    subjects: list[Subject] = []

    async def make(**settings: Any) -> Subject:
        health, stop, metrics = Health(), asyncio.Event(), Metrics("test")
        port = allocate_ports(["http"])["http"]

        async def alone(request: Request) -> Answer:
            try:
                body = b"".join([chunk async for chunk in request.stream()])
            except ClientDisconnect:
                subject.gone += 1
                raise
            subject.alone.append(body)
            if body == b"bug":
                raise RuntimeError("a bug")
            return Answer(200, body)

        def together(exchanges: Sequence[Exchange]) -> None:
            subject.together.append(len(exchanges))
            for exchange in exchanges:
                match exchange.body:
                    case b"hold":
                        subject.held.append(exchange)
                    case b"alone" | b"bug":
                        exchange.alone()
                    case b"problem":
                        exchange.fail(Problem(418, "no coffee", headers={"Retry-After": "1"}))
                    case body:
                        exchange.answer(Answer(200, body or b""))

        app = create_app(title="t", version="1", description="d", health=health, metrics=metrics)
        hot = HotRoutes(metrics, Route("/hot", alone, together))
        app.user_middleware.append(Middleware(HotMiddleware, routes=hot))

        @app.post("/framework")
        async def framework(request: FrameworkRequest) -> str:
            return (await request.body()).decode()

        @app.get("/large")
        async def large() -> str:
            return "x" * 20_000_000

        options: dict[str, Any] = {"limits": BRISK} | settings
        serving = asyncio.create_task(
            serve(app, host="127.0.0.1", port=port, stop=stop, health=health, hot=hot, **options)
        )
        subject = Subject(port, stop, health, serving)
        subjects.append(subject)
        async with asyncio.timeout(20):
            while True:
                try:
                    client = await subject.connect()
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)
                else:
                    client.writer.close()
                    return subject

    yield make
    for subject in subjects:
        subject.stop.set()
        await subject.serving


@asynccontextmanager
async def connected(subject: Subject) -> AsyncIterator[Client]:
    client = await subject.connect()
    yield client
    client.writer.close()


async def test_hot_and_other_routes_share_a_connection_in_any_order(start: Start) -> None:
    subject: Subject = await start()
    async with connected(subject) as client:
        for path, body in [("/hot", "a"), ("/framework", "b"), ("/hot", "c"), ("/hot", "alone"), ("/framework", "d")]:
            client.send(post(path, body))
            status, headers, answered = await client.answer()
            assert (status, answered.decode().strip('"')) == (200, body)
            assert headers["date"]
        client.send("GET /metrics HTTP/1.1\r\nHost: voz\r\n\r\n")
        assert b'route="/hot",service="test",status="200"} 3.0' in (await client.answer())[2]


async def test_requests_sent_before_the_answer_are_answered_in_order(start: Start) -> None:
    subject: Subject = await start()
    async with connected(subject) as client:
        client.send(b"".join(post(path, str(n)) for n, path in enumerate(["/hot", "/framework", "/hot", "/hot"])))
        assert [(await client.answer())[2].decode().strip('"') for _ in range(4)] == ["0", "1", "2", "3"]


async def test_requests_of_one_turn_are_taken_together(start: Start) -> None:
    subject: Subject = await start()
    clients = [await subject.connect() for _ in range(100)]
    for _ in range(3):
        for client in clients:
            client.send(post("/hot", "x"))
        assert {(await client.answer())[0] for client in clients} == {200}
    assert max(subject.together) > 1
    assert max(subject.together) <= 64
    assert sum(subject.together) == 300
    for client in clients:
        client.writer.close()


@pytest.mark.parametrize("cut", [1, 30, 60, 75, 80])
async def test_a_request_may_come_in_pieces(start: Start, cut: int) -> None:
    subject: Subject = await start()
    async with connected(subject) as client:
        request = post("/hot", "hello world", "X-Thing: 1")
        client.send(request[:cut])
        await client.writer.drain()
        await asyncio.sleep(0.02)
        client.send(request[cut:])
        assert (await client.answer())[2] == b"hello world"


async def test_a_large_body_goes_to_the_endpoint_that_streams_it(start: Start) -> None:
    subject: Subject = await start()
    async with connected(subject) as client:
        body = b"x" * 500_000
        client.send(post("/hot", body))
        assert (await client.answer())[2] == body
        client.send(b"POST /hot HTTP/1.1\r\nHost: voz\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await asyncio.sleep(0.02)
        client.send(b"0\r\n\r\n")
        assert (await client.answer())[2] == b"hello"
    assert subject.together == []


async def test_a_client_that_asks_first_is_told_to_go_on(start: Start) -> None:
    subject: Subject = await start()
    async with connected(subject) as client:
        request = post("/hot", "hello", "Expect: 100-continue")
        client.send(request[:-5])
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(request[-5:])
        assert (await client.answer())[2] == b"hello"


@pytest.mark.parametrize(("version", "header"), [("1.1", "Connection: close"), ("1.0", "X: 1")])
async def test_a_connection_that_is_not_to_be_kept_is_closed(start: Start, version: str, header: str) -> None:
    subject: Subject = await start()
    async with connected(subject) as client:
        client.send(post("/hot", "a", header, version=version))
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.closed()


async def test_problems_and_bugs_are_answered(start: Start) -> None:
    subject: Subject = await start()
    async with connected(subject) as client:
        for body, expected in (("problem", 418), ("bug", 500), ("fine", 200)):
            client.send(post("/hot", body))
            status, headers, _ = await client.answer()
            assert status == expected
            assert ("retry-after" in headers) is (body == "problem")


async def test_what_is_no_http_is_a_problem(start: Start) -> None:
    subject: Subject = await start()
    async with connected(subject) as client:
        client.send("Guten Tag\r\n\r\n")
        status, headers, body = await client.answer()
        assert (status, headers["content-type"]) == (400, "application/problem+json")
        assert json.loads(body)["status"] == 400
        assert await client.closed()


async def test_headers_that_trickle_end(start: Start) -> None:
    subject: Subject = await start(limits=Limits(head_seconds=0.2, sweep_seconds=0.02))
    async with connected(subject) as client:
        client.send("POST /hot HTTP/1.1\r\nHost: voz\r\n")
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (408, "close")
        assert await client.closed()


@pytest.mark.parametrize("path", ["/hot", "/framework"])
@pytest.mark.parametrize("size", [100, 1_000_000])
async def test_a_body_that_trickles_ends(start: Start, path: str, size: int) -> None:
    limits = Limits(body_seconds=0.2, min_body_bytes_per_second=1000, sweep_seconds=0.02)
    subject: Subject = await start(limits=limits)
    async with connected(subject) as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: voz\r\nContent-Length: {size}\r\n\r\nx")
        assert (await client.answer())[0] == 408
        assert await client.closed()
    assert subject.gone == (path == "/hot" and size > 100), "who reads it is told"


async def test_a_body_that_comes_steadily_is_taken(start: Start) -> None:
    limits = Limits(body_seconds=0.1, min_body_bytes_per_second=10, sweep_seconds=0.02)
    subject: Subject = await start(limits=limits)
    async with connected(subject) as client:
        client.send("POST /hot HTTP/1.1\r\nHost: voz\r\nContent-Length: 40\r\n\r\n")
        for _ in range(10):
            client.send("1234")
            await asyncio.sleep(0.03)
        assert (await client.answer())[0] == 200


async def test_headers_without_end_are_too_large(start: Start) -> None:
    subject: Subject = await start()
    async with connected(subject) as client:
        client.send(b"POST /hot HTTP/1.1\r\nX: " + b"x" * 200_000)
        assert (await client.answer())[0] == 431


async def test_an_idle_connection_is_closed(start: Start) -> None:
    subject: Subject = await start(limits=Limits(idle_seconds=0.1, sweep_seconds=0.02))
    async with connected(subject) as silent, connected(subject) as client:
        client.send(post("/hot", "a"))
        assert (await client.answer())[0] == 200
        assert await client.closed()
        assert await silent.closed()


async def test_a_request_that_takes_long_is_not_idle(start: Start) -> None:
    subject: Subject = await start(limits=Limits(idle_seconds=0.1, sweep_seconds=0.02))
    async with connected(subject) as client:
        client.send(post("/hot", "hold"))
        await asyncio.sleep(0.3)
        subject.held[0].answer(Answer(200, b"at last"))
        assert (await client.answer())[2] == b"at last"


async def test_above_the_limit_the_idlest_connection_makes_room_and_busy_ones_do_not(start: Start) -> None:
    subject: Subject = await start(limits=Limits(max_connections=2, sweep_seconds=0.02))
    idle = await subject.connect()
    await asyncio.sleep(0.1)
    busy = [await subject.connect() for _ in range(2)]
    for client in busy:
        client.send(post("/hot", "hold"))
    assert await idle.closed()
    while len(subject.held) < 2:
        await asyncio.sleep(0.01)
    async with connected(subject) as another:
        status, headers, _ = await another.answer()
        assert (status, headers["retry-after"]) == (503, "1")
    for exchange in subject.held:
        exchange.answer(Answer(200))
    assert [(await client.answer())[0] for client in busy] == [200, 200]
    for client in (idle, *busy):
        client.writer.close()


async def test_a_client_that_does_not_read_its_answer_is_cut_off(start: Start) -> None:
    subject: Subject = await start(limits=Limits(unread_seconds=0.2, sweep_seconds=0.02))
    async with connected(subject) as client:
        client.send("GET /large HTTP/1.1\r\nHost: voz\r\n\r\n")
        await asyncio.sleep(1)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await client.reader.readexactly(20_000_000)


async def test_a_client_that_goes_away_changes_nothing_for_others(start: Start) -> None:
    subject: Subject = await start()
    gone, there = await subject.connect(), await subject.connect()
    for client in (gone, there):
        client.send(post("/hot", "hold"))
    while len(subject.held) < 2:
        await asyncio.sleep(0.01)
    gone.writer.transport.abort()
    await asyncio.sleep(0.05)
    for exchange in subject.held:
        exchange.answer(Answer(200, b"both"))
    assert (await there.answer())[2] == b"both"
    there.writer.close()


async def test_a_stop_says_not_ready_first_and_lets_open_requests_end(start: Start) -> None:
    subject: Subject = await start(drain_seconds=0.3)
    async with connected(subject) as open_one, connected(subject) as idle, connected(subject) as probe:
        open_one.send(post("/hot", "hold"))
        while not subject.held:
            await asyncio.sleep(0.01)
        subject.stop.set()
        await asyncio.sleep(0.05)
        probe.send("GET /readyz HTTP/1.1\r\nHost: voz\r\n\r\n")
        assert (await probe.answer())[0] == 503
        probe.send(post("/hot", "still taken"))
        assert (await probe.answer())[0] == 200
        assert await idle.closed()
        subject.held[0].answer(Answer(200, b"done"))
        status, headers, body = await open_one.answer()
        assert (status, headers["connection"], body) == (200, "close", b"done")
        await subject.serving
