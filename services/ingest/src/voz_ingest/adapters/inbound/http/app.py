"""The HTTP service: its hot routes before the framework's router, everything else behind it."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware import Middleware

from voz_ingest.adapters.inbound.connections import ConnectionsInForce, NoConnections
from voz_ingest.adapters.inbound.http import document
from voz_ingest.adapters.inbound.http.events import EventsEndpoint
from voz_ingest.adapters.inbound.http.identities import routes as identity_routes
from voz_ingest.adapters.inbound.http.intake import Intake
from voz_ingest.adapters.inbound.http.snippet import add_snippet
from voz_ingest.adapters.inbound.http.webhooks import WebhookPorts, WebhooksEndpoint
from voz_ingest.config import Settings
from voz_ingest.domain.budget import ByteBudget
from voz_ingest.domain.quota import DailyUsage
from voz_ingest.metrics import IngestMetrics
from voz_ingest.ports import EventLog, IdentityDesk
from voz_streamkit.health import Health
from voz_streamkit.http.app import create_app
from voz_streamkit.http.hot import HotMiddleware, HotRoutes, Route

VERSION = "0.1.0"


def build_app(
    settings: Settings,
    log: EventLog,
    health: Health,
    budget: ByteBudget,
    metrics: IngestMetrics,
    webhooks: WebhookPorts,
    connections: ConnectionsInForce | None = None,
    usage: DailyUsage | None = None,
    identities: IdentityDesk | None = None,
) -> FastAPI:
    """The HTTP service over a log. Its `state.api_keys` (streamkit's auth) is still to be set; its `state.hot` are the
    routes that may go the short way."""
    app = create_app(
        title="Voz ingest",
        version=VERSION,
        description=document.DESCRIPTION,
        health=health,
        metrics=metrics.shared,
        max_body_bytes=max(settings.max_stream_bytes, settings.max_body_bytes),
    )
    intake = Intake(settings, log, budget, metrics, connections or NoConnections(), usage or DailyUsage())
    events = EventsEndpoint(intake, lambda: app.state.api_keys.value)
    hooks = WebhooksEndpoint(intake, metrics, webhooks)
    app.state.hot = hot = HotRoutes(
        metrics.shared,
        Route(document.EVENTS_PATH, events.receive, events.receive_together),
        Route(document.WEBHOOKS_PATH, hooks.receive, hooks.receive_together),
    )
    app.user_middleware.append(Middleware(HotMiddleware, routes=hot))  # the innermost one
    add_snippet(app)
    app.state.identities = identities
    app.include_router(identity_routes(lambda tenant: intake.connections.value.tenant(tenant).pseudonym_key))
    document.complete(app)
    return app
