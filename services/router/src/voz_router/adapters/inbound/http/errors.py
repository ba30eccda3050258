"""What the use cases and the database raise, as problem documents."""

from __future__ import annotations

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from voz_router.domain.cases import CaseConflictError
from voz_router.ports import KeyReusedError
from voz_router.use_cases import UnknownCaseError, UnknownQueueError
from voz_streamkit.errors import is_transient
from voz_streamkit.http.problems import FieldError, Problem, problem_response

_log = structlog.get_logger(__name__)
INVALID = "The request is not valid; `errors` says where."
RETRY_AFTER_SECONDS = "2"


def install_error_handlers(app: FastAPI) -> None:
    """Map each error to its status; what only time will mend becomes 503 with Retry-After."""

    def answer(error: type[Exception], status: int) -> None:
        @app.exception_handler(error)
        async def _(_: Request, raised: Exception) -> JSONResponse:
            return problem_response(Problem(status, str(raised)))

    answer(UnknownCaseError, 404)
    answer(CaseConflictError, 409)
    answer(KeyReusedError, 422)

    @app.exception_handler(UnknownQueueError)
    async def unknown_queue(_: Request, raised: Exception) -> JSONResponse:
        return problem_response(Problem(422, INVALID, errors=[FieldError("/queue", str(raised))]))

    async def database(request: Request, raised: Exception) -> JSONResponse:
        if not is_transient(raised):
            _log.error("request failed", path=request.url.path, method=request.method, exc_info=raised)
            return problem_response(Problem(500, "An unexpected error; the log of the service has it."))
        _log.warning("the database does not answer", path=request.url.path, error=str(raised)[:300])
        detail = "The database does not answer at the moment; try again."
        return problem_response(Problem(503, detail, headers={"Retry-After": RETRY_AFTER_SECONDS}))

    # asyncpg's own errors on connecting are not SQLAlchemy's: they come as OSError, TimeoutError or PostgresError.
    for error in (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        app.add_exception_handler(error, database)
