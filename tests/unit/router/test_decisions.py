"""Every event gets one decision, and the decision explains itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voz.v1.labels_pb2 import Audience, Channel, Direction, Emotion, EventKind, Intent, Sentiment, Stage, Topic
from voz_contracts.words import vocabulary
from voz_router.adapters.inbound.policy_yaml import parse_policy
from voz_router.config import DEFAULT_POLICY
from voz_router.domain.cases import Case, open_case
from voz_router.domain.decisions import JOINED, NONE, OPENED, REPLIED, decide
from voz_router.domain.events import Customer, Event, Signals, SurveyAnswer
from voz_router.domain.policy import Policy
from voz_router.domain.routing import plan

MakeEvent = Callable[..., Event]
DEFAULT = parse_policy(DEFAULT_POLICY.read_text())


@pytest.fixture
def open_one(event: MakeEvent, policy: Policy, now: datetime) -> Callable[..., Case]:
    """Opens Ana's case for an event."""

    def make(**given: object) -> Case:
        said = event(**({"intents": ("complaint",)} | given))
        rule = policy.first_match(said)
        assert rule is not None
        return open_case(said, rule, policy.queues[rule.queue], policy.version, now).case

    return make


def test_the_first_rule_that_matches_decides(event: MakeEvent, policy: Policy, now: datetime) -> None:
    decision = decide(event(intents=("complaint", "churn_risk")), policy, now, [])
    assert (decision.act, decision.effect, decision.rule, decision.queue) == (True, OPENED, "churn", "retention")
    assert decision.reason == "The customer is leaving"
    assert "intents: churn_risk" in decision.because
    assert decision.policy_version == "7+abc"
    assert decision.case_id is not None


def test_a_rule_can_say_not_to_act(event: MakeEvent, policy: Policy, now: datetime) -> None:
    decision = decide(event(intents=("praise",)), policy, now, [])
    assert (decision.act, decision.effect, decision.rule, decision.case_id) == (False, NONE, "praise", None)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"direction": "outbound"}, "The company's own post"),
        ({"audience": "employee", "intents": ("complaint",)}, "An employee's voice, and no rule names employees"),
        ({"kind": "behaviour"}, "No signal to act upon"),
        ({"intents": ("question",)}, "No rule matches"),
    ],
)
def test_what_no_rule_speaks_of_is_left_with_the_reason(
    event: MakeEvent, policy: Policy, now: datetime, given: dict[str, object], reason: str
) -> None:
    decision = decide(event(**given), policy, now, [])
    assert (decision.act, decision.effect, decision.rule, decision.reason) == (False, NONE, "", reason)


def test_a_message_joins_the_case_that_is_open(
    event: MakeEvent, policy: Policy, now: datetime, open_one: Callable[..., Case]
) -> None:
    case = open_one()
    by_rule = decide(event(intents=("complaint",)), policy, now, [case])
    assert (by_rule.act, by_rule.effect, by_rule.case_id) == (True, JOINED, case.id)
    unmatched = decide(event(intents=("question",)), policy, now, [case])
    assert (unmatched.act, unmatched.effect, unmatched.case_id) == (False, JOINED, case.id)
    silent = decide(event(kind="behaviour", text=""), policy, now, [case])
    assert silent.effect == NONE


def test_a_rule_per_topic_has_a_case_for_each_topic(
    event: MakeEvent, policy: Policy, now: datetime, open_one: Callable[..., Case]
) -> None:
    about_price = open_one(intents=("suggestion",), topic="price")
    assert about_price.scope == "price"
    same = decide(event(intents=("suggestion",), topic="price"), policy, now, [about_price])
    assert same.case_id == about_price.id
    other = decide(event(intents=("suggestion",), topic="product"), policy, now, [about_price])
    assert other.effect == OPENED
    per_customer = decide(event(intents=("complaint",)), policy, now, [about_price])
    assert per_customer.effect == JOINED, "one case per customer: it joins whatever is open"


def test_the_conversation_tells_which_of_several_cases(
    event: MakeEvent, policy: Policy, now: datetime, open_one: Callable[..., Case]
) -> None:
    older = replace(open_one(intents=("suggestion",), topic="price", conversation_id="a"), opened_at=now - timedelta(1))
    newer = open_one(intents=("suggestion",), topic="product", conversation_id="b")
    said = event(intents=("question",), conversation_id="a")
    assert decide(said, policy, now, [newer, older]).case_id == older.id
    assert decide(replace(said, conversation_id=""), policy, now, [older, newer]).case_id == newer.id


