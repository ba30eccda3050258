"""Logs: one JSON object a line, and nothing in them that is nobody's business."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence

import asyncpg
import httpx
import pytest
import structlog
from sqlalchemy.exc import IntegrityError

from voz_streamkit.health import Health
from voz_streamkit.http.app import create_app
from voz_streamkit.http.hot import Answer, Exchange, HotRoutes, Request, Route
from voz_streamkit.logs import configure_logging
from voz_streamkit.metrics import Metrics


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put pytest's own logging back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_an_error_is_logged_without_the_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("sample")

    def connect() -> None:
        password = "hunter2"
        raise ConnectionError(f"refused after {len(password)} tries")

    try:
        connect()
    except ConnectionError:
        structlog.get_logger("voz").exception("no database", attempt=1)
    line = capsys.readouterr().out
    entry = json.loads(line)
    assert (entry["event"], entry["service"], entry["level"], entry["attempt"]) == ("no database", "sample", "error", 1)
    assert entry["exception"][0]["exc_type"] == "ConnectionError"
    assert "hunter2" not in line


def test_an_error_of_the_database_is_logged_without_the_row_that_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("sample")
    refused = asyncpg.CheckViolationError.new(
        {"C": "23514", "M": "a check refuses it", "D": "Failing row contains (Ana,\n\nhola)."}
    )
    unfit = asyncpg.DataError("invalid input for query argument $2: 'Ana, hola' (an integer is required)")
    log = structlog.get_logger("voz")
    for error in (refused, unfit, IntegrityError("INSERT INTO texts", None, refused)):
        log.warning("dead letter", detail=f"can't be stored: {error}")
        log.error("stopped", exc_info=error)
    lines = capsys.readouterr().out
    assert lines.count("a check refuses it") == 4
    assert lines.count("invalid input for query argument") == 2
    assert lines.count("INSERT INTO texts") == 2
    assert "Ana" not in lines
    assert "hola" not in lines


async def test_an_error_of_a_request_is_logged_with_its_route_and_not_with_its_path(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("sample")
    app = create_app(title="t", version="1", description="d", health=Health(), metrics=Metrics("sample"))

    @app.get("/v1/customers/{key}")
    async def customer(key: str) -> None:
        raise LookupError(f"a key of {len(key)} characters")

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://voz") as client:
        assert (await client.get("/v1/customers/quetzal@example.org?also=quetzal")).status_code == 500
    line = capsys.readouterr().out
    entry = json.loads(line)
    assert (entry["event"], entry["route"], entry["method"]) == ("request failed", "/v1/customers/{key}", "GET")
    assert entry["exception"][0]["exc_value"] == "a key of 19 characters"
    assert "quetzal" not in line


class Sent(Exchange):
    """A request of a hot route, and its answer."""

    __slots__ = ("given",)
    answered = False

    def write(self, answer: Answer) -> None:
        self.given = answer


def test_an_error_of_a_hot_route_is_logged_in_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    async def alone(_: Request) -> Answer:
        raise AssertionError("requests come together")

    def together(_: Sequence[Exchange]) -> None:
        raise AssertionError("the error comes later")

    configure_logging("sample")
    route = Route("/v1/webhooks/{connection}", alone, together)
    exchange = Sent(HotRoutes(Metrics("sample"), route), route, "POST", "/v1/webhooks/c/quetzal", b"q=quetzal", {}, b"")
    exchange.fail_unexpectedly(LookupError("a bug"))
    line = capsys.readouterr().out
    entry = json.loads(line)
    assert (entry["event"], entry["route"], entry["method"]) == ("request failed", "/v1/webhooks/{connection}", "POST")
    assert exchange.given.status == 500
    assert "quetzal" not in line


def test_the_standard_library_logs_through_the_same_renderer(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("sample", "WARNING")
    logging.getLogger("somebody.else").info("too quiet to be heard")
    logging.getLogger("somebody.else").warning("disk %s", "full")
    entry = json.loads(capsys.readouterr().out)
    assert (entry["event"], entry["logger"]) == ("disk full", "somebody.else")
