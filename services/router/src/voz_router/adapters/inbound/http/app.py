"""The router's HTTP app."""

from __future__ import annotations

from fastapi import FastAPI

from voz_router.adapters.inbound.http.errors import install_error_handlers
from voz_router.adapters.inbound.http.routes import Desk, reading_routes, working_routes
from voz_streamkit.health import Health
from voz_streamkit.http.app import create_app
from voz_streamkit.metrics import Metrics

# The longest body is a note of 10,000 characters.
MAX_BODY_BYTES = 256 * 1024


def router_app(desk: Desk, health: Health, metrics: Metrics, version: str) -> FastAPI:
    """The app. Whoever serves it puts the API keys in `app.state.api_keys`."""
    app = create_app(
        title="Voz router",
        version=version,
        description="When to act and when not to: queues, cases, decisions and the policy they follow.",
        health=health,
        metrics=metrics,
        max_body_bytes=MAX_BODY_BYTES,
    )
    install_error_handlers(app)
    app.include_router(reading_routes(desk))
    app.include_router(working_routes(desk))
    return app
