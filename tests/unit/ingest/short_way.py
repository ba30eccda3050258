"""The short way of hot routes, as a transport: what small requests go through when a server reads them."""

from __future__ import annotations

import asyncio

import httpx
from fastapi import FastAPI

from voz_streamkit.http.hot import Answer, Exchange, HotRoutes, Route


class _Exchange(Exchange):
    __slots__ = ("written",)

    def __init__(self, routes: HotRoutes, route: Route, request: httpx.Request, body: bytes) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        path, _, query_string = request.url.raw_path.partition(b"?")
        super().__init__(routes, route, "POST", path.decode(), query_string, headers, body)
        self.written: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    @property
    def answered(self) -> bool:
        return self.written.done()

    def write(self, answer: Answer) -> None:
        self.written.set_result(answer)


class ShortWay(httpx.AsyncBaseTransport):
    """POSTs to hot routes whose body is all there go the short way; everything else goes to the app."""

    def __init__(self, app: FastAPI) -> None:
        self._app, self._other = app, httpx.ASGITransport(app=app, raise_app_exceptions=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        hot: HotRoutes = self._app.state.hot
        route = hot.find_target(request.url.raw_path)
        if route is None or request.method != "POST" or not isinstance(request.stream, httpx.ByteStream):
            return await self._other.handle_async_request(request)
        exchange = _Exchange(hot, route, request, await request.aread())
        hot.take(exchange)
        answer = await exchange.written
        headers = {"content-type": answer.media_type, **(answer.headers or {})}
        return httpx.Response(answer.status, headers=headers, content=answer.body)
