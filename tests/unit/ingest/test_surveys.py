"""What survey tools announce is asked for at their own hosts only; what a connection says of questions is checked."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from voz_ingest.adapters.inbound.connectors.declared import allowed_hosts
from voz_ingest.adapters.inbound.sources import Payload, Pull, load
from voz_ingest.adapters.outbound.guard import Guard
from voz_ingest.domain.connection import Connection

COMPLETED = {"Topic": "t", "Status": "Complete", "SurveyID": "SV_1AmkKSDmoZ4XlQx", "ResponseID": "R_0B7IcnXszjEUHLP"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def asked(source: str, body: bytes, *secrets: str, headers: dict[str, str] | None = None, **options: Any) -> list[Pull]:
    """What is asked for; every URL is one that the source's module may ask."""
    module = load(source)
    assert module.announced is not None
    found = module.announced(Payload(body, headers or {}, options=options), secrets)
    for pull in found:
        Guard().check(pull.url, allowed_hosts(Connection("c", "acme", source, options=options), module))
    return found


def qualtrics(*secrets: str, changed: dict[str, Any] | None = None, **options: Any) -> list[Pull]:
    body = urlencode({**COMPLETED, **(changed or {})}).encode()
    return asked("qualtrics", body, *secrets, headers=FORM, **options)


def surveymonkey(*secrets: str, changed: dict[str, Any] | None = None, **options: Any) -> list[Pull]:
    event = {
        "name": "Voz",
        "event_type": "response_completed",
        "object_type": "response",
        "object_id": "114094202517",
        "resources": {"respondent_id": "114094202517", "collector_id": "1", "survey_id": 508283690},
    }
    return asked("surveymonkey", json.dumps({**event, **(changed or {})}).encode(), *secrets, **options)


def test_qualtrics_is_asked_at_the_accounts_data_center() -> None:
    (pull,) = qualtrics("shared key", datacenter="fra1", api_token="token")
    assert pull.url == "https://fra1.qualtrics.com/API/v3/surveys/SV_1AmkKSDmoZ4XlQx/responses/R_0B7IcnXszjEUHLP"
    assert pull.headers["X-API-TOKEN"] == "token"
    assert qualtrics("token", datacenter="fra1")[0].headers["X-API-TOKEN"] == "token"


def test_qualtrics_is_asked_for_what_is_in_a_signed_message_too() -> None:
    body = urlencode({"Topic": "t", "MSG": json.dumps(COMPLETED), "HMAC": "0"}).encode()
    assert asked("qualtrics", body, headers=FORM, datacenter="fra1", api_token="t") == qualtrics(
        datacenter="fra1", api_token="t"
    )


def test_qualtrics_is_asked_where_the_connection_says() -> None:
    (pull,) = qualtrics(base_url="https://survey.acme.example", api_token="t")
    assert pull.url.startswith("https://survey.acme.example/API/v3/surveys/SV_1AmkKSDmoZ4XlQx/")


@pytest.mark.parametrize("datacenter", [None, "", "fra1/../evil", "evil.example#", "a@evil.example", "evil.example/"])
def test_qualtrics_is_not_asked_elsewhere(datacenter: object) -> None:
    assert qualtrics("token", datacenter=datacenter) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"ResponseID": "R_1/../../users"},
        {"ResponseID": "1"},
        {"SurveyID": "SV_1?x="},
        {"SurveyID": ""},
        {"Status": "InProgress"},
    ],
)
def test_qualtrics_is_not_asked_for_anything_else(changed: dict[str, str]) -> None:
    assert qualtrics("token", datacenter="fra1", changed=changed) == []


def test_without_a_token_nobody_is_asked() -> None:
    assert qualtrics(datacenter="fra1") == []
    assert surveymonkey("client&secret") == []


