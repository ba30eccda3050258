"""`GET /voz.js`: the snippet that a company's web pages load (docs/sources/web.md)."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI, Response

CACHE_SECONDS = 3600


def add_snippet(app: FastAPI) -> None:
    """Serve the snippet, to any page and cacheable."""
    script = files(__package__).joinpath("voz.js").read_bytes()
    headers = {
        "Cache-Control": f"public, max-age={CACHE_SECONDS}",
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
    }

    @app.get(
        "/voz.js",
        summary="The web snippet",
        tags=["web"],
        response_class=Response,
        responses={200: {"content": {"text/javascript": {"schema": {"type": "string"}}}}},
    )
    async def snippet() -> Response:
        return Response(script, media_type="text/javascript; charset=utf-8", headers=headers)
