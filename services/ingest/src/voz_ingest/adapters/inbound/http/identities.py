"""`/v1/identities`: which identities are one person, said and asked by people of the company."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from voz_ingest.domain.groups import MAX_GROUP, Member, Verdict
from voz_ingest.domain.identities import Identity, hidden, parse
from voz_ingest.ports import Claim, IdentitiesUnavailableError, IdentityDesk, Person, Said
from voz_streamkit.http.auth import ADMIN, Principal, requires
from voz_streamkit.http.problems import FieldError, Problem, problem_responses

RETRY_AFTER_SECONDS: Final = "5"
MAX_NAMED: Final = 50
_SECURED: Final[dict[str, Any]] = {"security": [{"key": []}]}
# The key under which a tenant's handles are hidden; empty where they aren't.
PseudonymKey = Callable[[str], str]
Admin = Annotated[Principal, Depends(requires(ADMIN))]
Written = Annotated[str, Field(max_length=400)]
Name = Annotated[
    Written, Query(description="`space:value`, such as company:c-42, email:ana@example.com, mastodon:@ana")
]


def _desk(request: Request) -> IdentityDesk:
    desk: IdentityDesk | None = request.app.state.identities
    if desk is None:
        raise Problem(503, "Links need PostgreSQL, and VOZ_POSTGRES_DSN names none.")
    return desk


Desk = Annotated[IdentityDesk, Depends(_desk)]


class Links(BaseModel):
    """Identities that are one person (or, taken out, no longer are), and why."""

    model_config = ConfigDict(extra="forbid")

    identities: list[Written] = Field(
        min_length=1,
        max_length=MAX_NAMED,
        description="Each `space:value`: `company` (the company's own customer id), `email`, `phone`, or a source's"
        " name with its own id of the person, or their handle there.",
        examples=[["company:c-42", "mastodon:@ana@mastodon.social"]],
    )
    note: str = Field("", max_length=500, description="For whoever wonders later.")


class IdentityView(BaseModel):
    """One identity."""

    identity: str
    key: str = Field(description="The customer key that it has by itself.")
    learned_through: str | None = Field(
        description="The linked identity that an event had beside this one; this one leaves with it."
    )


class SaidView(BaseModel):
    """Who has said what, and when."""

    at: datetime
    by: str = Field(description="`key:<id>`, `connection:<id>` or `cli:<user>`.")
    what: Literal["linked", "unlinked"]
    identities: list[str]
    note: str


class PersonView(BaseModel):
    """The identities of one person, oldest first."""

    key: str = Field(description="The customer key in force: all that they do has it from now on.")
    identities: list[IdentityView]
    said: list[SaidView]


class PersonPage(BaseModel):
    """One person for each identity asked for; those of one person are answered once."""

    items: list[PersonView]
    next: str | None = None


def routes(pseudonym_key: PseudonymKey) -> APIRouter:
    """The routes. The app keeps its desk in `app.state.identities`; None where no PostgreSQL is named."""
    router = APIRouter(
        prefix="/v1/identities", tags=["identities"], responses=problem_responses(401, 403, 409, 422, 503)
    )

    def read(principal: Principal, written: list[str], where: str) -> list[Identity]:
        key = pseudonym_key(principal.tenant).encode()
        found, errors = [], []
        for number, each in enumerate(written):
            try:
                found.append(hidden(parse(each), key))
            except ValueError as error:
                errors.append(FieldError(f"{where}/{number}", str(error)))
        if errors:
            raise Problem(422, "The request is not valid; `errors` says where.", errors=errors)
        return list(dict.fromkeys(found))

    async def person(desk: IdentityDesk, tenant: str, identity: Identity) -> PersonView:
        return _person_view(await desk.person(tenant, identity))

    @router.get("", summary="Whose identities these are", operation_id="findIdentities", openapi_extra=_SECURED)
    async def look(
        principal: Admin, desk: Desk, identity: Annotated[list[Name], Query(min_length=1, max_length=MAX_NAMED)]
    ) -> PersonPage:
        with _in_time():
            people = [
                await person(desk, principal.tenant, each) for each in read(principal, identity, "/query/identity")
            ]
        return PersonPage(items=list({each.key: each for each in people}.values()))

    @router.post(
        "/links",
        summary="Say that identities are one person",
        operation_id="linkIdentities",
        openapi_extra=_SECURED,
    )
    async def link(principal: Admin, desk: Desk, links: Links) -> PersonView:
        named = read(principal, links.identities, "/identities")
        if len(named) < 2:
            where = FieldError("/identities", "at least two different identities can be one person")
            raise Problem(422, "The request is not valid; `errors` says where.", errors=[where])
        with _in_time():
            claim = Claim(tuple(named), _said_by(principal), links.note, by_hand=True)
            if await desk.link(principal.tenant, claim) is Verdict.TOO_MANY:
                raise Problem(409, f"They would be more than {MAX_GROUP} identities, which is no one person.")
            return await person(desk, principal.tenant, named[0])

    @router.delete(
        "/links",
        summary="Take identities out of their group again",
        description="Named in the body, or by `identity` in the query, where a client can't send a body with DELETE.",
        operation_id="unlinkIdentities",
        openapi_extra=_SECURED,
    )
    async def unlink(
        principal: Admin,
        desk: Desk,
        identity: Annotated[list[Name] | None, Query(max_length=MAX_NAMED)] = None,
        links: Annotated[Links | None, Body()] = None,
    ) -> PersonPage:
        named = [
            *read(principal, links.identities if links else [], "/identities"),
            *read(principal, identity or [], "/query/identity"),
        ]
        if not named:
            where = FieldError("/identities", "is required")
            raise Problem(422, "The request is not valid; `errors` says where.", errors=[where])
        with _in_time():
            await desk.unlink(principal.tenant, named, _said_by(principal), links.note if links else "")
            return PersonPage(items=[await person(desk, principal.tenant, each) for each in dict.fromkeys(named)])

    return router


class _in_time:  # noqa: N801  # used as a function
    """Makes an outage a problem to be told."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        if isinstance(error, IdentitiesUnavailableError):
            detail = "PostgreSQL can't be asked at present; links that are known stay in force."
            raise Problem(503, detail, headers={"Retry-After": RETRY_AFTER_SECONDS}) from error


def _said_by(principal: Principal) -> str:
    return f"key:{principal.key_id}"


def _person_view(person: Person) -> PersonView:
    return PersonView(
        key=str(person.customer_key),
        identities=[_identity_view(each) for each in person.members],
        said=[_said_view(each) for each in person.said],
    )


def _identity_view(member: Member) -> IdentityView:
    through = str(member.through) if member.through else None
    return IdentityView(identity=str(member.identity), key=str(member.key), learned_through=through)


def _said_view(said: Said) -> SaidView:
    return SaidView(
        at=said.at,
        by=said.said_by,
        what="linked" if said.linked else "unlinked",
        identities=[str(each) for each in said.identities],
        note=said.note,
    )
