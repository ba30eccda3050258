"""Errors as RFC 9457 problem details (`application/problem+json`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

_log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
# RFC 9110's names; Python has them since 3.13, and answers must not depend on that.
_RFC_9110_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: a JSON pointer (RFC 6901) into the request, and words."""

    pointer: str
    detail: str


class Problem(Exception):  # noqa: N818  # the name RFC 9457 gives it
    """Raised anywhere in a request; becomes the response."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers, self.extra = status, detail, errors, headers, extra


def problem_response(problem: Problem) -> JSONResponse:
    """The response of a problem."""
    return JSONResponse(problem_body(problem), problem.status, dict(problem.headers or {}), media_type=MEDIA_TYPE)


def problem_body(problem: Problem) -> dict[str, Any]:
    """The document of a problem; `extra` fields are its extension members."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": phrase(problem.status),
        "status": problem.status,
        "detail": problem.detail,
        **problem.extra,
    }
    if problem.errors:
        body["errors"] = [{"pointer": error.pointer, "detail": error.detail} for error in problem.errors]
    return body


def phrase(status: int) -> str:
    """The status code's name (RFC 9110 §15)."""
    return _RFC_9110_PHRASES.get(status) or HTTPStatus(status).phrase


def pointer(location: Sequence[str | int]) -> str:
    """RFC 6901 pointer of a path of names and indexes."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of the app a problem document."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        # A body's pointer starts in the body; a parameter's names where it stands: /query/window.
        errors = [
            FieldError(pointer(found["loc"][1:] if found["loc"][0] == "body" else found["loc"]), found["msg"])
            for found in error.errors()
        ]
        return problem_response(Problem(422, "The request is not valid; `errors` says where.", errors=errors))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        return problem_response(Problem(error.status_code, str(error.detail), headers=error.headers))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        route = getattr(request.scope.get("route"), "path", None)  # the path itself may hold a customer's handle
        _log.error("request failed", route=route, method=request.method, exc_info=error)
        return problem_response(Problem(500, "An unexpected error; the log of the service has it."))


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of a route that may answer with these problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": phrase(status), "content": content} for status in statuses}


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
