"""Servers that speak the protocols of sources, over real sockets, and misbehave when they are told to."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from websockets.asyncio.server import ServerConnection, serve

from voz_devstack.ports import allocate_ports

Misbehaviour = Callable[[Request, Response], Awaitable[Response]]
PAGE = 2


async def too_many(request: Request, good: Response) -> Response:
    return Response("slow down", 429, headers={"Retry-After": "1"})


async def broken(request: Request, good: Response) -> Response:
    return Response("<html>oops</html>", 500)


async def truncated(request: Request, good: Response) -> Response:
    return Response(bytes(good.body)[:-5], media_type="application/json")


async def cut_off(request: Request, good: Response) -> Response:
    """Fewer bytes than it says."""

    async def half() -> AsyncIterator[bytes]:
        yield bytes(good.body)[:10]

    return StreamingResponse(half(), headers={"content-length": str(len(good.body))}, media_type="application/json")


async def hanging(request: Request, good: Response) -> Response:
    """Never answers; goes away with whoever asked."""
    while not await request.is_disconnected():
        await asyncio.sleep(0.02)
    return Response("", 499)


async def wrong_type(request: Request, good: Response) -> Response:
    return Response("<html>please log in</html>", media_type="text/html")


@dataclass
class Places:
    """What the servers hold, what they were asked, and how they are to misbehave next, by path."""

    port: int = 0
    jetstream_port: int = 0
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    misbehave: dict[str, list[Misbehaviour]] = field(default_factory=lambda: defaultdict(list))
    notifications: list[dict[str, Any]] = field(default_factory=list)
    threads: list[dict[str, Any]] = field(default_factory=list)
    play: list[dict[str, Any]] = field(default_factory=list)
    store: list[dict[str, Any]] = field(default_factory=list)
    feed: list[dict[str, Any]] = field(default_factory=list)
    pilot: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    jetstream: list[dict[str, Any]] = field(default_factory=list)
    cursors: list[int | None] = field(default_factory=list)
    open: Counter[str] = field(default_factory=Counter)
    most_open: Counter[str] = field(default_factory=Counter)
    listeners: list[asyncio.Queue[bytes | None]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(each == path for each, _, _ in self.asked)

    def mention(self, number: int, *, streamed: bool = True) -> str:
        """Somebody mentions the company on Mastodon. Returns the event's source id."""
        status = {
            "id": str(1000 + number),
            "created_at": now(),
            "content": f"<p>@acme mention {number}</p>",
            "account": {"id": str(number % 7), "acct": f"person{number % 7}@social.example"},
        }
        notification = {"id": str(number), "type": "mention", "created_at": now(), "status": status}
        self.notifications.append(notification)
        if streamed:
            self.say("notification", json.dumps(notification))
        return str(status["id"])

    def say(self, event: str, data: str) -> None:
        """Something is said on the stream."""
        for listener in self.listeners:
            listener.put_nowait(f"event: {event}\ndata: {data}\n\n".encode())

    def hang_up(self) -> None:
        """All streams end."""
        for listener in self.listeners:
            listener.put_nowait(None)

    def post(self, text: str, did: str = "did:plc:ana", at: datetime | None = None) -> str:
        """Somebody posts on Bluesky. Returns the event's source id."""
        key = f"k{len(self.jetstream)}"
        moment = at or datetime.now(UTC)
        record = {"$type": "app.bsky.feed.post", "text": text, "createdAt": moment.isoformat()}
        commit = {"operation": "create", "collection": "app.bsky.feed.post", "rkey": key, "record": record}
        message = {"did": did, "time_us": int(moment.timestamp() * 1e6), "kind": "commit", "commit": commit}
        self.jetstream.append(message)
        self.news.set()
        return f"at://{did}/app.bsky.feed.post/{key}"

    def entered(self, place: str) -> None:
        self.open[place] += 1
        self.most_open[place] = max(self.most_open[place], self.open[place])


