"""How the simulator talks to the pipeline: it persists, and says what was refused. The servers here are small fakes."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from voz_devstack.clients import ConflictError, IngestClient, RouterClient

URL = "http://pipeline"


class Server:
    """Answers POSTs with what it was given, in that order; keeps what it was sent."""

    def __init__(self, answers: Sequence[JSONResponse]) -> None:
        self._answers = list(answers)
        self.bodies: list[object] = []
        self.keys: list[str | None] = []
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["POST"])])
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app))

    async def _answer(self, request: Request) -> JSONResponse:
        self.bodies.append(await request.json())
        self.keys.append(request.headers.get("idempotency-key"))
        return self._answers.pop(0)


def busy(status: int) -> JSONResponse:
    return JSONResponse({"title": "busy"}, status, headers={"Retry-After": "0"})


@pytest.mark.parametrize("status", [429, 503])
async def test_events_are_sent_again_with_the_same_ids_until_they_are_accepted(status: int) -> None:
    server = Server([busy(status), busy(status), JSONResponse({"accepted": 1, "ids": ["u"], "rejected": []}, 202)])
    sent = await IngestClient(server.http, URL).send([{"id": "1"}])
    assert (sent.ids, sent.rejected) == (["u"], [])
    assert server.bodies == [[{"id": "1"}]] * 3


async def test_what_was_rejected_is_said_with_its_place() -> None:
    some = {"accepted": 1, "ids": ["u"], "rejected": [{"index": 1, "pointer": "/text", "detail": "too long"}]}
    none = {"title": "nothing valid", "errors": [{"pointer": "/0/channel", "detail": "is required"}]}
    client = IngestClient(Server([JSONResponse(some, 202), JSONResponse(none, 422)]).http, URL)
    assert (await client.send([{}, {}])).rejected == ["/1/text: too long"]
    sent = await client.send([{}])
    assert (sent.ids, sent.rejected) == ((), ["/0/channel: is required"])


async def test_a_bad_key_is_not_tried_again() -> None:
    server = Server([JSONResponse({"title": "no"}, 401)])
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        await IngestClient(server.http, URL).send([{}])


async def test_work_on_a_case_is_repeated_under_one_key_and_a_conflict_is_told() -> None:
    server = Server([busy(503), JSONResponse({}), JSONResponse({"detail": "The case is claimed by tom."}, 409)])
    router = RouterClient(server.http, URL)
    await router.act("k", "claim", "one-key", agent="marta")
    assert server.keys == ["one-key", "one-key"]
    with pytest.raises(ConflictError, match="claimed by tom"):
        await router.act("k", "claim", "another", agent="marta")
