"""People work the queues over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from voz.v1.case_pb2 import CaseEvent, SupportCase
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_contracts.identity import customer_key

Make = Callable[..., EnrichedEvent]
Route = Callable[..., Awaitable[object]]
OnlyCase = Callable[[], Awaitable[str]]


async def outbox(engine: AsyncEngine) -> list[tuple[str, bytes]]:
    """Topics and values that wait to be published, in order."""
    async with engine.connect() as connection:
        rows = await connection.execute(text("select topic, value from router.outbox order by id"))
        return [(topic, value) for topic, value in rows]


async def test_a_case_from_queue_to_outcome(
    team: Any, engine: AsyncEngine, route: Route, make: Make, only_case: OnlyCase
) -> None:
    await route(make(text="Se cae la app"))
    case_id = await only_case()
    [care] = [each for each in (await team.reader.get("/v1/queues")).json()["items"] if each["queue"] == "care"]
    assert (care["waiting"], care["claimed"], care["past_due"], care["skills"]) == (1, 0, 0, ["care"])
    assert care["oldest_waiting_seconds"] >= 0
    listed = (await team.reader.get("/v1/queues/care/cases?status=open")).json()
    assert listed["next"] is None
    [item] = listed["items"]
    assert (item["id"], item["status"], item["rule"], item["reason"]) == (case_id, "open", "complaint", "A complaint")
    assert item["customer"] == {
        "key": customer_key("acme", "api", customer_id="c-42"),
        "id": "c-42",
        "handle": None,
        "name": None,
        "reach": 0,
    }
    assert item["signals"]["intents"] == ["complaint"]
    assert item["assignee"] is None

    path = f"/v1/cases/{case_id}"
    claimed = await team.worker.post(f"{path}/claim", json={"agent": "ana"})
    assert (claimed.status_code, claimed.json()["status"], claimed.json()["assignee"]) == (200, "claimed", "ana")
    noted = (await team.worker.post(f"{path}/notes", json={"agent": "ana", "text": "Reinicie, por favor"})).json()
    assert noted["status"] == "waiting"
    assert noted["first_response_at"] is not None
    moved = (await team.worker.post(f"{path}/transfer", json={"agent": "ana", "queue": "retention"})).json()
    assert (moved["queue"], moved["status"], moved["assignee"]) == ("retention", "open", None)
    await team.worker.post(f"{path}/claim", json={"agent": "luis"})
    solved = (await team.worker.post(f"{path}/resolve", json={"agent": "luis", "outcome": "solved"})).json()
    assert (solved["status"], solved["outcome"]) == ("resolved", "solved")
    again = await team.worker.post(f"{path}/reopen", json={"agent": "luis", "reason": "Vuelve a fallar"})
    assert (again.json()["status"], again.json()["reopen_count"]) == ("open", 1)

    detail = (await team.reader.get(path)).json()
    types = [entry["type"] for entry in detail["history"]]
    assert types == ["opened", "claimed", "noted", "transferred", "claimed", "resolved", "reopened"]
    assert [entry["sequence"] for entry in detail["history"]] == [1, 2, 3, 4, 5, 6, 7]
    assert detail["history"][2]["note"] == "Reinicie, por favor"
    assert [message["text"] for message in detail["messages"]] == ["Se cae la app"]
    assert detail["clock"]["first_response_seconds"] >= 0
    assert 3500 < detail["clock"]["seconds_left"] <= 3600

    sent = await outbox(engine)
    assert [topic for topic, _ in sent if topic != "voz.cases"] == [
        "voz.queue.care",
        "voz.queue.retention",
        "voz.queue.retention",
    ]
    on_cases = [CaseEvent.FromString(value) for topic, value in sent if topic == "voz.cases"]
    assert [each.sequence for each in on_cases] == [1, 2, 3, 4, 5, 6, 7]
    assert on_cases[2].agent == "ana"


async def test_a_company_s_own_topic_shows_wherever_its_case_does(
    team: Any, engine: AsyncEngine, route: Route, make: Make, only_case: OnlyCase
) -> None:
    await route(make(own_topic="lost-luggage"))
    await route(make(own_topic="refund-status"), make())
    path = f"/v1/cases/{await only_case()}"
    await team.worker.post(f"{path}/transfer", json={"agent": "ana", "queue": "retention"})
    detail = (await team.reader.get(path)).json()
    assert [message["signals"]["own_topic"] for message in detail["messages"]] == [
        "lost-luggage",
        "refund-status",
        None,
    ]
    [listed] = (await team.reader.get("/v1/queues/retention/cases")).json()["items"]
    assert listed["signals"]["own_topic"] == detail["signals"]["own_topic"] == "lost-luggage"
    sent = [
        (topic, (CaseEvent.FromString(value).support_case if topic == "voz.cases" else SupportCase.FromString(value)))
        for topic, value in await outbox(engine)
    ]
    assert [topic for topic, _ in sent if topic != "voz.cases"] == ["voz.queue.care", "voz.queue.retention"]
    assert {(topic, case.signals.own_topic) for topic, case in sent} == {
        ("voz.cases", "lost-luggage"),
        ("voz.queue.care", "lost-luggage"),
        ("voz.queue.retention", "lost-luggage"),
    }


async def test_what_an_open_case_forbids(team: Any, route: Route, make: Make, only_case: OnlyCase) -> None:
    await route(make())
    path = f"/v1/cases/{await only_case()}"
    for call, body in (("reopen", {"reason": "why"}), ("transfer", {"queue": "care"})):
        refused = await team.worker.post(f"{path}/{call}", json={"agent": "ana"} | body)
        assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")


async def test_what_a_resolved_case_forbids(
    team: Any, engine: AsyncEngine, route: Route, make: Make, only_case: OnlyCase
) -> None:
    await route(make())
    path = f"/v1/cases/{await only_case()}"
    assert (await team.worker.post(f"{path}/resolve", json={"agent": "ana", "outcome": "spam"})).status_code == 200
    before = await outbox(engine)
    for call, body in (
        ("claim", {}),
        ("notes", {"text": "x"}),
        ("resolve", {"outcome": "again"}),
        ("transfer", {"queue": "retention"}),
    ):
        assert (await team.worker.post(f"{path}/{call}", json={"agent": "ana"} | body)).status_code == 409
    assert await outbox(engine) == before


async def test_twenty_claim_at_once_and_one_has_it(team: Any, route: Route, make: Make, only_case: OnlyCase) -> None:
    await route(make())
    path = f"/v1/cases/{await only_case()}"
    answers = await asyncio.gather(
        *(team.worker.post(f"{path}/claim", json={"agent": f"agent-{each}"}) for each in range(20))
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [409] * 19
    winner = next(answer.json()["assignee"] for answer in answers if answer.status_code == 200)
    detail = (await team.reader.get(path)).json()
    assert detail["assignee"] == winner
    assert [entry["type"] for entry in detail["history"]] == ["opened", "claimed"]


async def test_a_request_with_a_key_is_done_once(
    team: Any, engine: AsyncEngine, route: Route, make: Make, only_case: OnlyCase
) -> None:
    await route(make())
    path = f"/v1/cases/{await only_case()}"
    key = {"Idempotency-Key": "one"}
    note = {"agent": "ana", "text": "Le hemos llamado"}
    answers = await asyncio.gather(*(team.worker.post(f"{path}/notes", json=note, headers=key) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 7
    detail = (await team.reader.get(path)).json()
    assert [entry["type"] for entry in detail["history"]] == ["opened", "noted"]
    for other in (
        team.worker.post(f"{path}/notes", json=note | {"text": "Otra cosa"}, headers=key),
        team.worker.post(f"{path}/claim", json={"agent": "ana"}, headers=key),
    ):
        assert (await other).status_code == 422
    # A refusal is no answer to be kept: the key can be used when the state allows it.
    second = {"Idempotency-Key": "two"}
    reason = {"agent": "ana", "reason": "again"}
    assert (await team.worker.post(f"{path}/reopen", json=reason, headers=second)).status_code == 409
    await team.worker.post(f"{path}/resolve", json={"agent": "ana", "outcome": "solved"})
    assert (await team.worker.post(f"{path}/reopen", json=reason, headers=second)).status_code == 200
    # Another tenant's key of the same name is another key.
    assert (await team.other.post(f"{path}/notes", json=note, headers=key)).status_code == 404


async def test_tenants_see_only_their_own(team: Any, route: Route, make: Make, only_case: OnlyCase) -> None:
    message = make()
    await route(message)
    case_id = await only_case()
    assert (await team.other.get(f"/v1/cases/{case_id}")).status_code == 404
    assert (await team.other.post(f"/v1/cases/{case_id}/claim", json={"agent": "eve"})).status_code == 404
    assert (await team.other.get("/v1/queues/care/cases")).json()["items"] == []
    assert all(each["waiting"] == 0 for each in (await team.other.get("/v1/queues")).json()["items"])
    for query in (f"event_id={message.event.id}", "customer=c-42", f"customer={message.event.customer.key}"):
        assert (await team.other.get(f"/v1/decisions?{query}")).json()["items"] == []


async def test_scopes_are_needed(team: Any, route: Route, make: Make, only_case: OnlyCase) -> None:
    await route(make())
    path = f"/v1/cases/{await only_case()}"
    assert (await team.reader.post(f"{path}/claim", json={"agent": "ana"})).status_code == 403
    async with httpx.AsyncClient(base_url=team.url) as nobody:
        assert (await nobody.get("/v1/queues")).status_code == 401
        assert (await nobody.post(f"{path}/claim", json={"agent": "ana"})).status_code == 401
        assert (await nobody.get("/livez")).status_code == 200
        assert (await nobody.get("/metrics")).status_code == 200


async def test_a_queue_is_read_in_pages_by_due_time(team: Any, engine: AsyncEngine, route: Route, make: Make) -> None:
    await route(*(make(f"c-{each}") for each in range(7)))
    # Two are due at the same time.
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "update router.support_case set due_at = timestamptz '2026-11-20 10:00Z' - interval '1 minute' * "
                "((('x' || right(customer_id, 1))::bit(4)::int) / 2)"
            )
        )
    seen: list[dict[str, str]] = []
    cursor = ""
    while True:
        page = (await team.reader.get(f"/v1/queues/care/cases?limit=2{cursor}")).json()
        assert len(page["items"]) <= 2
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert len({item["id"] for item in seen}) == 7
    assert [item["due_at"] for item in seen] == sorted(item["due_at"] for item in seen)
    [care] = [each for each in (await team.reader.get("/v1/queues")).json()["items"] if each["queue"] == "care"]
    assert care["waiting"] == 7


BAD_QUESTIONS = [
    ("/v1/queues/nowhere/cases", 404),
    ("/v1/queues/care/cases?status=lost", 422),
    ("/v1/queues/care/cases?limit=0", 422),
    ("/v1/queues/care/cases?limit=100000", 422),
    ("/v1/queues/care/cases?cursor=abc", 422),
    ("/v1/queues/care/cases?cursor=WyJhIiwiYiJd", 422),
    ("/v1/queues/care/cases?cursor=WzEsMl0", 422),
    ("/v1/queues/%00/cases", 422),
    ("/v1/cases/7", 422),
    (f"/v1/cases/{uuid4()}", 404),
    ("/v1/decisions", 422),
    (f"/v1/decisions?customer=a&event_id={uuid4()}", 422),
    ("/v1/decisions?customer=%00", 422),
    ("/v1/decisions?event_id=x", 422),
]
BAD_BODIES = [
    ("claim", {}, "/agent"),
    ("claim", {"agent": ""}, "/agent"),
    ("claim", {"agent": "a\nb"}, "/agent"),
    ("claim", {"agent": "x" * 201}, "/agent"),
    ("claim", {"agent": "ana", "more": 1}, "/more"),
    ("notes", {"agent": "ana", "text": "a\0b"}, "/text"),
    ("notes", {"agent": "ana", "text": "\ud800"}, "/text"),
    ("notes", {"agent": "ana", "text": "x" * 10_001}, "/text"),
    ("resolve", {"agent": "ana"}, "/outcome"),
    ("transfer", {"agent": "ana", "queue": "nowhere"}, "/queue"),
]


async def test_bad_questions_get_a_problem(team: Any) -> None:
    for path, status in BAD_QUESTIONS:
        answer = await team.reader.get(path)
        assert (path, answer.status_code) == (path, status)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_bad_bodies_name_the_field(team: Any, route: Route, make: Make, only_case: OnlyCase) -> None:
    await route(make())
    path = f"/v1/cases/{await only_case()}"
    json_type = {"Content-Type": "application/json"}
    for call, body, pointer in BAD_BODIES:
        answer = await team.worker.post(f"{path}/{call}", content=json.dumps(body), headers=json_type)
        assert (body, answer.status_code) == (body, 422)
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    for body_text, status in (("{", 422), ("[" * 20_000, 400), ('{"agent": "' + "x" * 300_000, 413)):
        answer = await team.worker.post(f"{path}/claim", content=body_text, headers=json_type)
        assert (body_text[:5], answer.status_code) == (body_text[:5], status)


async def test_decisions_say_why_and_why_not(team: Any, route: Route, make: Make) -> None:
    complaint, question = make(), make(intents=["question"], text="")
    praise = make("c-7", sentiment="positive", intents=["praise"])
    await route(complaint)
    await route(question, praise)
    [decided] = (await team.reader.get(f"/v1/decisions?event_id={complaint.event.id}")).json()["items"]
    assert (decided["act"], decided["effect"], decided["rule"], decided["reason"]) == (
        True,
        "opened",
        "complaint",
        "A complaint",
    )
    assert "intents: complaint" in decided["because"]
    assert decided["policy_version"].startswith("test+")
    assert decided["case_id"] is not None
    for name in ("c-42", complaint.event.customer.key):
        first = (await team.reader.get(f"/v1/decisions?customer={name}&limit=1")).json()
        assert [each["event_id"] for each in first["items"]] == [question.event.id], "newest first"
        second = (await team.reader.get(f"/v1/decisions?customer={name}&limit=1&cursor={first['next']}")).json()
        assert [each["event_id"] for each in second["items"]] == [complaint.event.id]
        assert second["next"] is None
    [left] = (await team.reader.get("/v1/decisions?customer=c-7")).json()["items"]
    assert (left["act"], left["rule"], left["reason"], left["case_id"]) == (False, "praise", "Happy", None)
    handle = make("ignored")
    handle.event.customer.key = customer_key("acme", "mastodon", handle="@ana")
    await route(handle)
    found = (await team.reader.get("/v1/decisions", params={"customer": "mastodon:@ana"})).json()["items"]
    assert [each["event_id"] for each in found] == [handle.event.id]


async def test_reopening_beside_another_open_case_is_a_conflict(
    team: Any, engine: AsyncEngine, route: Route, make: Make, only_case: OnlyCase
) -> None:
    await route(make())
    first = await only_case()
    await team.worker.post(f"/v1/cases/{first}/resolve", json={"agent": "ana", "outcome": "solved"})
    await route(make())
    refused = await team.worker.post(f"/v1/cases/{first}/reopen", json={"agent": "ana", "reason": "again"})
    assert refused.status_code == 409
    assert "another case open" in refused.json()["detail"]


async def test_past_due_is_counted_and_shown(
    team: Any, engine: AsyncEngine, route: Route, make: Make, only_case: OnlyCase
) -> None:
    await route(make())
    async with engine.begin() as connection:
        await connection.execute(
            text("update router.support_case set due_at = :due"), {"due": datetime.now(UTC) - timedelta(hours=1)}
        )
    [care] = [each for each in (await team.reader.get("/v1/queues")).json()["items"] if each["queue"] == "care"]
    assert care["past_due"] == 1
    detail = (await team.reader.get(f"/v1/cases/{await only_case()}")).json()
    assert detail["clock"]["past_due"] is True
    assert detail["clock"]["seconds_left"] < -3000


async def test_the_policy_in_force_is_shown(team: Any) -> None:
    shown = (await team.reader.get("/v1/policy")).json()
    assert shown["version"].startswith("test+")
    assert [rule["id"] for rule in shown["rules"]] == ["churn", "complaint", "idea", "praise"]
    assert shown["rules"][3] == {
        "id": "praise",
        "when": {"direction": ["inbound"], "audience": ["customer"], "sentiment": ["positive"]},
        "act": False,
        "reason": "Happy",
    }
