"""The HTTP interface: each route is one question."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from voz_contracts.identity import customer_key
from voz_metrics_api.adapters.inbound.params import (
    FilteredParams,
    KpiParams,
    NoParams,
    PageParams,
    SeriesParams,
)
from voz_metrics_api.adapters.inbound.schemas import (
    Catalogue,
    CatalogueEntry,
    CustomerAnswer,
    FrictionAnswer,
    KpiReportAnswer,
    SeriesAnswer,
    Timeline,
    TimelineItem,
)
from voz_metrics_api.adapters.inbound.stream import Look, Streams
from voz_metrics_api.domain.kpis import CATALOGUE, KPIS
from voz_metrics_api.domain.windows import parse_step
from voz_metrics_api.ports import UnavailableError
from voz_metrics_api.use_cases import QuestionError, Questions
from voz_streamkit.http.auth import CUSTOMERS_READ, METRICS_READ, Principal, requires
from voz_streamkit.http.paging import decode_cursor, encode_cursor
from voz_streamkit.http.problems import FieldError, Problem, problem_response, problem_responses

RETRY_AFTER_SECONDS = "5"
Clock = Callable[[], datetime]
KpiReader = Annotated[Principal, Depends(requires(METRICS_READ))]
CustomerReader = Annotated[Principal, Depends(requires(CUSTOMERS_READ))]
CustomerName = Annotated[
    str, Path(max_length=500, description="The customer's key, the id that was sent, or `source:handle`.")
]
_PROBLEMS = problem_responses(401, 403, 422, 503)


def routes(questions: Questions, streams: Streams, now: Clock = lambda: datetime.now(UTC)) -> APIRouter:
    """The routes under /v1."""
    router = APIRouter(prefix="/v1", responses=_PROBLEMS)

    async def report(principal: Principal, params: KpiParams) -> KpiReportAnswer:
        by = tuple(params.by)
        selection = params.selection(principal.tenant, by)
        return KpiReportAnswer.of(by, await questions.kpis(selection, params.period(), params.kpis(), now()))

    @router.get("/kpis", tags=["KPIs"], summary="KPIs of a window, by up to two dimensions")
    async def kpis(principal: KpiReader, params: Annotated[KpiParams, Query()]) -> KpiReportAnswer:
        return await report(principal, params)

    @router.get("/kpis/catalogue", tags=["KPIs"], summary="What each KPI means")
    async def catalogue(_: KpiReader, __: Annotated[NoParams, Query()]) -> Catalogue:
        return Catalogue(items=[CatalogueEntry.of(kpi) for kpi in CATALOGUE])

    @router.get("/kpis/{kpi}/series", tags=["KPIs"], summary="A KPI over time", responses=problem_responses(404))
    async def series(principal: KpiReader, kpi: str, params: Annotated[SeriesParams, Query()]) -> SeriesAnswer:
        if kpi not in KPIS:
            raise Problem(404, f"There is no KPI {kpi!r}; known: {', '.join(KPIS)}.")
        try:
            step = parse_step(params.step) if params.step else None
        except ValueError as error:
            raise QuestionError("step", str(error)) from None
        by = tuple(params.by)
        selection = params.selection(principal.tenant, by)
        return SeriesAnswer.of(kpi, by, await questions.series(selection, params.period(), kpi, step, now()))

    @router.get(
        "/stream",
        tags=["KPIs"],
        summary="The same figures as /v1/kpis, as server-sent events whenever they change",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}, "description": "Events `kpis`, each a KPI report."}},
    )
    async def stream(principal: KpiReader, params: Annotated[KpiParams, Query()]) -> Response:
        if streams.full:
            raise _unavailable("Too many streams are open.")

        async def look() -> Look:
            answer = await report(principal, params)
            return Look(answer.model_dump_json(), answer.model_dump_json(include={"groups"}))

        events: AsyncIterator[str] = streams.follow(principal.tenant, await look(), look)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    @router.get("/friction", tags=["KPIs"], summary="Stages × topics by how much they hurt")
    async def friction(principal: KpiReader, params: Annotated[FilteredParams, Query()]) -> FrictionAnswer:
        window, cells = await questions.friction(params.selection(principal.tenant), params.period("7d"), now())
        return FrictionAnswer.of(window, cells)

    @router.get("/customers/{key}", tags=["customers"], summary="Who a customer is", responses=problem_responses(404))
    async def customer(principal: CustomerReader, key: CustomerName, _: Annotated[NoParams, Query()]) -> CustomerAnswer:
        found = await questions.customer(principal.tenant, _keys(principal.tenant, key), key, now())
        if found is None:
            raise _unknown(key)
        return CustomerAnswer.of(found)

    @router.get(
        "/customers/{key}/timeline",
        tags=["customers"],
        summary="Every touchpoint in order",
        responses=problem_responses(404),
    )
    async def timeline(
        principal: CustomerReader, key: CustomerName, params: Annotated[PageParams, Query()]
    ) -> Timeline:
        tenant = principal.tenant
        found = await questions.customers.find(tenant, _keys(tenant, key), key)
        if found is None:
            raise _unknown(key)
        touchpoints = await questions.customers.timeline(tenant, found.keys, _after(params.cursor), params.limit + 1)
        shown = touchpoints[: params.limit]
        following = None
        if len(touchpoints) > len(shown):
            following = encode_cursor(shown[-1].occurred_at.isoformat(), str(shown[-1].event_id))
        return Timeline(items=[TimelineItem.of(touchpoint) for touchpoint in shown], next=following)

    return router


def _keys(tenant: str, name: str) -> list[str]:
    """The keys that a customer so named may have: the name is the key, the id that was sent, or `source:handle`."""
    if "\0" in name:  # nobody is called so, and PostgreSQL can't even be asked
        raise _unknown(name)
    keys = [name, customer_key(tenant, "", customer_id=name)]
    source, colon, handle = name.partition(":")
    return [*keys, customer_key(tenant, source, handle=handle)] if colon and handle else keys


def _unknown(name: str) -> Problem:
    return Problem(404, f"No customer {name!r} is known.")


def install_errors(app: FastAPI) -> None:
    """Make the errors of questions problem documents."""

    @app.exception_handler(QuestionError)
    async def question(_: Request, error: QuestionError) -> JSONResponse:
        where = FieldError(f"/query/{error.parameter}", error.detail)
        return problem_response(Problem(422, "The request is not valid; `errors` says where.", errors=[where]))

    @app.exception_handler(UnavailableError)
    async def unavailable(_: Request, __: UnavailableError) -> JSONResponse:
        return problem_response(_unavailable("The figures can't be read now; nothing that was counted is lost."))


def _unavailable(detail: str) -> Problem:
    return Problem(503, detail, headers={"Retry-After": RETRY_AFTER_SECONDS})


def _after(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    at, event_id = decode_cursor(cursor, 2)
    try:
        return datetime.fromisoformat(at), UUID(event_id)
    except (TypeError, ValueError, AttributeError):
        where = FieldError("/query/cursor", "not a cursor of this list; start again without one")
        raise Problem(422, "The request is not valid; `errors` says where.", errors=[where]) from None
