"""Hot routes: endpoints that read their requests themselves, before the framework.

Matching routes, checking parameters, reading bodies and making responses the framework's way costs several times what
is done for a small request. A hot endpoint takes a `Request` and returns an `Answer`; its part of the OpenAPI document
is written by whoever adds it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

import orjson
import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voz_streamkit.http.problems import MEDIA_TYPE, Problem, problem_body
from voz_streamkit.metrics import Metrics

_log = structlog.get_logger(__name__)
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
        return dict(parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True))

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


class Route(NamedTuple):
    """A path (`/v1/events`), or all paths below one (`/v1/webhooks/{connection}`), and who answers there."""

    path: str
    endpoint: Endpoint


class HotRoutes:
    """The hot routes of a service."""

    def __init__(self, metrics: Metrics, *routes: Route) -> None:
        self._metrics = metrics
        self._exact = {route.path: route for route in routes if "{" not in route.path}
        self._below = tuple((route.path.partition("{")[0], route) for route in routes if "{" in route.path)
        self._by_target = {route.path.encode(): route for route in self._exact.values()}

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

    async def answer(self, route: Route, request: Request) -> Answer:
        """The endpoint's answer, whatever happens in it; counted and timed as the framework's are."""
        began = time.perf_counter()
        try:
            answer = await route.endpoint(request)
        except Problem as problem:
            answer = problem_answer(problem)
        except Exception as error:
            _log.error("request failed", path=request.path, method=request.method, exc_info=error)
            answer = problem_answer(Problem(500, "An unexpected error; the log of the service has it."))
        self._metrics.note_request(request.method, route.path, answer.status, time.perf_counter() - began)
        return answer


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
