"""Hot routes: endpoints that read their requests themselves, before the framework.

Matching routes, checking parameters, reading bodies and making responses the framework's way costs several times what
is done for a small request. A hot endpoint takes a `Request` and returns an `Answer`; its part of the OpenAPI document
is written by whoever adds it.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl

import orjson
import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voz_streamkit.http.problems import MEDIA_TYPE, Problem, problem_body
from voz_streamkit.metrics import Metrics

_log = structlog.get_logger(__name__)
TURN_REQUESTS, TURN_BYTES = 64, 128 << 10
"""Requests, and bytes of them, that are taken at a time: enough to gain from it, few enough (some 5 ms of work) that
others don't wait long."""
DISCARD_BYTES = 64 << 20
DISCARD_SECONDS = 10.0


class Request:
    """A request as it came. Of several headers with one name, the last; names are in lower case."""

    __slots__ = ("_receive", "body", "headers", "method", "path", "query_string", "scheme")

    def __init__(
        self,
        method: str,
        path: str,
        query_string: bytes,
        headers: dict[str, str],
        *,
        body: bytes | None = None,
        receive: Receive | None = None,
        scheme: str = "http",
    ) -> None:
        self.method, self.path, self.query_string, self.headers = method, path, query_string, headers
        self.scheme = scheme
        self.body = body
        """The whole body when it came at once; else None, and `stream` gives it."""
        self._receive = receive

    @property
    def url(self) -> str:
        """As the client called it."""
        query = self.query_string.decode("latin-1")
        return f"{self.scheme}://{self.headers.get('host', '')}{self.path}{'?' if query else ''}{query}"

    @property
    def query(self) -> dict[str, str]:
        """The parameters in the URL; of several with one name, the last."""
        said = self.query_string.decode("latin-1")
        return dict(parse_qsl(said, keep_blank_values=True)) if said else {}

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises ClientDisconnect when the client goes away."""
        if self.body is not None or self._receive is None:
            yield self.body or b""
            return
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]


class Answer(NamedTuple):
    """What a hot endpoint returns."""

    status: int
    body: bytes = b""
    media_type: str = "application/json"
    headers: Mapping[str, str] | None = None


Endpoint = Callable[[Request], Awaitable[Answer]]


class Exchange(Request, ABC):
    """A request that is all there, and the way back."""

    __slots__ = ("_routes", "began", "route")

    def __init__(  # sets everything by itself: one is made for each request
        self,
        routes: HotRoutes,
        route: Route,
        method: str,
        path: str,
        query_string: bytes,
        headers: dict[str, str],
        body: bytes,
    ) -> None:
        self.method, self.path, self.query_string, self.headers, self.body = method, path, query_string, headers, body
        self.scheme = "http"
        self._receive = None
        self._routes, self.route = routes, route
        self.began = time.perf_counter()

    @property
    @abstractmethod
    def answered(self) -> bool:
        """Whether it has its answer."""

    @abstractmethod
    def write(self, answer: Answer) -> None:
        """Send the answer to the client, if it is still there."""

    def answer(self, answer: Answer) -> None:
        """Answer it, once; what comes after that is forgotten."""
        if not self.answered:
            self._routes.note(self.route, self.method, answer.status, time.perf_counter() - self.began)
            self.write(answer)

    def fail(self, problem: Problem) -> None:
        """Answer it with a problem."""
        self.answer(problem_answer(problem))

    def fail_unexpectedly(self, error: Exception) -> None:
        """Answer it with 500, if it isn't answered; the log has the error."""
        if self.answered:
            return
        # as problems.py does it: a path may hold what a sender put there
        _log.error("request failed", route=self.route.path, method=self.method, exc_info=error)
        self.fail(Problem(500, "An unexpected error; the log of the service has it."))

    def alone(self) -> None:
        """Have it answered by the route's endpoint."""
        self.finish_with(self.route.endpoint(self))

    def finish_with(self, answering: Awaitable[Answer]) -> None:
        """Answer it with what comes of that; it may raise Problem."""
        self._routes.finish(self, answering)


