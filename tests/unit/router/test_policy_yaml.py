"""The policy file: what it may say, and the line of what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_router.adapters.inbound.policy_yaml import parse_policy, policy_json
from voz_router.config import DEFAULT_POLICY
from voz_router.domain.events import Customer, Event, SurveyAnswer
from voz_router.domain.policy import Conditions, Range
from voz_router.main import main
from voz_streamkit.reload import FileError

MakeEvent = Callable[..., Event]
GOOD = """version: 1.0
queues:
  - {name: care, sla_minutes: 60, skills: [care]}
rules:
  - id: unhappy
    when: {sentiment: negative}
    act: true
    queue: care
    reason: Unhappy
  - id: calm
    when: {sentiment: [neutral, positive]}
    act: false
    reason: Nothing to do
"""


def conditions(text: str) -> Conditions:
    source = GOOD.replace("{sentiment: negative}", text)
    return parse_policy(source).rules[0].when


def test_a_policy_is_read_with_a_version_that_names_its_content() -> None:
    policy = parse_policy(GOOD)
    assert policy.version.startswith("1.0+")
    assert policy.version != parse_policy(GOOD + "# changed\n").version
    assert policy.queues["care"].sla == timedelta(hours=1)
    assert [rule.act for rule in policy.rules] == [True, False]


def test_the_default_policy_is_a_good_one() -> None:
    policy = parse_policy(DEFAULT_POLICY.read_text())
    assert {"retention", "advocates"} <= set(policy.queues)
    assert set(policy.queues) == {rule.queue for rule in policy.rules if rule.act}


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("version: 1.0\n", "", 1, "`version` is missing"),
        ("version: 1.0", "version: [", 3, "."),
        ("version: 1.0", "version: a b", 1, "expected a version"),
        ("queues:", "queue:", 2, "did you mean `queues`"),
        ("name: care", "name: Care!", 3, "lower-case"),
        ("sla_minutes: 60", "sla_minutes: 0", 3, "expected 1"),
        ("sla_minutes: 60", "sla_minutes: soon", 3, "expected a number"),
        ("sla_minutes: 60", "sla_minutes: .inf", 3, "expected a number"),
        ("  - {name: care, ", "  - {name: care, sla_minutes: 1}\n  - {name: care, ", 4, "twice"),
        ("id: calm", "id: unhappy", 10, "twice"),
        ("sentiment: negative", "sentiment: bad", 6, "`bad` is not one of: negative, neutral, positive"),
        ("{sentiment: negative}", "{sentimnt: negative}", 6, "did you mean `sentiment`"),
        ("{sentiment: negative}", "{}", 6, "at least one condition"),
        ("{sentiment: negative}", "{sentiment: []}", 6, "not empty"),
        ("{sentiment: negative}", "{sentiment: negative, sentiment: positive}", 6, "twice"),
        ("{sentiment: negative}", "{sentiment_score: {min: 0.5, max: 0}}", 6, "greater"),
        ("{sentiment: negative}", "{sentiment_score: {min: -3}}", 6, "outside -1…1"),
        ("{sentiment: negative}", "{intents: {all: [fly]}}", 6, "`fly` is not one of"),
        ("{sentiment: negative}", "{intents: {}}", 6, "`any`, `all` or both"),
        ("{sentiment: negative}", "{reach: {}}", 6, "`min`, `max` or both"),
        ("{sentiment: negative}", "{survey: {score: {max: 6}}}", 6, "`metric` is missing"),
        ("    act: true\n", "    act: maybe\n", 7, "true or false"),
        ("    queue: care\n", "", 5, "names its `queue`"),
        ("queue: care", "queue: nowhere", 8, "not one of the queues: care"),
        ("    reason: Unhappy", "    reason: ''", 9, "not empty"),
        ("    act: false", "    act: false\n    queue: care", 13, "has no `queue`"),
        ("    act: true", "    act: true\n    case_per: street", 8, "customer_topic"),
    ],
)
def test_an_error_is_refused_with_its_line(old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    with pytest.raises(FileError, match=words) as refused:
        parse_policy(GOOD.replace(old, new, 1))
    assert refused.value.line == line


@pytest.mark.parametrize("text", ["", "just text", "- a\n- b", "a: &a [*a]", "\t", "version: 1\nqueues: {}\nrules: []"])
def test_what_is_no_policy_at_all_is_refused(text: str) -> None:
    with pytest.raises(FileError):
        parse_policy(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(FileError):
        parse_policy(text)


def test_conditions_hold_together(event: MakeEvent) -> None:
    both = conditions("{sentiment: negative, intents: {all: [complaint], any: [request, churn_risk]}}")
    assert both.hold(event(sentiment="negative", intents=("complaint", "request")))
    assert not both.hold(event(sentiment="negative", intents=("complaint",)))
    assert not both.hold(event(sentiment="neutral", intents=("complaint", "request")))
    assert both.because(event(sentiment="negative", intents=("complaint", "request", "question"))) == (
        "direction: inbound",
        "audience: customer",
        "sentiment: negative",
        "intents: complaint, request",
    )


def test_a_rule_may_name_a_company_s_own_topics(event: MakeEvent) -> None:
    luggage = conditions("{own_topic: [lost-luggage, seat-choice]}")
    assert luggage.hold(event(own_topic="lost-luggage"))
    assert not luggage.hold(event(own_topic="refund-status"))
    assert not luggage.hold(event(topic="delivery"))


def test_a_rule_speaks_of_customers_inbound_unless_it_says_otherwise(event: MakeEvent) -> None:
    plain = conditions("{sentiment: negative}")
    assert not plain.hold(event(sentiment="negative", audience="employee"))
    assert not plain.hold(event(sentiment="negative", direction="outbound"))
    staff = conditions("{sentiment: negative, audience: [customer, employee]}")
    assert staff.hold(event(sentiment="negative", audience="employee"))


def test_numbers_and_attributes(event: MakeEvent) -> None:
    score = conditions("{sentiment_score: {max: -0.5}, reach: {min: 100}, attributes: {segment: [premium, gold]}}")
    loud = Customer("ana", reach=100)
    assert score.hold(event(sentiment_score=-0.5, customer=loud, attributes={"segment": "gold"}))
    assert not score.hold(event(sentiment_score=None, customer=loud, attributes={"segment": "gold"}))
    assert not score.hold(event(sentiment_score=-0.5, customer=loud))
    assert not score.hold(event(sentiment_score=-0.5, attributes={"segment": "gold"}))


@pytest.mark.parametrize(
    ("answer", "position", "detractor"),
    [
        (SurveyAnswer("nps", 6, 0, 10, False), 0.6, True),
        (SurveyAnswer("nps", 7, 0, 10, False), 0.7, False),
        (SurveyAnswer("nps", 9, 0, 10, True), 0.1, True),
        (SurveyAnswer("nps", 11, 0, 10, False), None, False),
        (SurveyAnswer("nps", 0, 0, 0, False), None, False),
        (SurveyAnswer("csat", 1, 1, 5, False), 0.0, False),
    ],
)
def test_survey_answers_are_judged_on_their_scale(
    event: MakeEvent, answer: SurveyAnswer, position: float | None, detractor: bool
) -> None:
    assert answer.position == (pytest.approx(position) if position is not None else None)
    rule = conditions("{survey: {metric: nps, position: {max: 0.6}}}")
    assert rule.hold(event(kind="survey", survey=answer)) == detractor
    as_given = conditions("{survey: {metric: [nps, csat], score: {max: 6}}}")
    assert as_given.hold(event(survey=answer)) == (answer.score <= 6)
    assert not as_given.hold(event())


def test_a_range_without_a_value_never_holds() -> None:
    assert None not in Range()
    assert 0 in Range()
    assert 1 in Range(1, 1)


def test_the_policy_is_shown_as_it_was_written() -> None:
    shown = policy_json(parse_policy(DEFAULT_POLICY.read_text()))
    by_id = {rule["id"]: rule for rule in shown["rules"]}
    assert by_id["nps-detractor"]["when"]["survey"] == {"metric": ["nps"], "position": {"max": 0.6}}
    assert by_id["loud-complaint"]["when"]["reach"] == {"min": 10000}
    assert by_id["small-talk"]["when"]["intents"] == {"all": ["other"]}
    assert "queue" not in by_id["small-talk"]
    assert conditions("{sentiment_score: {min: 0}, attributes: {a: b}}") is not None


def test_check_says_ok_or_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(GOOD)
    assert main(["check", str(file)]) == 0
    assert "care: unhappy" in capsys.readouterr().out
    file.write_text(GOOD.replace("queue: care", "queue: nowhere"))
    assert main(["check", str(file)]) == 1
    assert capsys.readouterr().err.startswith(f"{file}:8: `nowhere` is not one of the queues")
    assert main(["check", str(tmp_path / "missing.yaml")]) == 1
    assert "missing.yaml" in capsys.readouterr().err
