"""What the HTTP interface refuses, and how."""

from __future__ import annotations

from typing import Any

BAD_QUESTIONS: list[tuple[str, dict[str, str], str]] = [
    ("/v1/kpis", {"chanel": "social"}, "/query/chanel"),
    ("/v1/kpis", {"channel": "socal"}, "/query/channel"),
    ("/v1/kpis", {"kpi": "npss"}, "/query/kpi"),
    ("/v1/kpis", {"product": "\0"}, "/query/product"),
    ("/v1/kpis", {"by": "colour"}, "/query/by"),
    ("/v1/kpis", {"by": "channel,stage,topic"}, "/query/by"),
    ("/v1/kpis", {"window": "2h"}, "/query/window"),
    ("/v1/kpis", {"window": "1h", "from": "2026-01-01T00:00:00Z"}, "/query/from"),
    ("/v1/kpis", {"window": "1h", "to": "2026-01-01T00:00:00Z"}, "/query/to"),
    ("/v1/kpis", {"from": "2026-01-01T00:00:00"}, "/query/from"),
    ("/v1/kpis", {"from": "yesterday"}, "/query/from"),
    ("/v1/kpis", {"from": "0001-01-01T00:00:00+14:00"}, "/query/from"),
    ("/v1/kpis", {"to": "2026-01-01T00:00:00Z"}, "/query/from"),
    ("/v1/kpis", {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "/query/to"),
    ("/v1/kpis", {"from": "2026-01-02T00:00:00Z", "to": "9999-12-31T23:59:59Z"}, "/query/to"),
    ("/v1/kpis/volume/series", {"step": "7m30s"}, "/query/step"),
    ("/v1/kpis/volume/series", {"step": "7m"}, "/query/step"),
    ("/v1/kpis/volume/series", {"window": "30d", "step": "1m"}, "/query/step"),
    ("/v1/kpis/volume/series", {"from": "1990-01-01T00:00:00Z", "step": "1m"}, "/query/step"),
    ("/v1/friction", {"by": "stage"}, "/query/by"),
    ("/v1/customers/c-1/timeline", {"limit": "0"}, "/query/limit"),
    ("/v1/customers/c-1/timeline", {"page": "2"}, "/query/page"),
]


async def test_a_bad_question_names_the_parameter(api: Any) -> None:
    async with api.client() as client:
        for path, params, pointer in BAD_QUESTIONS:
            response = await client.get(path, params=params)
            assert response.status_code == 422, (path, params)
            assert response.headers["content-type"] == "application/problem+json"
            assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


async def test_figures_need_their_scope(api: Any) -> None:
    paths = ("kpis", "kpis/nps/series", "kpis/catalogue", "stream", "friction", "customers/k", "customers/k/timeline")
    for path in paths:
        async with api.client("poor") as client:
            assert (await client.get(f"/v1/{path}")).status_code == 403
        async with api.client("wrong") as client:
            response = await client.get(f"/v1/{path}")
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_nothing_that_is_asked_for_breaks_a_statement(api: Any) -> None:
    """Free values go to PostgreSQL as parameters; a NUL, which it can't hold, is nobody's value."""
    async with api.client() as client:
        for value in ("'; drop table metrics.rollup_day; --", "a\0b", "%", "\\", "x" * 5000, "ñ✓"):
            for name in ("product", "source", "queue"):
                response = await client.get("/v1/kpis", params={"kpi": "volume", name: value})
                assert (response.status_code, response.json()["groups"][0]["kpis"]["volume"]["value"]) == (200, 0)
        for key in ("%00", "a%00b", "mastodon:%00", "x:", ":x", ":", "%E2%9C%93"):
            assert (await client.get(f"/v1/customers/{key}")).status_code == 404


async def test_unknown_kpis_and_customers_are_not_found(api: Any) -> None:
    async with api.client() as client:
        for path in ("/v1/kpis/joy/series", "/v1/customers/nobody", "/v1/customers/nobody/timeline"):
            assert (await client.get(path)).status_code == 404


async def test_the_catalogue_describes_every_kpi(api: Any) -> None:
    catalogue = await api.get("/v1/kpis/catalogue")
    answered = (await api.get("/v1/kpis"))["groups"][0]["kpis"]
    assert {entry["id"] for entry in catalogue["items"]} == set(answered)
    for entry in catalogue["items"]:
        extras = set(answered[entry["id"]]) - {"value", "numerator", "denominator", "n"}
        assert extras == set(entry["extras"])
        assert entry["better"] in ("up", "down", "none")


async def test_the_board_is_served_with_a_strict_policy(api: Any) -> None:
    async with api.client() as client:
        for path in ("/", "/board.js", "/board.css"):
            response = await client.get(path)
            assert response.status_code == 200
            assert "default-src 'none'" in response.headers["content-security-policy"]
