"""What `POST /v1/events` answers."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.ingest.conftest import KEYS, Serve, Service
from tests.unit.ingest.fakes import PLAIN, event

from voz_contracts import identity
from voz_ingest.adapters.inbound.http.bodies import PART_EVENTS

NDJSON = "application/x-ndjson"
CLOUDEVENT = {"specversion": "1.0", "id": "ce-1", "source": "/shop", "type": "said", "data": event()}


def lines(*events: Any) -> str:
    return "".join(f"{json.dumps(each)}\n" for each in events)


def pointers(answer: httpx.Response) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["pointer"] for error in answer.json()["errors"]]


async def test_an_accepted_event_is_in_the_log_under_the_id_of_its_source(service: Service) -> None:
    answer = await service.post(json.dumps(PLAIN))
    expected = str(identity.event_id("acme", "mastodon", "tweet-841"))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "ids": [expected], "rejected": []})
    (kept,) = service.log.events
    assert (kept.id, kept.tenant, kept.event.text) == (expected, "acme", PLAIN["text"])
    assert service.budget.used_bytes == 0


async def test_an_event_without_an_id_gets_a_random_one(service: Service) -> None:
    ids = [(await service.post(json.dumps(event()))).json()["ids"][0] for _ in range(2)]
    assert UUID(ids[0]).version == 4
    assert ids[0] != ids[1]


async def test_an_idempotency_key_names_events_that_have_no_id(service: Service) -> None:
    body = json.dumps([event(), event(), event(id="own")])
    first = (await service.post(body, idempotency_key="k-1")).json()["ids"]
    assert len(set(first)) == 3
    assert (await service.post(body, idempotency_key="k-1")).json()["ids"] == first
    other = (await service.post(body, idempotency_key="k-2")).json()["ids"]
    assert other[2] == first[2]
    assert not {*other[:2]} & {*first}
    assert pointers(await service.post(body, idempotency_key="k" * 256)) == ["/header/idempotency-key"]


async def test_a_batch_takes_the_good_and_names_the_bad_by_index(service: Service) -> None:
    answer = await service.post(json.dumps([event(id="a"), event(occurred_at="x"), event(id="b", foo=1, bar=2), 7]))
    body = answer.json()
    assert answer.status_code == 202
    assert body["accepted"] == 2
    assert [(each["index"], each["pointer"]) for each in body["rejected"]] == [(1, "/occurred_at"), (3, "")]
    assert set(body["ignored"]) == {"/foo", "/bar"}
    assert [kept.event.source_id for kept in service.log.events] == ["a", "b"]


async def test_a_rejected_event_with_several_errors_lists_them(service: Service) -> None:
    body = (await service.post(json.dumps([event(), {"channel": "fax", "text": "x"}]))).json()
    (rejected,) = body["rejected"]
    assert (rejected["index"], rejected["pointer"]) == (1, "/channel")
    assert {error["pointer"] for error in rejected["errors"]} == {"/channel", "/customer"}


async def test_when_nothing_is_valid_the_problem_points_into_the_body(service: Service) -> None:
    single = await service.post(json.dumps(event(occurred_at="x", foo=1)))
    assert (single.status_code, pointers(single)) == (422, ["/occurred_at"])
    assert single.json()["ignored"] == ["/foo"]
    many = await service.post(json.dumps([event(channel="fax"), 3, event(customer=None)]))
    assert (many.status_code, pointers(many)) == (422, ["/0/channel", "/1", "/2/customer"])
    assert service.log.events == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1,]",
        b'{"text": "\xff"}',
        b'{"text": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 5000,
        b"nul",
        b"{}{}",
        b"[]",
    ],
)
async def test_a_body_that_is_not_json_or_too_deep_or_empty_is_unprocessable(service: Service, body: bytes) -> None:
    answer = await service.post(body)
    assert answer.status_code == 422
    assert pointers(answer) == [""]


async def test_deep_json_in_an_unknown_field_is_ignored_without_recursion(service: Service) -> None:
    deep = "[" * 900 + "]" * 900
    answer = await service.post(json.dumps(event())[:-1] + f', "deep": {deep}}}')
    assert (answer.status_code, answer.json()["ignored"]) == (202, ["/deep"])


async def test_ndjson_is_read_line_by_line(service: Service) -> None:
    body = lines(event(id="a")) + "\n  \r\nnot json\n" + json.dumps(event(id="b")) + "\r\n" + json.dumps(event(id="c"))
    answer = await service.post(body, NDJSON)
    assert [kept.event.source_id for kept in service.log.events] == ["a", "b", "c"]
    assert [(each["index"], each["pointer"]) for each in answer.json()["rejected"]] == [(1, "")]


@given(cuts=st.lists(st.integers(1, 80), max_size=40))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_ndjson_is_the_same_however_it_is_cut(service: Service, cuts: list[int]) -> None:
    body = lines(*(event(id=f"é-{n}") for n in range(7))).encode()

    async def chunks() -> AsyncIterator[bytes]:
        left = body
        for cut in cuts:
            yield left[:cut]
            left = left[cut:]
        yield left

    service.log.events.clear()
    answer = await service.post(chunks(), NDJSON)
    assert answer.json()["accepted"] == 7
    assert [kept.event.source_id for kept in service.log.events] == [f"é-{n}" for n in range(7)]


async def test_a_line_that_is_too_long_is_rejected_without_being_held(serve: Serve) -> None:
    service: Service = await serve(max_line_bytes=1024, max_in_flight_bytes=1 << 20)

    async def chunks() -> AsyncIterator[bytes]:
        yield lines(event(id="a")).encode()
        for _ in range(64):
            yield b"x" * 65536
        yield b"x\n" + b"y" * 2000 + b"\n" + lines(event(id="b")).encode()

    answer = await service.post(chunks(), NDJSON)
    assert [kept.event.source_id for kept in service.log.events] == ["a", "b"]
    assert [each["index"] for each in answer.json()["rejected"]] == [1, 2]


async def test_large_batches_go_to_the_log_in_parts_and_in_order(service: Service) -> None:
    events = [event(id=str(n)) for n in range(1234)]
    for body, kind in ((json.dumps(events), "application/json"), (lines(*events), NDJSON)):
        service.log.events.clear()
        service.log.parts.clear()
        answer = await service.post(body, kind)
        assert answer.json()["accepted"] == 1234
        assert [kept.event.source_id for kept in service.log.events] == [str(n) for n in range(1234)]
        assert answer.json()["ids"] == [kept.id for kept in service.log.events]
        assert max(service.log.parts) <= 500


async def test_cloudevents_structured_batch_and_binary_are_the_same_event(service: Service) -> None:
    structured = await service.post(json.dumps(CLOUDEVENT), "application/cloudevents+json; charset=utf-8")
    batch = await service.post(json.dumps([CLOUDEVENT]), "application/cloudevents-batch+json")
    attributes = {"ce_specversion": "1.0", "ce_id": "ce-1", "ce_source": "/shop", "ce_type": "said"}
    binary = await service.post(json.dumps(event()), **attributes)
    ids = {answer.json()["ids"][0] for answer in (structured, batch, binary)}
    assert ids == {str(identity.event_id("acme", "/shop", "ce-1"))}


async def test_cloudevents_attributes_say_what_the_data_leave_out(service: Service) -> None:
    envelope = CLOUDEVENT | {
        "time": "2026-01-02T03:04:05Z",
        "subject": "c-9",
        "custom": "x",
        "data": {"channel": "web", "text": "hi", "customer": {"name": "Ana"}, "id": "mine"},
    }
    answer = await service.post(json.dumps(envelope), "application/cloudevents+json")
    assert set(answer.json()["ignored"]) == {"/custom", "/data/id"}
    kept = service.log.events[0].event
    assert (kept.customer.id, kept.customer.name, kept.source, kept.source_id) == ("c-9", "Ana", "/shop", "ce-1")
    assert kept.occurred_at.isoformat() == "2026-01-02T03:04:05+00:00"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"specversion": "0.3"}, ["/specversion"]),
        ({"id": ""}, ["/id"]),
        ({"source": "a b"}, ["/source"]),
        ({"type": None}, ["/type"]),
        ({"data": None}, ["/data"]),
        ({"data": "text"}, ["/data"]),
        ({"data": event(channel="fax")}, ["/data/channel"]),
        ({"time": "noon"}, ["/time"]),
        ({"subject": "a\0", "data": event(customer=None)}, ["/subject"]),
        ({"datacontenttype": "text/plain"}, ["/datacontenttype"]),
        ({"data_base64": "%%"}, ["/data_base64"]),
        ({"data_base64": base64.b64encode(b"{").decode()}, ["/data_base64"]),
    ],
)
async def test_what_is_wrong_in_an_envelope_is_named_there(service: Service, change: Any, expected: list[str]) -> None:
    answer = await service.post(json.dumps(CLOUDEVENT | change), "application/cloudevents+json")
    assert pointers(answer) == expected


async def test_data_may_come_in_base64(service: Service) -> None:
    envelope = {name: value for name, value in CLOUDEVENT.items() if name != "data"}
    encoded = base64.b64encode(json.dumps(event()).encode()).decode()
    answer = await service.post(json.dumps(envelope | {"data_base64": encoded}), "application/cloudevents+json")
    assert answer.status_code == 202


async def test_binary_mode_decodes_its_headers_and_points_at_them(service: Service) -> None:
    attributes = {"ce_specversion": "1.0", "ce_id": "%C3%A9-1", "ce_source": "/shop", "ce_type": "said"}
    assert (await service.post(json.dumps(event()), **attributes)).status_code == 202
    assert service.log.events[0].event.source_id == "é-1"
    wrong = await service.post(json.dumps(event()), **attributes | {"ce_time": "noon", "ce_id": "%ff"})
    assert pointers(wrong) == ["/header/ce-id", "/header/ce-id"]
    wrong = await service.post(json.dumps(event(channel="fax")), **attributes | {"ce_time": "noon"})
    assert pointers(wrong) == ["/channel", "/header/ce-time"]


async def test_a_cloudevents_batch_must_be_an_array(service: Service) -> None:
    answer = await service.post(json.dumps(CLOUDEVENT), "application/cloudevents-batch+json")
    assert (answer.status_code, pointers(answer)) == (422, [""])


async def test_two_megabytes_of_text_are_rejected_by_pointer(service: Service) -> None:
    body = json.dumps([event(id="good"), event(text="x" * 2_000_000)])
    for answer in (await service.post(body), await service.post(lines(*json.loads(body)), NDJSON)):
        assert answer.status_code == 202
        assert [each["pointer"] for each in answer.json()["rejected"]] == ["/text"]


async def test_a_batch_of_a_hundred_thousand_is_too_large_and_told_what_to_do(service: Service) -> None:
    body = "[" + ",".join(["1"] * 100_000) + "]"
    answer = await service.post(body)
    assert answer.status_code == 413
    assert "at most 10000 events" in answer.json()["detail"]
    assert "application/x-ndjson" in answer.json()["detail"]


async def test_a_stream_over_its_limit_says_what_it_took(serve: Serve) -> None:
    service: Service = await serve(max_stream_events=600)
    answer = await service.post(lines(*(event(id=str(n)) for n in range(1000))), NDJSON)
    assert answer.status_code == 413
    assert answer.json()["accepted"] == 500 == len(service.log.events) == len(answer.json()["ids"])


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_body_over_the_limit_is_too_large(serve: Serve, streamed: bool) -> None:
    service: Service = await serve(max_body_bytes=2000, max_stream_bytes=10_000)

    async def chunks(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 500):
            yield b"x" * 500

    assert (await service.post(chunks(2500) if streamed else b"x" * 2500)).status_code == 413
    assert (await service.post(chunks(20_000) if streamed else b"x" * 20_000, NDJSON)).status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/xml"])
async def test_other_media_types_are_refused_with_those_that_are_taken(service: Service, kind: str) -> None:
    answer = await service.post(json.dumps(event()), kind)
    assert answer.status_code == 415
    assert NDJSON in answer.headers["accept-post"]


async def test_a_compressed_body_is_refused(service: Service) -> None:
    assert (await service.post(b"x", content_encoding="gzip")).status_code == 415


async def test_a_key_decides_whose_the_events_are(service: Service) -> None:
    body = json.dumps(PLAIN)
    assert (await service.post(body, authorization="Bearer wrong")).status_code == 401
    assert (await service.post(body, authorization=f"Bearer {KEYS['reader']}")).status_code == 403
    assert (await service.post(body, authorization=f"Bearer {KEYS['globex']}")).status_code == 202
    assert (await service.post(body)).status_code == 202
    assert [kept.tenant for kept in service.log.events] == ["globex", "acme"]
    assert service.log.events[0].id != service.log.events[1].id
    stolen = await service.post(json.dumps(event(tenant="globex")))
    assert (stolen.status_code, pointers(stolen)) == (422, ["/tenant"])


async def test_a_tenant_over_its_rate_is_told_when_to_come_again(serve: Serve) -> None:
    service: Service = await serve(rate_events_per_second=0.5, rate_burst_events=2)
    assert (await service.post(json.dumps([event(), event(), event()]))).status_code == 202
    answer = await service.post(json.dumps(event()))
    assert answer.status_code == 429
    assert 2 <= int(answer.headers["retry-after"]) <= 4
    assert (await service.post(json.dumps(event()), authorization=f"Bearer {KEYS['globex']}")).status_code == 202


async def test_when_the_log_is_away_nothing_is_promised(service: Service) -> None:
    service.log.away = True
    answer = await service.post(json.dumps(event()))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "accepted" not in answer.json()
    assert service.budget.used_bytes == 0


@pytest.mark.parametrize("kind", ["application/json", NDJSON])
async def test_a_batch_that_is_cut_short_says_what_was_acknowledged(service: Service, kind: str) -> None:
    service.log.after_parts = 2
    events = [event(id=str(n)) for n in range(1600)]
    answer = await service.post(json.dumps(events) if kind == "application/json" else lines(*events), kind)
    assert answer.status_code == 503
    assert answer.json()["accepted"] == 1000
    assert answer.json()["ids"] == [kept.id for kept in service.log.events]


async def test_too_much_in_flight_is_refused_before_it_is_read(serve: Serve) -> None:
    service: Service = await serve(max_in_flight_bytes=1 << 20)
    service.budget.take((1 << 20) - 100)
    for kind in ("application/json", NDJSON):
        answer = await service.post(json.dumps(PLAIN), kind)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    service.budget.give((1 << 20) - 100)
    assert (await service.post(json.dumps(PLAIN))).status_code == 202
    assert service.budget.used_bytes == 0


async def test_a_bug_is_answered_and_leaves_nothing_held(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(service.log, "begin", bug)
    monkeypatch.setattr(service.log, "append", bug)
    answers = await asyncio.gather(*(service.post(json.dumps(event(id=str(n)))) for n in range(3)))
    assert {answer.status_code for answer in answers} == {500}
    assert service.budget.used_bytes == 0


async def test_a_client_that_goes_away_leaves_nothing_held(service: Service) -> None:
    body = lines(event(id="a"), *(event() for _ in range(PART_EVENTS))).encode()
    told: list[dict[str, Any]] = [
        {"type": "http.request", "body": body, "more_body": True},
        {"type": "http.disconnect"},
    ]
    headers = {"content-type": NDJSON, "authorization": f"Bearer {KEYS['acme']}"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/events",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict[str, Any]:
        return told.pop(0)

    async def send(_: Any) -> None: ...

    await service.app(scope, receive, send)
    assert told == []
    assert len(service.log.events) == PART_EVENTS, "what was read before it went is kept"
    assert service.budget.used_bytes == 0


async def test_a_record_can_be_followed(service: Service) -> None:
    mine = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await service.post(json.dumps(event()), traceparent=mine)
    await service.post(json.dumps(event()), traceparent="garbage\x01")
    await service.post(json.dumps(event()))
    traces = [kept.traceparent for kept in service.log.events]
    assert traces[0] == mine
    assert len({*traces}) == 3
    assert all(len(trace) == 55 for trace in traces)


async def test_events_are_sent_with_post(service: Service) -> None:
    answer = await service.client.get("/v1/events")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_figures_tell_accepted_from_rejected_and_refused(service: Service) -> None:
    await service.post(json.dumps([event(), event(channel="fax")]))
    service.log.away = True
    await service.post(json.dumps(event()))
    figures = (await service.client.get("/metrics")).text
    assert 'voz_ingest_events_total{outcome="accepted"} 1.0' in figures
    assert 'voz_ingest_events_total{outcome="rejected"} 1.0' in figures
    assert 'voz_ingest_refused_total{reason="kafka"} 1.0' in figures
    assert 'route="/v1/events",service="ingest",status="202"' in figures


JSON_BYTES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
).map(lambda said: json.dumps(said).encode())
KINDS = st.sampled_from(
    ["application/json", NDJSON, "application/cloudevents+json", "application/cloudevents-batch+json", "text/plain"]
)


@given(body=st.binary(max_size=200) | JSON_BYTES, kind=KINDS, binary=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_no_body_breaks_it(service: Service, body: bytes, kind: str, binary: bool) -> None:
    headers = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/s", "ce_type": "t"} if binary else {}
    answer = await service.post(body, kind, **headers)
    assert answer.status_code in (202, 415, 422)
    assert service.budget.used_bytes == 0