def test_surveymonkey_is_asked_for_the_details() -> None:
    (pull,) = surveymonkey("client&secret", access_token="token")
    assert pull.url == ("https://api.surveymonkey.com/v3/surveys/508283690/responses/114094202517/details?simple=true")
    assert pull.headers["Authorization"] == "Bearer token"
    assert surveymonkey("client&secret", "token")[0].headers["Authorization"] == "Bearer token"
    assert surveymonkey(access_token="t", region="eu")[0].url.startswith("https://api.eu.surveymonkey.com/v3/")
    assert surveymonkey(access_token="t", region="ca")[0].url.startswith("https://api.surveymonkey.ca/v3/")
    assert surveymonkey(access_token="t", changed={"event_type": "response_updated"})


@pytest.mark.parametrize(
    "changed",
    [
        {"event_type": "response_created"},
        {"event_type": "response_deleted"},
        {"event_type": "survey_updated"},
        {"object_id": "1/../2"},
        {"resources": {"survey_id": "../users/me"}},
        {"resources": None},
    ],
)
def test_surveymonkey_is_not_asked_for_anything_else(changed: dict[str, Any]) -> None:
    assert surveymonkey(access_token="t", changed=changed) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"MSG=x&HMAC=y"])
@pytest.mark.parametrize("source", ["qualtrics", "surveymonkey"])
def test_what_is_unreadable_announces_nothing(source: str, body: bytes) -> None:
    assert asked(source, body, "token", headers=FORM, datacenter="fra1") == []


@pytest.mark.parametrize("source", ["typeform", "qualtrics", "surveymonkey", "delighted"])
@pytest.mark.parametrize(
    ("questions", "why"),
    [
        (["nps"], "questions must name questions"),
        ({"a": "nps"}, "questions.a must be an object"),
        ({"a": {"metrik": "nps"}}, "questions.a must be an object of ignore"),
        ({"a": {"metric": "loyalty"}}, "questions.a.metric must be one of ces, csat, nps"),
        ({"a": {"metric": "csat", "min": 1}}, "questions.a needs both min and max"),
        ({"a": {"metric": "csat", "min": 5, "max": 1}}, "questions.a needs both min and max"),
        ({"a": {"metric": "csat", "values": {"Bien": "good"}}}, "questions.a.values must give each choice a number"),
    ],
)
def test_useless_questions_are_refused(source: str, questions: object, why: str) -> None:
    check = load(source).check
    assert check is not None
    check({"questions": {"a": {"metric": "csat", "min": 1, "max": 5}, 855: {"values": {3057839051: 1}}, "b": {}}})
    with pytest.raises(ValueError, match=why):
        check({"questions": questions})


@pytest.mark.parametrize(
    ("source", "options", "why"),
    [
        ("qualtrics", {"datacenter": "fra1/evil"}, "datacenter"),
        ("qualtrics", {"datacenter": "https://fra1.qualtrics.com"}, "datacenter"),
        ("qualtrics", {"timezone": "Madrid"}, "timezone"),
        ("qualtrics", {"timezone": "../../etc/passwd"}, "timezone"),
        ("surveymonkey", {"region": "mars"}, "region"),
        ("delighted", {"survey": {"metric": "loyalty"}}, "metric"),
    ],
)
def test_other_useless_options_are_refused(source: str, options: dict[str, Any], why: str) -> None:
    check = load(source).check
    assert check is not None
    with pytest.raises(ValueError, match=why):
        check(options)


def test_a_question_may_be_named_by_a_number() -> None:
    """As YAML reads an id without quotes."""
    answers = [{"choice_id": "3057839051", "choice_metadata": {"weight": 5}}]
    page = {"questions": [{"id": "855", "family": "single_choice", "answers": answers}]}
    body = json.dumps({"id": "1", "response_status": "completed", "pages": [page]}).encode()
    options = {"questions": {855: {"metric": "csat", "min": 1, "max": 5, "values": {3057839051: 2}}}}
    (draft,) = load("surveymonkey").parse(Payload(body, options=options))
    assert isinstance(draft.plain, dict)
    assert draft.plain["survey"]["score"] == 2
