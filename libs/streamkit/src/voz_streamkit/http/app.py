"""The frame of an HTTP service: problems, health, metrics and request figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voz_streamkit.health import Health, Report
from voz_streamkit.http.problems import PROBLEM_SCHEMA, Problem, install_problem_handlers, problem_response
from voz_streamkit.metrics import Metrics

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    *,
    title: str,
    version: str,
    description: str,
    health: Health,
    metrics: Metrics,
    lifespan: Lifespan | None = None,
    max_body_bytes: int = 1 << 20,
) -> FastAPI:
    """An app with `/livez`, `/readyz`, `/metrics`, problem details, a body limit and request metrics."""
    app = FastAPI(
        title=title, version=version, description=description, lifespan=lifespan, separate_input_output_schemas=False
    )
    install_problem_handlers(app)
    add_operations(app, health, metrics)
    app.add_middleware(BodyLimit, max_body_bytes=max_body_bytes)
    app.add_middleware(RequestMetrics, metrics=metrics)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=title, version=version, description=description, routes=app.routes)
            schema.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


def operations_app(health: Health, metrics: Metrics) -> FastAPI:
    """Health and metrics of a worker that speaks no other HTTP."""
    app = FastAPI(title=f"voz-{metrics.service}", openapi_url=None)
    add_operations(app, health, metrics)
    return app


def add_operations(app: FastAPI, health: Health, metrics: Metrics) -> None:
    """Add `/livez`, `/readyz` and `/metrics`."""

    def answer(report: Report) -> JSONResponse:
        status = 200 if report.ok else 503
        return JSONResponse({"status": "ok" if report.ok else "failing", "checks": report.checks}, status)

    @app.get("/livez", tags=["operations"], summary="Whether progress is being made")
    async def livez() -> JSONResponse:
        return answer(health.live())

    @app.get("/readyz", tags=["operations"], summary="Whether this process wants traffic and can serve it")
    async def readyz() -> JSONResponse:
        return answer(await health.ready())

    @app.get("/metrics", tags=["operations"], summary="Prometheus metrics", response_class=Response)
    async def prometheus() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


class BodyLimit:
    """Refuses a body over the limit with 413: by its declared length at once, a stream when it has grown too long."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app, self._max = app, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > self._max:
            await problem_response(self._too_large())(scope, receive, send)
            return
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._max:
                raise self._too_large()
            return message

        await self._app(scope, limited, send)

    def _too_large(self) -> Problem:
        return Problem(413, f"The body is larger than the {self._max} bytes that this endpoint takes.")


class RequestMetrics:
    """Counts requests and times them by route template, never by path."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._metrics.note_request(scope["method"], route, status, time.perf_counter() - began)
