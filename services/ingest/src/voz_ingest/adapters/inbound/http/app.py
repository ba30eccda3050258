"""The HTTP service: its hot routes before the framework's router, everything else behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voz_ingest.adapters.inbound.connections import ConnectionsInForce, NoConnections
from voz_ingest.adapters.inbound.http import document
from voz_ingest.adapters.inbound.http.bodies import discard_rest
from voz_ingest.adapters.inbound.http.events import EventsEndpoint
from voz_ingest.adapters.inbound.http.intake import Intake
from voz_ingest.adapters.inbound.http.snippet import add_snippet
from voz_ingest.adapters.inbound.http.webhooks import PREFIX, WebhooksEndpoint
from voz_ingest.config import Settings
from voz_ingest.domain.budget import ByteBudget
from voz_ingest.domain.quota import DailyUsage
from voz_ingest.metrics import IngestMetrics
from voz_ingest.ports import EventLog
from voz_streamkit.health import Health
from voz_streamkit.http.app import create_app
from voz_streamkit.http.problems import Problem, problem_response

VERSION = "0.1.0"


def build_app(
    settings: Settings,
    log: EventLog,
    health: Health,
    budget: ByteBudget,
    metrics: IngestMetrics,
    connections: ConnectionsInForce | None = None,
    usage: DailyUsage | None = None,
) -> FastAPI:
    """The HTTP service over a log. Its `state.api_keys` (streamkit's auth) is still to be set."""
    app = create_app(
        title="Voz ingest",
        version=VERSION,
        description=document.DESCRIPTION,
        health=health,
        metrics=metrics.shared,
        max_body_bytes=max(settings.max_stream_bytes, settings.max_body_bytes),
    )
    intake = Intake(settings, log, budget, metrics, connections or NoConnections(), usage or DailyUsage())
    events, webhooks = EventsEndpoint(intake), WebhooksEndpoint(intake, metrics)
    app.user_middleware.append(Middleware(_Hot, events=events.receive, webhooks=webhooks.receive))  # the innermost one
    add_snippet(app)
    document.complete(app)
    return app


Endpoint = Callable[[Request], Awaitable[Response]]


class _Hot:
    """Takes events and webhooks before the router: matching routes, checking parameters and reading bodies the
    framework's way would cost as much as everything that is done for the event, and can't stream."""

    def __init__(self, app: ASGIApp, events: Endpoint, webhooks: Endpoint) -> None:
        self._app = app
        self._events = _Route(document.EVENTS_PATH, events)
        self._webhooks = _Route(document.WEBHOOKS_PATH, webhooks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._route(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        complete = False

        async def tracked() -> Message:
            nonlocal complete
            message = await receive()
            complete = not message.get("more_body", False)
            return message

        try:
            response = await route.endpoint(Request(scope, tracked))
        except Problem as problem:
            response = problem_response(problem)
            if not complete:
                await discard_rest(tracked)
        await response(scope, receive, send)

    def _route(self, path: str) -> _Route | None:
        if path == document.EVENTS_PATH:
            return self._events
        return self._webhooks if path.startswith(PREFIX) else None


class _Route:
    """As the request metrics want it: their label is a route's path."""

    def __init__(self, path: str, endpoint: Endpoint) -> None:
        self.path, self.endpoint = path, endpoint