def now(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


@asynccontextmanager
async def places() -> AsyncIterator[Places]:
    """All the servers, for one test."""
    ports = allocate_ports(("http", "jetstream"))
    made = Places(ports["http"], ports["jetstream"])
    config = uvicorn.Config(_app(made), port=made.port, log_config=None, ws="none", lifespan="off")
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    async with serve(lambda connection: _jetstream(made, connection), "127.0.0.1", made.jetstream_port):
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield made
        finally:
            made.hang_up()
            server.should_exit = server.force_exit = True
            await serving


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """They belong to the test run."""


def _app(made: Places) -> Starlette:
    async def answer(request: Request) -> Response:
        path = request.url.path
        made.asked.append((path, dict(request.query_params), dict(request.headers)))
        good = await _ANSWERS(made, request)
        if made.misbehave[path]:
            return await made.misbehave[path].pop(0)(request, good)
        return good

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


async def _ANSWERS(made: Places, request: Request) -> Response:  # noqa: N802 - one table of answers
    path, query = request.url.path, request.query_params
    token = request.headers.get("authorization", "")
    if path == "/api/v1/notifications":
        return JSONResponse(_after(made.notifications, query.get("min_id")))
    if path == "/api/v1/streaming/user/notification":
        return StreamingResponse(_stream(made), media_type="text/event-stream")
    if path == "/youtube/v3/commentThreads":
        items, following = _page(made.threads, query.get("pageToken"))
        return JSONResponse({"items": items} | ({"nextPageToken": following} if following else {}))
    if path == "/token":
        form = parse_qs((await request.body()).decode())
        assert form["assertion"][0].count(".") == 2
        return JSONResponse({"access_token": "play-token", "expires_in": 3600, "token_type": "Bearer"})
    if path == "/androidpublisher/v3/applications/com.acme/reviews":
        if token != "Bearer play-token":
            return JSONResponse({"error": {"code": 401}}, 401)
        items, following = _page(made.play, query.get("token"))
        return JSONResponse({"reviews": items, "tokenPagination": {"nextPageToken": following}} if items else {})
    if path == "/v1/apps/123/customerReviews":
        items, following = _page(made.store, query.get("cursor"))
        links = {"next": f"{made.url}{path}?cursor={following}"} if following else {}
        return JSONResponse({"data": items, "links": links} if token.count(".") == 2 else {}, 200 if token else 401)
    if found := re.fullmatch(r"/es/rss/customerreviews/page=(\d+)/id=123/sortby=mostrecent/json", path):
        start = (int(found[1]) - 1) * PAGE
        return JSONResponse({"feed": {"entry": made.feed[start : start + PAGE]}})
    if path == "/v1/business-units/unit/reviews":
        start = (int(query["page"]) - 1) * int(query["perPage"])
        return JSONResponse({"reviews": made.pilot[start : start + int(query["perPage"])]})
    if found := re.fullmatch(r"/v3/surveys/(\d+)/responses/(\d+)/details", path):
        return JSONResponse(made.details[found[2]]) if found[2] in made.details else JSONResponse({}, 404)
    return JSONResponse({"error": "not found"}, 404)


def _after(entries: list[dict[str, Any]], least: str | None) -> list[dict[str, Any]]:
    """As Mastodon pages: with `min_id` the oldest of what is newer, else the newest; always newest first."""
    ordered = sorted(entries, key=lambda each: int(each["id"]))
    newer = [each for each in ordered if least is None or int(each["id"]) > int(least)]
    return list(reversed(newer[:PAGE] if least is not None else newer[-PAGE:]))


def _page(items: list[dict[str, Any]], token: str | None) -> tuple[list[dict[str, Any]], str]:
    start = int(token or 0)
    return items[start : start + PAGE], str(start + PAGE) if start + PAGE < len(items) else ""


async def _stream(made: Places) -> AsyncIterator[bytes]:
    listener: asyncio.Queue[bytes | None] = asyncio.Queue()
    made.listeners.append(listener)
    made.entered("mastodon")
    try:
        yield b":)\n\n"
        while (said := await listener.get()) is not None:
            yield said
    finally:
        made.open["mastodon"] -= 1
        made.listeners.remove(listener)


async def _jetstream(made: Places, connection: ServerConnection) -> None:
    """As Jetstream: everything from the cursor on; from one in the future, or without one, what comes from now on."""
    assert connection.request is not None
    query = parse_qs(urlsplit(connection.request.path).query)
    said = query.get("cursor")
    cursor = int(said[0]) if said else None
    made.cursors.append(cursor)
    live = cursor is None or cursor > datetime.now(UTC).timestamp() * 1e6
    sent = len(made.jetstream) if live else 0
    made.entered("bluesky")
    try:
        while True:
            for message in made.jetstream[sent:]:
                if cursor is None or live or message["time_us"] >= cursor:
                    await connection.send(json.dumps(message))
            sent = len(made.jetstream)
            made.news.clear()
            closed = asyncio.create_task(connection.wait_closed())
            heard = asyncio.create_task(made.news.wait())
            await asyncio.wait({closed, heard}, return_when=asyncio.FIRST_COMPLETED)
            heard.cancel()
            if closed.done():
                return
            closed.cancel()
    finally:
        made.open["bluesky"] -= 1
