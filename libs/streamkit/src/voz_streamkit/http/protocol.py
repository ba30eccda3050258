"""HTTP/1.1 on a connection: uvicorn's protocol, with limits on what a slow or greedy client can hold, and a short way
for hot routes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from voz_streamkit.http.hot import Answer, Exchange, HotRoutes, Route, problem_answer
from voz_streamkit.http.problems import Problem, phrase


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take of a server's patience and memory."""

    max_connections: int = 1000
    """Above it the longest idle one is closed, or, when none is, the new one."""
    head_seconds: float = 10.0
    """From a request's first byte to the end of its headers."""
    max_head_bytes: int = 64 << 10
    body_seconds: float = 20.0
    """For a body, and a second more for every `min_body_bytes_per_second` of it that came. The clock stands still
    while the server doesn't read."""
    min_body_bytes_per_second: float = 500.0
    idle_seconds: float = 75.0
    """A connection without a request."""
    unread_seconds: float = 20.0
    """A client that takes nothing of its answer."""
    sweep_seconds: float = 1.0
    """How often all of that is looked at."""


HOT_BODY_BYTES = 16 << 10
"""A body that arrives after its headers is waited for in the short way up to this size; the framework's way of reading
a larger one knows the byte budget."""
_IDLE, _HEAD, _BODY = range(3)


class _Ignored:
    def set(self) -> None:
        """Nobody waits for it."""


