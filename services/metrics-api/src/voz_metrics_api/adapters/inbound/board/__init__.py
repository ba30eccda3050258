"""The live board: one page, its script and its style, without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from fastapi import APIRouter, Response

# What the page may do: its own script, style and calls. Markup that slips in through data can't run.
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'"
_HEADERS = {
    "content-security-policy": _POLICY,
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_FILES = {
    "/": ("board.html", "text/html; charset=utf-8"),
    "/board.js": ("board.js", "text/javascript; charset=utf-8"),
    "/board.css": ("board.css", "text/css; charset=utf-8"),
}


def board() -> APIRouter:
    """The routes of the board. They need no key: the page asks for one and sends it with its calls."""
    router = APIRouter(include_in_schema=False)
    for path, (name, media_type) in _FILES.items():
        router.add_api_route(path, _file(name, media_type), methods=["GET"])
    return router


def _file(name: str, media_type: str) -> Callable[[], Awaitable[Response]]:
    content = (files(__package__) / name).read_bytes()

    async def read() -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return read