def test_the_companys_answer_replies_in_a_case_that_began_before_it(
    event: MakeEvent, policy: Policy, now: datetime, open_one: Callable[..., Case]
) -> None:
    case = open_one()
    answer = event(direction="outbound", occurred_at=now + timedelta(minutes=5))
    decision = decide(answer, policy, now, [case])
    assert (decision.act, decision.effect, decision.case_id) == (False, REPLIED, case.id)
    earlier = event(direction="outbound", occurred_at=now - timedelta(minutes=5))
    assert decide(earlier, policy, now, [case]).effect == NONE


SIGNALS = st.builds(
    Signals,
    sentiment=st.sampled_from(("", *vocabulary(Sentiment))),
    sentiment_score=st.none() | st.floats(-1, 1),
    emotion=st.sampled_from(("", *vocabulary(Emotion))),
    intents=st.lists(st.sampled_from(vocabulary(Intent)), unique=True, max_size=3).map(tuple),
    topic=st.sampled_from(("", *vocabulary(Topic))),
)
EVENTS = st.builds(
    Event,
    id=st.uuids(),
    tenant=st.sampled_from(["acme", "other"]),
    source=st.just("api"),
    channel=st.sampled_from(vocabulary(Channel)),
    kind=st.sampled_from(vocabulary(EventKind)),
    audience=st.sampled_from(("", *vocabulary(Audience))),
    direction=st.sampled_from(("", *vocabulary(Direction))),
    customer=st.builds(Customer, key=st.sampled_from("abc"), reach=st.integers(0, 10**6)),
    occurred_at=st.integers(0, 2 * 24 * 60).map(
        lambda minutes: datetime(2026, 11, 19, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    signals=SIGNALS,
    stage=st.sampled_from(("", *vocabulary(Stage))),
    conversation_id=st.sampled_from(["", "x", "y"]),
    text=st.sampled_from(["", "hola"]),
    survey=st.none()
    | st.builds(
        SurveyAnswer,
        st.sampled_from(["nps", "csat", "ces"]),
        st.floats(-5, 15),
        st.just(0.0),
        st.sampled_from([0.0, 5.0, 10.0]),
        st.booleans(),
    ),
)
BATCHES = st.lists(EVENTS, max_size=25, unique_by=lambda event: event.id)
no_fixture_trouble = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@no_fixture_trouble
@given(BATCHES)
def test_deciding_is_total_and_explains_itself(now: datetime, events: list[Event]) -> None:
    made = plan(events, [], DEFAULT, now)
    assert [each.event_id for each in made.decisions] == [each.id for each in events]
    for decision in made.decisions:
        assert decision.reason
        assert decision.policy_version == DEFAULT.version
        assert (decision.case_id is not None) == (decision.effect != NONE)
        assert not decision.act or decision.rule
        assert decision.act or decision.effect != OPENED


@no_fixture_trouble
@given(BATCHES, st.integers(0, 25))
def test_cutting_a_batch_anywhere_changes_nothing(now: datetime, events: list[Event], cut: int) -> None:
    whole = plan(events, [], DEFAULT, now)
    first = plan(events[:cut], [], DEFAULT, now)
    second = plan(events[cut:], [case for case in first.opened_cases() if case.active], DEFAULT, now)
    assert whole.decisions == first.decisions + second.decisions
    assert whole.case_events == first.case_events + second.case_events


@no_fixture_trouble
@given(BATCHES)
def test_a_customer_has_one_open_case_of_a_scope_and_its_events_are_numbered(
    now: datetime, events: list[Event]
) -> None:
    made = plan(events, [], DEFAULT, now)
    scopes = [(case.tenant, case.customer.key, case.scope) for case in made.opened_cases()]
    assert len(scopes) == len(set(scopes))
    numbers: dict[UUID, int] = {}
    for happened in made.case_events:
        assert happened.case.sequence == numbers.get(happened.case.id, 0) + 1
        numbers[happened.case.id] = happened.case.sequence
    assert len({happened.id for happened in made.case_events}) == len(made.case_events)