class _HotExchange(Exchange):
    """A hot request on its way, as uvicorn's connection wants to see one, too."""

    __slots__ = ("_connection", "disconnected", "keep_alive", "response_complete", "response_started")
    message_event = _Ignored()

    def __init__(
        self,
        connection: BoundedProtocol,
        keep_alive: bool,
        routes: HotRoutes,
        route: Route,
        path: str,
        query_string: bytes,
        headers: dict[str, str],
        body: bytes,
    ) -> None:
        super().__init__(routes, route, "POST", path, query_string, headers, body)
        self._connection, self.keep_alive = connection, keep_alive
        self.disconnected = self.response_started = self.response_complete = False

    @property
    def answered(self) -> bool:
        return self.response_complete

    def write(self, answer: Answer) -> None:
        self.response_complete = True
        self._connection.finish(answer, keep_alive=self.keep_alive)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Subclasses name `limits` and `hot`; `sweep` is to be called every `limits.sweep_seconds`.

    A hot request goes the short way when it is all there: its endpoint is called, and its answer written, without
    ASGI's messages between. Any other request (of another route, streamed, pipelined, HTTP/1.0 …) goes uvicorn's way.
    """

    limits = Limits()
    hot: HotRoutes | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._reading = _IDLE
        self._waited_seconds = 0.0
        self._received = 0
        self._unsent = 0
        self._unsent_seconds = 0.0
        self._hot_route: Route | None = None
        self._hot_body = b""

    @property
    def idle(self) -> bool:
        """Whether no request is on its way."""
        answered = self.cycle is None or self.cycle.response_complete
        return self._reading == _IDLE and answered and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            others = [each for each in self.connections if isinstance(each, BoundedProtocol) and each is not self]
            idle = [each for each in others if each.idle]
            if idle:
                min(idle, key=lambda each: -each._waited_seconds).transport.close()
            else:
                self._refuse(Problem(503, "Too many connections.", headers={"Retry-After": "1"}))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._hot_route is not None:
            self._wait_for_rest()
        if self._reading == _HEAD:
            self._received += len(data)
            if self._received > self.limits.max_head_bytes:
                self._refuse(Problem(431, f"The headers are larger than {self.limits.max_head_bytes} bytes."))

    def on_message_begin(self) -> None:
        self._reading, self._waited_seconds, self._received = _HEAD, 0.0, 0
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        self._reading, self._waited_seconds, self._received = _BODY, 0.0, 0
        self._hot_route = self._find_hot_route()
        if self._hot_route is None:
            self._begin_asgi()

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        if self._hot_route is None:
            super().on_body(body)
        else:
            self._hot_body = self._hot_body + body if self._hot_body else body

    def on_message_complete(self) -> None:
        self._reading, self._waited_seconds = _IDLE, 0.0
        if self._hot_route is None:
            super().on_message_complete()
        else:
            self._begin_hot(self._hot_route)

    def on_response_complete(self) -> None:
        self._waited_seconds = 0.0
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
        else:  # without uvicorn's timer for each request: `sweep` sees to idle connections
            self.server_state.total_requests += 1
            self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem(400, msg))

    def sweep(self, elapsed_seconds: float) -> None:
        """End what takes too long. `elapsed_seconds`: since the last time."""
        unsent = self.transport.get_write_buffer_size()
        self._unsent_seconds = self._unsent_seconds + elapsed_seconds if 0 < self._unsent <= unsent else 0.0
        self._unsent = unsent
        if self._unsent_seconds > self.limits.unread_seconds:
            self.transport.abort()
        if self.transport.is_closing():
            return
        if not self.flow.read_paused:
            self._waited_seconds += elapsed_seconds
        waited = self._waited_seconds
        if self._reading == _HEAD and waited > self.limits.head_seconds:
            self._refuse(Problem(408, "The headers took too long."))
        elif self._reading == _BODY and waited > self._body_seconds():
            self._refuse(Problem(408, "The body took too long."))
        elif self.idle and waited > self.limits.idle_seconds:
            self.transport.close()

    def _body_seconds(self) -> float:
        return self.limits.body_seconds + self._received / self.limits.min_body_bytes_per_second

    def _find_hot_route(self) -> Route | None:
        parser, cycle = self.parser, self.cycle
        if (
            self.hot is None
            or parser.get_method() != b"POST"
            or self.expect_100_continue
            or not (cycle is None or cycle.response_complete)
            or self.flow.write_paused
            or parser.should_upgrade()
            or parser.get_http_version() != "1.1"
        ):
            return None
        return self.hot.find_target(self.url)

    def _wait_for_rest(self) -> None:
        """A hot request has begun and isn't complete: wait for a small body, let the framework stream a large one."""
        declared = next((value for name, value in self.headers if name == b"content-length"), b"")
        if not declared.isdigit() or int(declared) > HOT_BODY_BYTES:
            body, self._hot_body, self._hot_route = self._hot_body, b"", None
            self._begin_asgi()
            if body:
                super().on_body(body)

    def _begin_asgi(self) -> None:
        url, headers, expect_100_continue = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect_100_continue
        self.headers.extend(headers)
        super().on_headers_complete()

    def _begin_hot(self, route: Route) -> None:
        body, self._hot_body, self._hot_route = self._hot_body, b"", None
        assert self.hot is not None
        path, _, query_string = self.url.partition(b"?")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}
        keep_alive = self.parser.should_keep_alive()
        exchange = _HotExchange(self, keep_alive, self.hot, route, path.decode("latin-1"), query_string, headers, body)
        self.cycle = exchange  # type: ignore[assignment]  # what uvicorn asks of one
        self.hot.take(exchange)

    def finish(self, answer: Answer, *, keep_alive: bool) -> None:
        """Write the answer of the hot request."""
        if not self.transport.is_closing():
            self._write(answer, keep_alive=keep_alive)
            self.on_response_complete()

    def _write(self, answer: Answer, *, keep_alive: bool) -> None:
        lines = [_head(answer.status, answer.media_type), *_lines(self.server_state.default_headers)]
        if answer.headers:
            lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in answer.headers.items()]
        if not keep_alive:
            lines.append(b"connection: close\r\n")
        lines += (b"content-length: %d\r\n\r\n" % len(answer.body), answer.body)
        self.transport.write(b"".join(lines))
        if not keep_alive:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answer without reading on, and close. A request before this one that isn't answered yet is answered first."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._write(problem_answer(problem), keep_alive=False)
        elif self._reading == _BODY and isinstance(cycle, RequestResponseCycle) and not cycle.response_started:
            self._write(problem_answer(problem), keep_alive=False)
            cycle.disconnected = True
            cycle.message_event.set()
        elif self._reading == _BODY:
            self.transport.close()
        else:
            cycle.keep_alive = False
            self.flow.pause_reading()


@lru_cache(maxsize=256)
def _head(status: int, media_type: str) -> bytes:
    return f"HTTP/1.1 {status} {phrase(status)}\r\ncontent-type: {media_type}\r\n".encode("latin-1")


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[bytes]:
    return [b"%b: %b\r\n" % each for each in headers]