Together = Callable[[Sequence[Exchange]], None]


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A path (`/v1/events`), or all paths below one (`/v1/webhooks/{connection}`), and who answers there.

    `together` takes the requests that came in one turn of the event loop, and sees to it that each is answered, now or
    later: what is done for a small request is quicker when it is done for several, step by step.
    """

    path: str
    endpoint: Endpoint
    together: Together


class HotRoutes:
    """The hot routes of a service."""

    def __init__(self, metrics: Metrics, *routes: Route) -> None:
        self._metrics = metrics
        self._exact = {route.path: route for route in routes if "{" not in route.path}
        self._below = tuple((route.path.partition("{")[0], route) for route in routes if "{" in route.path)
        self._by_target = {route.path.encode(): route for route in self._exact.values()}
        self._turn: list[Exchange] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, path: str) -> Route | None:
        """Whose path it is."""
        found = self._exact.get(path)
        if found is None:
            for prefix, route in self._below:
                if path.startswith(prefix):
                    return route
        return found

    def find_target(self, target: bytes) -> Route | None:
        """Whose path a request's target is, with its query and as it was sent; None also where it has to be decoded."""
        found = self._by_target.get(target)
        if found is None and b"%" not in target:
            found = self.find(target.partition(b"?")[0].decode("latin-1"))
        return found

    def take(self, exchange: Exchange) -> None:
        """Have it answered, together with what else comes in this turn of the loop."""
        if not self._turn:
            asyncio.get_running_loop().call_soon(self._answer_turn)
        self._turn.append(exchange)

    def finish(self, exchange: Exchange, answering: Awaitable[Answer]) -> None:
        """Answer an exchange with what comes of `answering`."""
        task = asyncio.create_task(_finish(exchange, answering))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def note(self, route: Route, method: str, status: int, seconds: float) -> None:
        """Count and time a request, as the framework's are."""
        self._metrics.note_request(method, route.path, status, seconds)

    def _answer_turn(self) -> None:
        routes: dict[Route, list[Exchange]] = {}
        size = count = 0
        for exchange in self._turn[:TURN_REQUESTS]:
            routes.setdefault(exchange.route, []).append(exchange)
            size, count = size + len(exchange.body or b""), count + 1
            if size > TURN_BYTES:
                break
        self._turn = self._turn[count:]
        if self._turn:  # acknowledgements and others' answers come between
            asyncio.get_running_loop().call_soon(self._answer_turn)
        for route, exchanges in routes.items():
            try:
                route.together(exchanges)
            except Exception as error:
                for exchange in exchanges:
                    exchange.fail_unexpectedly(error)


async def _finish(exchange: Exchange, answering: Awaitable[Answer]) -> None:
    try:
        exchange.answer(await answering)
    except Problem as problem:
        exchange.fail(problem)
    except Exception as error:
        exchange.fail_unexpectedly(error)


class HotMiddleware:
    """Takes hot routes out of what goes to the framework."""

    def __init__(self, app: ASGIApp, routes: HotRoutes) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.find(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route  # its path is a label of the request metrics
        complete = False

        async def tracked() -> Message:
            nonlocal complete
            message = await receive()
            complete = not message.get("more_body", False)
            return message

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query_string: bytes = scope.get("query_string", b"")
        scheme: str = scope.get("scheme", "http")
        request = Request(scope["method"], scope["path"], query_string, headers, receive=tracked, scheme=scheme)
        try:
            answer = await route.endpoint(request)
        except Problem as problem:
            answer = problem_answer(problem)
            if not complete:
                await _discard_rest(tracked)
        await _send(answer, send)


def problem_answer(problem: Problem) -> Answer:
    """The answer of a problem."""
    return Answer(problem.status, orjson.dumps(problem_body(problem)), MEDIA_TYPE, problem.headers)


async def _send(answer: Answer, send: Send) -> None:
    headers = [(b"content-type", answer.media_type.encode()), (b"content-length", b"%d" % len(answer.body))]
    for name, value in (answer.headers or {}).items():
        headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _discard_rest(receive: Receive) -> None:
    """Read what is still being sent and forget it, within limits: a client that is busy sending reads no answer, and
    one whose connection is closed meanwhile never sees it."""
    size = 0
    try:
        async with asyncio.timeout(DISCARD_SECONDS):
            while size <= DISCARD_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except (TimeoutError, Problem):
        return
