"""The calls: look at queues, cases, decisions and the policy; work on a case."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from voz_contracts.identity import customer_key
from voz_router.adapters.inbound.http.errors import INVALID
from voz_router.adapters.inbound.http.schemas import (
    CaseDetailView,
    CasePage,
    CaseView,
    ClaimBody,
    DecisionPage,
    NoteBody,
    PolicyView,
    QueueList,
    ReopenBody,
    ResolveBody,
    TransferBody,
)
from voz_router.adapters.inbound.http.views import case_view, decision_view, detail_view, queue_view
from voz_router.adapters.inbound.policy_yaml import policy_json
from voz_router.domain.cases import Status
from voz_router.ports import CaseQueries, Clock, PolicySource, QueueCounts, Request
from voz_router.use_cases import Claim, Command, Note, Reopen, Resolve, Transfer, WorkCases
from voz_streamkit.http.auth import QUEUES_READ, QUEUES_WORK, Principal, requires
from voz_streamkit.http.paging import decode_cursor, encode_cursor
from voz_streamkit.http.problems import FieldError, Problem, problem_responses

MAX_PAGE: Final = 200
Reader = Annotated[Principal, Depends(requires(QUEUES_READ))]
Worker = Annotated[Principal, Depends(requires(QUEUES_WORK))]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items on a page.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="`next` of the page before.")]
CaseId = Annotated[UUID, Path(description="The case's id.")]
# Unrestricted text in a query must still be text that PostgreSQL can hold.
PLAIN = r"^[^\x00]+$"
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same request is done once and answered alike, for seven days.",
    ),
]


@dataclass(frozen=True, slots=True)
class Desk:
    """What the calls need."""

    work: WorkCases
    queries: CaseQueries
    policies: PolicySource
    clock: Clock


def reading_routes(desk: Desk) -> APIRouter:
    """The calls that change nothing."""
    router = APIRouter(prefix="/v1", tags=["queues"], responses=problem_responses(401, 403, 422, 503))

    @router.get("/queues", summary="How each queue stands")
    async def queues(principal: Reader) -> QueueList:
        counts = await desk.queries.queue_counts(principal.tenant, desk.clock())
        known = {each.queue: each for each in counts}
        policy = desk.policies.policy
        names = [*policy.queues, *(name for name in known if name not in policy.queues)]
        return QueueList(items=[queue_view(known.get(name) or QueueCounts(name), policy) for name in names], next=None)

    @router.get("/queues/{queue}/cases", summary="Cases of a queue by due time", responses=problem_responses(404))
    async def queue_cases(
        principal: Reader,
        queue: Annotated[str, Path(max_length=200, pattern=PLAIN)],
        status: Annotated[Status, Query(description="Only cases of this status.")] = "open",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> CasePage:
        after = _place(cursor)
        found = await desk.queries.queue_cases(principal.tenant, queue, status, after, limit + 1)
        if not found and after is None and queue not in desk.policies.policy.queues:
            raise Problem(404, f"No queue `{queue}`.")
        shown, now = found[:limit], desk.clock()
        following = _cursor(shown[-1].due_at, shown[-1].id) if len(found) > limit else None
        return CasePage(items=[case_view(case, now) for case in shown], next=following)

    @router.get("/cases/{case_id}", summary="A case, its messages, clock and history", responses=problem_responses(404))
    async def case(principal: Reader, case_id: CaseId) -> CaseDetailView:
        detail = await desk.queries.case_detail(principal.tenant, case_id)
        if detail is None:
            raise Problem(404, f"No case {case_id}.")
        return detail_view(detail, desk.clock())

    @router.get("/decisions", tags=["decisions"], summary="What was decided about an event or a customer, and why")
    async def decisions(
        principal: Reader,
        event_id: Annotated[UUID | None, Query(description="The event's id, as ingest gave it.")] = None,
        customer: Annotated[
            str | None,
            Query(max_length=500, pattern=PLAIN, description="The key, the id that was sent, or `source:handle`."),
        ] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> DecisionPage:
        if (event_id is None) == (customer is None):
            raise Problem(422, INVALID, errors=[FieldError("/query", "one of event_id and customer is needed")])
        if customer is None:
            assert event_id is not None
            found = await desk.queries.decisions_of_event(principal.tenant, event_id)
            return DecisionPage(items=[decision_view(each) for each in found], next=None)
        keys = _customer_keys(principal.tenant, customer)
        found = await desk.queries.decisions_of_customer(principal.tenant, keys, _place(cursor), limit + 1)
        shown = found[:limit]
        following = _cursor(shown[-1].decided_at, shown[-1].event_id) if len(found) > limit else None
        return DecisionPage(items=[decision_view(each) for each in shown], next=following)

    @router.get("/policy", tags=["decisions"], summary="The policy in force", response_model_exclude_unset=True)
    async def policy(_: Reader) -> PolicyView:
        return PolicyView.model_validate(policy_json(desk.policies.policy))

    return router


def working_routes(desk: Desk) -> APIRouter:
    """The calls that change a case. All answer with the case as it stands then."""
    router = APIRouter(
        prefix="/v1/cases/{case_id}",
        tags=["cases"],
        responses=problem_responses(401, 403, 404, 409, 422, 503),
    )

    async def perform(
        principal: Principal, case_id: UUID, key: str | None, body: BaseModel, command: Command
    ) -> Response:
        request = Request(key, _fingerprint(case_id, command, body)) if key else None
        answer, repeated = await desk.work.perform(principal.tenant, case_id, command, request)
        return JSONResponse(answer, headers={"Idempotent-Replayed": "true"} if repeated else None)

    @router.post("/claim", response_model=CaseView, summary="Take an open case")
    async def claim(principal: Worker, case_id: CaseId, body: ClaimBody, key: IdempotencyKey = None) -> Response:
        return await perform(principal, case_id, key, body, Claim(body.agent))

    @router.post("/notes", response_model=CaseView, summary="Note the answer that was given to the customer")
    async def note(principal: Worker, case_id: CaseId, body: NoteBody, key: IdempotencyKey = None) -> Response:
        return await perform(principal, case_id, key, body, Note(body.agent, body.text))

    @router.post("/resolve", response_model=CaseView, summary="End it")
    async def resolve(principal: Worker, case_id: CaseId, body: ResolveBody, key: IdempotencyKey = None) -> Response:
        return await perform(principal, case_id, key, body, Resolve(body.agent, body.outcome, body.note or ""))

    @router.post("/reopen", response_model=CaseView, summary="Take a resolved case up again")
    async def reopen(principal: Worker, case_id: CaseId, body: ReopenBody, key: IdempotencyKey = None) -> Response:
        return await perform(principal, case_id, key, body, Reopen(body.agent, body.reason))

    @router.post("/transfer", response_model=CaseView, summary="Move it to another queue")
    async def transfer(principal: Worker, case_id: CaseId, body: TransferBody, key: IdempotencyKey = None) -> Response:
        return await perform(principal, case_id, key, body, Transfer(body.agent, body.queue))

    return router


def _fingerprint(case_id: UUID, command: Command, body: BaseModel) -> bytes:
    asked = [type(command).__name__, str(case_id), body.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()


def _customer_keys(tenant: str, customer: str) -> Sequence[str]:
    """The keys that the words may mean: the key itself, the company's id, or a handle within a source."""
    keys = [customer, customer_key(tenant, "", customer_id=customer)]
    source, colon, handle = customer.partition(":")
    if colon and handle:
        keys.append(customer_key(tenant, source, handle=handle))
    return keys


def _cursor(moment: datetime, identifier: UUID) -> str:
    return encode_cursor(moment.isoformat(), str(identifier))


def _place(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    moment, identifier = decode_cursor(cursor, 2)
    try:
        place: Any = datetime.fromisoformat(moment), UUID(identifier)
        if place[0].tzinfo is None:
            raise ValueError("a naive time")
    except (TypeError, ValueError, AttributeError):
        detail = "not a cursor of this list; start again without one"
        raise Problem(422, INVALID, errors=[FieldError("/query/cursor", detail)]) from None
    return place[0], place[1]
