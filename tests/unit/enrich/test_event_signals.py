"""What payloads say, and what payload and text say together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_enrich.domain.event_signals import NONE, Origin, Signals, payload_signals, signals_of, suggested_stage
from voz_enrich.domain.facts import (
    Behaviour,
    EventFacts,
    Metric,
    Payload,
    SubscriptionStatus,
    SurveyAnswer,
    TicketStatus,
    TransactionType,
)
from voz_enrich.domain.labels import Effort, Emotion, Intent, Sentiment, Stage, Topic
from voz_enrich.domain.signals import TextSignals

TEXT = TextSignals(
    language="es",
    sentiment=Sentiment.NEGATIVE,
    sentiment_score=-0.9,
    emotion=Emotion.ANGER,
    intents=(Intent.COMPLAINT,),
    topic=Topic.DELIVERY,
    effort=Effort.HIGH,
    stage=Stage.SUPPORT,
    scores={"sentiment": {"negative": 0.9}},
)


def facts(payload: Payload | None = None, *, inbound: bool = True, customer: bool = True) -> EventFacts:
    return EventFacts(inbound, customer, 0, payload)


def survey(metric: Metric, score: float, low: float, high: float, *, inverted: bool = False) -> Signals:
    return payload_signals(SurveyAnswer(metric, score, low, high, inverted))


@pytest.mark.parametrize(
    ("score", "sentiment", "points"),
    [
        (0, Sentiment.NEGATIVE, -1.0),
        (6, Sentiment.NEGATIVE, -0.1429),
        (7, Sentiment.NEUTRAL, 0.0),
        (8, Sentiment.NEUTRAL, 0.0),
        (9, Sentiment.POSITIVE, 0.5),
        (10, Sentiment.POSITIVE, 1.0),
    ],
)
def test_nps(score: float, sentiment: Sentiment, points: float) -> None:
    said = survey(Metric.NPS, score, 0, 10)
    assert (said.sentiment, said.sentiment_score, said.origin) == (sentiment, points, Origin.PAYLOAD)
    promoter = sentiment is Sentiment.POSITIVE
    assert said.intents == ((Intent.RECOMMENDATION,) if promoter else ())
    assert said.stage is (Stage.ADVOCATE if promoter else Stage.USE)


@pytest.mark.parametrize(
    ("score", "sentiment"),
    [(1, Sentiment.NEGATIVE), (2, Sentiment.NEGATIVE), (3, Sentiment.NEUTRAL), (4, Sentiment.POSITIVE)],
)
def test_csat_of_five(score: float, sentiment: Sentiment) -> None:
    assert survey(Metric.CSAT, score, 1, 5).sentiment is sentiment
    # On a scale declared as inverted 1 is best: the same answers, mirrored.
    assert survey(Metric.CSAT, 6 - score, 1, 5, inverted=True) == survey(Metric.CSAT, score, 1, 5)


@pytest.mark.parametrize(
    ("score", "effort"), [(1, Effort.HIGH), (3, Effort.HIGH), (4, Effort.UNKNOWN), (5, Effort.LOW), (7, Effort.LOW)]
)
def test_ces_of_seven(score: float, effort: Effort) -> None:
    said = survey(Metric.CES, score, 1, 7)
    assert said.effort is effort
    assert said.stage is Stage.SUPPORT


@given(
    st.sampled_from(Metric), st.floats(0, 1, allow_nan=False), st.floats(-100, 100), st.floats(0.5, 100), st.booleans()
)
def test_a_better_answer_is_never_a_worse_sentiment(
    metric: Metric, share: float, low: float, width: float, inverted: bool
) -> None:
    worse = survey(metric, low + share * width, low, low + width, inverted=inverted)
    best = survey(metric, low if inverted else low + width, low, low + width, inverted=inverted)
    assert worse.sentiment_score is not None
    assert best.sentiment_score == 1.0
    assert -1 <= worse.sentiment_score <= 1
    assert best.sentiment is Sentiment.POSITIVE
    if worse.sentiment is Sentiment.NEGATIVE:
        assert worse.sentiment_score <= 0


@pytest.mark.parametrize("kind", ["rage_click", "dead_click", "error", "form_abandoned"])
def test_trouble_on_the_site_is_negative_and_hard(kind: str) -> None:
    said = payload_signals(Behaviour(kind))
    assert (said.sentiment, said.effort) == (Sentiment.NEGATIVE, Effort.HIGH)
    assert said.sentiment_score is not None
    assert said.sentiment_score < 0
    assert said.stage is None


@pytest.mark.parametrize(
    ("payload", "stage", "sentiment"),
    [
        (TransactionType.ORDER_PLACED, Stage.PURCHASE, None),
        (TransactionType.ORDER_PAID, Stage.ONBOARD, None),
        (TransactionType.ORDER_DELIVERED, Stage.USE, None),
        (TransactionType.REFUND, Stage.SUPPORT, Sentiment.NEGATIVE),
        (TransactionType.RETURN, Stage.SUPPORT, Sentiment.NEGATIVE),
        (SubscriptionStatus.STARTED, Stage.ONBOARD, None),
        (SubscriptionStatus.RENEWED, Stage.RENEW, Sentiment.POSITIVE),
        (SubscriptionStatus.UPGRADED, Stage.RENEW, Sentiment.POSITIVE),
        (SubscriptionStatus.DOWNGRADED, Stage.USE, Sentiment.NEGATIVE),
        (SubscriptionStatus.CANCELLED, Stage.LEAVE, Sentiment.NEGATIVE),
        (SubscriptionStatus.ENDED, Stage.LEAVE, None),
        (TicketStatus.NEW, Stage.SUPPORT, None),
        (TicketStatus.REOPENED, Stage.SUPPORT, Sentiment.NEGATIVE),
    ],
)
def test_explicit_events(payload: Payload, stage: Stage, sentiment: Sentiment | None) -> None:
    said = payload_signals(payload)
    assert (said.origin, said.stage, said.sentiment) == (Origin.PAYLOAD, stage, sentiment)
    assert (said.sentiment_score is None) == (sentiment is None)


def test_every_payload_has_an_answer() -> None:
    for payload in (*TransactionType, *SubscriptionStatus, *TicketStatus):
        assert payload_signals(payload).stage is not None
    assert payload_signals(Behaviour("scroll")) == payload_signals(None) == NONE


def test_text_alone() -> None:
    said = signals_of(facts(), TEXT)
    assert (said.origin, said.language, said.sentiment, said.stage) == (
        Origin.TEXT,
        "es",
        Sentiment.NEGATIVE,
        Stage.SUPPORT,
    )
    assert signals_of(facts(), None) is NONE


def test_a_comment_adds_to_the_score_and_does_not_overrule_it() -> None:
    said = signals_of(facts(SurveyAnswer(Metric.NPS, 10, 0, 10, inverted=False)), TEXT)
    assert (said.origin, said.sentiment, said.sentiment_score) == (Origin.BOTH, Sentiment.POSITIVE, 1.0)
    assert (said.language, said.emotion, said.topic, said.effort) == ("es", Emotion.ANGER, Topic.DELIVERY, Effort.HIGH)
    assert said.scores == TEXT.scores


def test_a_ticket_takes_its_sentiment_from_its_text_and_its_stage_from_its_status() -> None:
    said = signals_of(facts(TicketStatus.NEW), TEXT)
    assert (said.origin, said.sentiment, said.stage) == (Origin.BOTH, Sentiment.NEGATIVE, Stage.SUPPORT)


def test_the_company_and_its_staff_are_not_customers() -> None:
    assert signals_of(facts(TransactionType.REFUND, inbound=False), TEXT) == Signals(language="es")
    assert signals_of(facts(TransactionType.REFUND, inbound=False), None) is NONE
    assert signals_of(facts(customer=False), TEXT).stage is Stage.USE


def test_chit_chat_suggests_no_stage() -> None:
    assert suggested_stage(Signals(intents=(Intent.OTHER,), stage=Stage.USE)) is None
    assert suggested_stage(Signals(intents=(Intent.PRAISE, Intent.OTHER), stage=Stage.USE)) is Stage.USE
    assert suggested_stage(NONE) is None
