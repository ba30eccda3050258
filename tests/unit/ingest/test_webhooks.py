"""`/v1/webhooks/{connection}`: signed requests, challenges, what is nobody's event and what can't be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.ingest.conftest import Serve, Service
from tests.unit.ingest.fakes import event

from voz_ingest.adapters.inbound.formats.signatures import hex_hmac

CONNECTIONS = """
connections:
  - {id: plain, tenant: acme, source: api, secrets: [right, old-one]}
  - {id: kept, tenant: initech, source: api, secrets: [right], options: {keep_raw: true}}
  - {id: post, tenant: initech, source: mailgun, secrets: [signing-key]}
  - {id: wa, tenant: globex, source: whatsapp, secrets: [app-secret], options: {verify_token: "let me in"}}
tenants:
  - {id: acme, events_per_second: 1, burst_events: 3}
  - {id: globex, events_per_day: 2}
"""
MESSAGE = {
    "object": "whatsapp_business_account",
    "entry": [
        {
            "id": "1",
            "changes": [
                {
                    "field": "messages",
                    "value": {
                        "messaging_product": "whatsapp",
                        "metadata": {"display_phone_number": "15550001111", "phone_number_id": "99"},
                        "contacts": [{"profile": {"name": "Ana"}, "wa_id": "34600111222"}],
                        "messages": [
                            {
                                "from": "34600111222",
                                "id": "wamid.A",
                                "timestamp": "1763632800",
                                "type": "text",
                                "text": {"body": "¿Dónde está mi pedido?"},
                            }
                        ],
                    },
                }
            ],
        }
    ],
}


@pytest.fixture
async def webhooks(serve: Serve, tmp_path: Path) -> Service:
    path = tmp_path / "connections.yaml"
    path.write_text(CONNECTIONS)
    made: Service = await serve(connections_file=path)
    return made


async def send(service: Service, connection: str, body: Any, sign: Callable[[bytes], str] | None = None) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sign = sign or (lambda signed: hex_hmac("app-secret", signed))
    headers = {"X-Hub-Signature-256": f"sha256={sign(raw)}", "Authorization": ""}
    return await service.client.post(f"/v1/webhooks/{connection}", content=raw, headers=headers)


async def test_a_signed_payload_becomes_events_of_the_connections_tenant(webhooks: Service) -> None:
    answer = await send(webhooks, "wa", MESSAGE)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1), "Meta takes no other word for success"
    (taken,) = webhooks.log.events
    assert (taken.tenant, taken.event.source, taken.event.text) == ("globex", "whatsapp", "¿Dónde está mi pedido?")
    assert answer.json()["ids"] == [taken.id]
    again = await send(webhooks, "wa", MESSAGE)
    assert again.json()["ids"] == [taken.id], "a redelivery is the same event"


async def test_a_wrong_signature_is_refused_before_anything_is_read(webhooks: Service) -> None:
    answer = await send(webhooks, "wa", b"{ not even JSON", lambda _: "0" * 64)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert webhooks.log.events == []


async def test_what_is_no_event_is_accepted_and_counted(webhooks: Service) -> None:
    for body in ({"object": "something_new", "entry": []}, {"object": "whatsapp_business_account", "entry": []}):
        answer = await send(webhooks, "wa", body)
        assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "ids": [], "rejected": []})
    metrics = (await webhooks.client.get("/metrics")).text
    assert 'voz_ingest_webhooks_total{outcome="ignored",source="whatsapp"} 2.0' in metrics


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
async def test_a_signed_payload_that_cannot_be_read_is_a_problem(webhooks: Service, body: bytes) -> None:
    answer = await send(webhooks, "wa", body)
    assert answer.status_code == 422
    assert answer.json()["errors"]
    ((connection, kept, reason, detail),) = webhooks.evidence.put_aside
    assert (connection, kept, reason) == ("wa", body, "unreadable")
    assert detail
    webhooks.evidence.away = True
    assert (await send(webhooks, "wa", body)).status_code == 503, "what can't be kept is to come again"


async def test_an_event_that_is_refused_is_put_aside_and_the_others_are_taken(webhooks: Service) -> None:
    batch = [event(id="good"), event(id="bad", channel="fax")]
    answer = await webhooks.client.post("/v1/webhooks/plain?secret=right", json=batch)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    assert [rejected["pointer"] for rejected in answer.json()["rejected"]] == ["/channel"]
    ((_, body, reason, detail),) = webhooks.evidence.put_aside
    assert (json.loads(body), reason) == (batch, "rejected")
    assert "event 1: /channel" in detail


async def test_payloads_are_kept_byte_for_byte_only_where_it_is_asked_for(webhooks: Service) -> None:
    body = json.dumps(event(id="x"), indent=3).encode()
    answer = await webhooks.client.post("/v1/webhooks/kept?secret=right", content=body)
    await webhooks.client.post("/v1/webhooks/plain?secret=right", content=body)
    assert webhooks.raw.kept == [("kept", body, answer.json()["ids"])]


async def test_a_challenge_is_answered_and_a_wrong_one_refused(webhooks: Service) -> None:
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "let me in"}
    answer = await webhooks.client.get("/v1/webhooks/wa", params=asked)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    refused = await webhooks.client.get("/v1/webhooks/wa", params=asked | {"hub.verify_token": "guess"})
    assert refused.status_code == 401
    assert "1158201444" not in refused.text


async def test_a_signature_that_does_not_cover_the_body_is_used_once(webhooks: Service) -> None:
    sent_at = str(int(datetime.now(UTC).timestamp()))
    signature = {"timestamp": sent_at, "token": "t1", "signature": hex_hmac("signing-key", f"{sent_at}t1".encode())}
    mail = {"sender": "ana@example.com", "from": "Ana <ana@example.com>", "recipient": "hola@acme.example"}
    mail |= {"subject": "Factura", "Message-Id": "<1@example.com>"}

    async def post(text: str) -> int:
        form = {**mail, **signature, "body-plain": text, "stripped-text": text}
        return (await webhooks.client.post("/v1/webhooks/post", data=form)).status_code

    assert [await post("Me habéis cobrado dos veces."), await post("Me habéis cobrado dos veces.")] == [200, 200]
    assert await post("Todo perfecto, gracias.") == 401
    assert len({received.event.text for received in webhooks.log.events}) == 1


async def test_without_signatures_the_secret_stands_in_the_url(webhooks: Service) -> None:
    async def post(query: str) -> httpx.Response:
        return await webhooks.client.post(f"/v1/webhooks/plain{query}", json=event(id="x"))

    assert [(await post(query)).status_code for query in ("", "?secret=", "?secret=wrong")] == [401] * 3
    assert [(await post(query)).status_code for query in ("?secret=right", "?secret=old-one")] == [202] * 2


async def test_a_tenant_over_its_own_rate_waits(webhooks: Service) -> None:
    batch = [event(id=str(number)) for number in range(4)]
    answers = [await webhooks.client.post("/v1/webhooks/plain?secret=right", json=batch) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 429]
    assert int(answers[1].headers["retry-after"]) >= 1
    assert (await send(webhooks, "wa", MESSAGE)).status_code == 200, "another tenant's rate is its own"


async def test_a_tenant_over_its_quota_waits_for_tomorrow(webhooks: Service) -> None:
    answers = [await send(webhooks, "wa", MESSAGE) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 86_400


async def test_an_unknown_connection_and_other_methods_are_problems(webhooks: Service) -> None:
    assert (await webhooks.client.post("/v1/webhooks/nobody", json={})).status_code == 404
    refused = await webhooks.client.put("/v1/webhooks/wa", json={})
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST, GET, HEAD")
    assert (await webhooks.client.head("/v1/webhooks/wa")).status_code == 200


async def test_kafka_away_is_503_and_nothing_is_lost(webhooks: Service) -> None:
    webhooks.log.away = True
    answer = await send(webhooks, "wa", MESSAGE)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
