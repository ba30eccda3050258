"""How long connectors wait, what they remember, what they keep as evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from voz_ingest.domain.connector import Recent
from voz_ingest.domain.evidence import without_credentials, without_secrets
from voz_ingest.domain.pacing import LONGEST_SECONDS, backoff_seconds, exhausted_seconds, refusal_seconds

pytestmark = pytest.mark.unit
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
IN_A_MINUTE = NOW + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "17"}, 17),
        ({"retry-after": "Fri, 20 Nov 2026 12:01:00 GMT"}, 60),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "soon", "x-ratelimit-reset": "9"}, 9),
        ({"x-ratelimit-reset": "60"}, 60),
        ({"x-ratelimit-reset": str(int(IN_A_MINUTE.timestamp()))}, 60),
        ({"x-ratelimit-reset": str(int(IN_A_MINUTE.timestamp() * 1000))}, 60),
        ({"x-ratelimit-reset": "2026-11-20T12:01:00.000Z"}, 60),
        ({"ratelimit-reset": "60"}, 60),
        ({"x-rate-limit-reset": "60"}, 60),
        ({"retry-after": "1e308"}, LONGEST_SECONDS),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_what_a_refusal_says(headers: dict[str, str], seconds: float | None) -> None:
    found = refusal_seconds(headers, NOW)
    assert found == (pytest.approx(seconds, abs=1) if seconds is not None else None)


def test_what_a_good_answer_says() -> None:
    assert exhausted_seconds({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2026-11-20T12:01:00Z"}, NOW) == 60
    assert exhausted_seconds({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "60"}, NOW) == 0
    assert exhausted_seconds({"x-ratelimit-remaining": "0"}, NOW) == 0
    assert exhausted_seconds({}, NOW) == 0


def test_the_backoff_doubles_up_to_its_limit_with_full_jitter() -> None:
    assert [backoff_seconds(n, 1.0, max_seconds=10) for n in (1, 2, 3, 4, 5, 500)] == [1, 2, 4, 8, 10, 10]
    assert backoff_seconds(4, 0.25) == 2
    assert backoff_seconds(4, 0.0) == 0


def test_the_newest_events_are_remembered() -> None:
    assert not Recent().changed
    recent = Recent(capacity=3)
    recent.add(["a", "b", "c"])
    recent.add(["a", "d"])
    assert recent.changed
    assert ["a" in recent, "b" in recent, "c" in recent, "d" in recent] == [True, False, True, True]
    again = Recent(recent.packed(), capacity=3)
    assert ["a" in again, "b" in again, "c" in again, "d" in again] == [True, False, True, True]
    assert len(recent.packed()) == 24
    assert "x" not in Recent(b"odd")


def test_evidence_has_no_credentials() -> None:
    kept = {"content-type": "application/json", "x-discourse-event": "post_destroyed", "user-agent": "zendesk"}
    secret = dict.fromkeys(
        [
            "authorization",
            "Cookie",
            "x-hub-signature-256",
            "x-shopify-hmac-sha256",
            "x-telegram-bot-api-secret-token",
            "sm-signature",
            "x-api-key",
            "apikey",
        ],
        "s3cret",
    )
    assert without_credentials({**kept, **secret}) == kept


def test_what_others_say_has_no_secret_of_ours() -> None:
    said = "the key AIza-123456 of app com.acme is not valid, nor is tok-987654; a"
    kept = without_secrets(said, ("tok-987654", "a"), {"api_key": "AIza-123456", "app": "com.acme", "port": 1})
    assert kept == "the key … of app com.acme is not valid, nor is …; a"
