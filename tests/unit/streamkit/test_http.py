"""What every HTTP service answers: problems, keys, limits, pages, health."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Query, Request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from voz_streamkit.health import Health
from voz_streamkit.http.app import create_app
from voz_streamkit.http.auth import ADMIN, EVENTS_WRITE, Principal, hash_key, new_key, parse_keys, requires
from voz_streamkit.http.paging import decode_cursor, encode_cursor, page
from voz_streamkit.http.problems import FieldError, Problem, pointer
from voz_streamkit.metrics import Metrics
from voz_streamkit.reload import FileError, ReloadingFile

KEY = new_key()
ENTRY = f"  - {{id: k, tenant: acme, sha256: {hash_key(KEY)}, scopes: ['events:write']}}\n"


class Thing(BaseModel):
    size: int


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    metrics = Metrics("test")
    app = create_app(title="t", version="1", description="d", health=Health(), metrics=metrics, max_body_bytes=100)
    keys = tmp_path / "keys.yaml"
    keys.write_text("keys:\n" + ENTRY)
    app.state.api_keys = ReloadingFile(keys, parse_keys, metrics)
    add_routes(app)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://voz") as made:
        yield made


def add_routes(app: FastAPI) -> None:
    @app.post("/things/{number}")
    async def make(number: int, thing: Thing, limit: Annotated[int, Query(le=5)] = 1) -> dict[str, int]:
        return {"number": number, "size": thing.size, "limit": limit}

    @app.get("/mine")
    async def mine(principal: Annotated[Principal, Depends(requires(EVENTS_WRITE))]) -> dict[str, str]:
        return {"tenant": principal.tenant}

    @app.get("/admin", dependencies=[Depends(requires(ADMIN))])
    async def admin() -> None:
        raise AssertionError("never reached without the scope")

    @app.get("/conflict")
    async def conflict() -> None:
        raise Problem(409, "taken", errors=[FieldError("/agent", "is luis")], holder="luis")

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("secret detail")

    @app.post("/stream")
    async def stream(request: Request) -> dict[str, int]:
        return {"size": sum([len(chunk) async for chunk in request.stream()])}


async def test_an_invalid_request_names_its_fields_by_pointer(client: httpx.AsyncClient) -> None:
    answer = await client.post("/things/x?limit=9", json={"size": "big"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/path/number", "/query/limit", "/size"}


@pytest.mark.parametrize(("path", "status"), [("/conflict", 409), ("/bug", 500), ("/nowhere", 404), ("/mine", 401)])
async def test_every_error_is_a_problem_document(client: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await client.get(path)
    assert answer.status_code == status == answer.json()["status"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret detail" not in answer.text


async def test_a_problem_carries_its_fields_and_extensions(client: httpx.AsyncClient) -> None:
    body = (await client.get("/conflict")).json()
    assert body["title"] == "Conflict"
    assert body["errors"] == [{"pointer": "/agent", "detail": "is luis"}]
    assert body["holder"] == "luis"


async def test_a_key_gives_its_tenant_and_only_its_scopes(client: httpx.AsyncClient) -> None:
    bearer = {"Authorization": f"Bearer {KEY}"}
    assert (await client.get("/mine", headers=bearer)).json() == {"tenant": "acme"}
    assert (await client.get("/admin", headers=bearer)).status_code == 403
    refused = await client.get("/mine", headers={"Authorization": f"Bearer {KEY}x"})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert (await client.get("/mine", headers={"Authorization": f"Basic {KEY}"})).status_code == 401


async def test_a_body_over_the_limit_is_refused_declared_or_streamed(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 10

    assert (await client.post("/stream", content=b"x" * 100)).json() == {"size": 100}
    assert (await client.post("/stream", content=b"x" * 101)).status_code == 413
    assert (await client.post("/stream", content=chunks())).status_code == 413


async def test_requests_are_counted_by_route_template(client: httpx.AsyncClient) -> None:
    await client.post("/things/7", json={"size": 1})
    await client.get("/no/such/path")
    text = (await client.get("/metrics")).text
    assert 'voz_http_requests_total{method="POST",route="/things/{number}",service="test",status="200"} 1.0' in text
    assert 'route="unmatched"' in text
    assert "/no/such/path" not in text


async def test_the_openapi_document_describes_problems(client: httpx.AsyncClient) -> None:
    assert "Problem" in (await client.get("/openapi.json")).json()["components"]["schemas"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("nothing: 1", 1, "list under `keys`"),
        ("keys:\n" + ENTRY + "  - {id: x}\n", 3, "exactly"),
        ("keys:\n" + ENTRY.replace("events:write", "fly"), 2, "unknown scopes fly"),
        ("keys:\n" + ENTRY.replace(hash_key(KEY), "abc"), 2, "64 hexadecimal"),
        ("keys:\n" + ENTRY + ENTRY, 3, "twice"),
    ],
)
def test_a_keys_file_with_an_error_names_the_line(text: str, line: int, words: str) -> None:
    with pytest.raises(FileError, match=words) as refused:
        parse_keys(text)
    assert refused.value.line == line


def test_a_changed_file_is_taken_and_a_broken_one_refused(tmp_path: Path) -> None:
    path, metrics = tmp_path / "keys.yaml", Metrics("test")
    path.write_text("keys: []\n")
    keys = ReloadingFile(path, parse_keys, metrics)
    assert not keys.refresh(), "unchanged"
    path.write_text("keys:\n" + ENTRY)
    assert keys.refresh()
    assert keys.value.find(KEY) is not None
    path.write_text("keys:\n  - {id: [\n")
    assert not keys.refresh()
    assert keys.value.find(KEY) is not None, "the one in force stays"
    path.unlink()
    assert not keys.refresh()
    refused = metrics.registry.get_sample_value("voz_file_reloads_total", {"file": "keys.yaml", "outcome": "refused"})
    assert refused == 2
    with pytest.raises(FileError):
        ReloadingFile(path, parse_keys, metrics)


@given(st.lists(st.one_of(st.text(), st.integers(), st.none()), max_size=4))
def test_a_cursor_gives_back_what_it_was_made_of(values: list[str | int | None]) -> None:
    assert decode_cursor(encode_cursor(*values), len(values)) == values


@given(st.text(max_size=40))
def test_a_made_up_cursor_is_a_problem_never_a_crash(text: str) -> None:
    with pytest.raises(Problem) as refused:
        decode_cursor(text, 3)
    assert refused.value.status == 422


def test_pages_and_pointers() -> None:
    assert page([1], None) == {"items": [1], "next": None}
    assert pointer(["a/b", 0, "c~d"]) == "/a~1b/0/c~0d"
    assert pointer([]) == ""
