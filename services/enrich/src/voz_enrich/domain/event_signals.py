"""The signals of one event: what its payload says, what its text says, and both together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voz_enrich.domain.facts import (
    Behaviour,
    EventFacts,
    Metric,
    Payload,
    Profile,
    Rating,
    Retraction,
    SubscriptionStatus,
    SurveyAnswer,
    TicketStatus,
    TransactionType,
)
from voz_enrich.domain.labels import Effort, Emotion, Intent, Sentiment, Stage, Topic
from voz_enrich.domain.own_topics import OwnTopicMatch
from voz_enrich.domain.signals import TextSignals


class Origin(StrEnum):
    """What the signals were read from."""

    TEXT = "text"
    PAYLOAD = "payload"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Signals:
    """Signals of one event. None, or nothing in it: no signal, which is not the same as neutral."""

    origin: Origin | None = None
    language: str = ""
    sentiment: Sentiment | None = None
    sentiment_score: float | None = None
    emotion: Emotion | None = None
    intents: tuple[Intent, ...] = ()
    topic: Topic | None = None
    own_topic: OwnTopicMatch | None = None
    effort: Effort | None = None
    stage: Stage | None = None
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


NONE = Signals()

# Scores are judgements, not measurements: how far an act without words leans, on the scale of sentiment_score.
_TRANSACTIONS: Mapping[TransactionType, Signals] = {
    TransactionType.ORDER_PLACED: Signals(stage=Stage.PURCHASE),
    TransactionType.ORDER_PAID: Signals(stage=Stage.ONBOARD),
    TransactionType.ORDER_DELIVERED: Signals(stage=Stage.USE, topic=Topic.DELIVERY),
    TransactionType.REFUND: Signals(
        sentiment=Sentiment.NEGATIVE, sentiment_score=-0.4, topic=Topic.RETURNS, stage=Stage.SUPPORT
    ),
    TransactionType.RETURN: Signals(
        sentiment=Sentiment.NEGATIVE, sentiment_score=-0.4, topic=Topic.RETURNS, stage=Stage.SUPPORT
    ),
}
_SUBSCRIPTIONS: Mapping[SubscriptionStatus, Signals] = {
    SubscriptionStatus.STARTED: Signals(stage=Stage.ONBOARD, topic=Topic.ACCOUNT),
    SubscriptionStatus.RENEWED: Signals(
        sentiment=Sentiment.POSITIVE, sentiment_score=0.4, topic=Topic.ACCOUNT, stage=Stage.RENEW
    ),
    SubscriptionStatus.UPGRADED: Signals(
        sentiment=Sentiment.POSITIVE, sentiment_score=0.5, topic=Topic.ACCOUNT, stage=Stage.RENEW
    ),
    SubscriptionStatus.DOWNGRADED: Signals(
        sentiment=Sentiment.NEGATIVE, sentiment_score=-0.3, topic=Topic.ACCOUNT, stage=Stage.USE
    ),
    SubscriptionStatus.CANCELLED: Signals(
        sentiment=Sentiment.NEGATIVE,
        sentiment_score=-0.5,
        intents=(Intent.CHURN_RISK,),
        topic=Topic.ACCOUNT,
        stage=Stage.LEAVE,
    ),
    # A term that ran out tells nothing of how its end was felt.
    SubscriptionStatus.ENDED: Signals(intents=(Intent.CHURN_RISK,), topic=Topic.ACCOUNT, stage=Stage.LEAVE),
}
_TICKETS: Mapping[TicketStatus, Signals] = {
    TicketStatus.NEW: Signals(stage=Stage.SUPPORT),
    TicketStatus.OPEN: Signals(stage=Stage.SUPPORT),
    TicketStatus.PENDING: Signals(stage=Stage.SUPPORT),
    TicketStatus.SOLVED: Signals(stage=Stage.SUPPORT),
    TicketStatus.CLOSED: Signals(stage=Stage.SUPPORT),
    # They had to come back with the same trouble.
    TicketStatus.REOPENED: Signals(
        sentiment=Sentiment.NEGATIVE, sentiment_score=-0.5, effort=Effort.HIGH, stage=Stage.SUPPORT
    ),
}
_BEHAVIOURS: Mapping[str, Signals] = {
    "rage_click": Signals(
        sentiment=Sentiment.NEGATIVE,
        sentiment_score=-0.7,
        emotion=Emotion.FRUSTRATION,
        topic=Topic.TECHNICAL,
        effort=Effort.HIGH,
    ),
    "dead_click": Signals(
        sentiment=Sentiment.NEGATIVE, sentiment_score=-0.4, topic=Topic.TECHNICAL, effort=Effort.HIGH
    ),
    "error": Signals(sentiment=Sentiment.NEGATIVE, sentiment_score=-0.5, topic=Topic.TECHNICAL, effort=Effort.HIGH),
    "form_abandoned": Signals(sentiment=Sentiment.NEGATIVE, sentiment_score=-0.3, effort=Effort.HIGH),
    "add_to_cart": Signals(stage=Stage.PURCHASE, intents=(Intent.PURCHASE_INTENT,)),
    "checkout": Signals(stage=Stage.PURCHASE, intents=(Intent.PURCHASE_INTENT,)),
    "sign_up": Signals(stage=Stage.ONBOARD),
}


def signals_of(facts: EventFacts, text: TextSignals | None) -> Signals:
    """The signals of an event. Where payload and text both speak of one thing, the payload is believed.

    An outbound event is the company's: it says nothing of the customer's experience (at most its language is kept).
    """
    if not facts.inbound:
        return Signals(language=text.language) if text else NONE
    said = payload_signals(facts.payload)
    if text is None:
        return said
    stage = text.stage if facts.from_customer else Stage.USE  # staff are not on the customer's journey
    if said is NONE:
        return Signals(
            Origin.TEXT,
            text.language,
            text.sentiment,
            text.sentiment_score,
            text.emotion,
            text.intents,
            text.topic,
            text.own_topic,
            text.effort,
            stage,
            text.scores,
        )
    judged = said.sentiment is not None
    return Signals(
        origin=Origin.BOTH,
        language=text.language,
        sentiment=said.sentiment if judged else text.sentiment,
        sentiment_score=said.sentiment_score if judged else text.sentiment_score,
        emotion=said.emotion or text.emotion,
        intents=said.intents or text.intents,
        topic=said.topic or text.topic,
        own_topic=text.own_topic,
        effort=said.effort or text.effort,
        stage=stage if isinstance(facts.payload, SurveyAnswer | Rating) else said.stage or stage,
        scores=text.scores,
    )


def suggested_stage(signals: Signals) -> Stage | None:
    """The stage these signals suggest for the customer; None when there is none, or it is mere chit-chat."""
    return None if signals.intents == (Intent.OTHER,) else signals.stage


def payload_signals(payload: Payload | None) -> Signals:
    """What the typed payload alone says; `NONE` when there is none or it says nothing."""
    match payload:
        case SurveyAnswer():
            said = _survey(payload)
        case Rating():
            said = _satisfaction(payload.goodness)
        case TransactionType():
            said = _TRANSACTIONS[payload]
        case SubscriptionStatus():
            said = _SUBSCRIPTIONS[payload]
        case TicketStatus():
            said = _TICKETS[payload]
        case Behaviour():
            said = _BEHAVIOURS.get(payload.type, NONE)
        case Retraction() | Profile() | None:
            return NONE
    return said if said is NONE else _from_payload(said)


def _from_payload(said: Signals) -> Signals:
    return Signals(
        Origin.PAYLOAD,
        sentiment=said.sentiment,
        sentiment_score=said.sentiment_score,
        emotion=said.emotion,
        intents=said.intents,
        topic=said.topic,
        effort=said.effort,
        stage=said.stage,
    )


def _survey(answer: SurveyAnswer) -> Signals:
    """A rating is a sentiment. NPS: 0-6 detracts, 7-8 is passive, 9-10 promotes (Reichheld 2003), on any scale."""
    if answer.metric is Metric.NPS:
        return _nps(answer.goodness * 10)
    if answer.metric is Metric.CSAT:
        return _satisfaction(answer.goodness)
    # "Easy to solve" on 1-7: agreement begins at 5; below the middle is negative.
    sentiment = _sentiment(answer.goodness, neutral_from=0.5, positive_from=2 / 3)
    score = round(answer.goodness * 2 - 1, 4)
    effort = {Sentiment.POSITIVE: Effort.LOW, Sentiment.NEGATIVE: Effort.HIGH, Sentiment.NEUTRAL: Effort.UNKNOWN}
    return Signals(sentiment=sentiment, sentiment_score=score, effort=effort[sentiment], stage=Stage.SUPPORT)


def _satisfaction(goodness: float) -> Signals:
    """Satisfied from 4 of 5 ("at or above the scale's threshold"), negative below the middle; stars are read alike."""
    sentiment = _sentiment(goodness, neutral_from=0.5, positive_from=0.75)
    return Signals(sentiment=sentiment, sentiment_score=round(goodness * 2 - 1, 4), stage=Stage.USE)


def _nps(points: float) -> Signals:
    """`points` in 0..10. The score is 0 for passives and rises (falls) to 1 (-1) at the ends of the scale."""
    sentiment = _sentiment(points, neutral_from=7, positive_from=9)
    if sentiment is Sentiment.POSITIVE:
        # Asked whether they would recommend, they say yes.
        return Signals(
            sentiment=sentiment,
            sentiment_score=round((points - 8) / 2, 4),
            intents=(Intent.RECOMMENDATION,),
            stage=Stage.ADVOCATE,
        )
    score = 0.0 if sentiment is Sentiment.NEUTRAL else round((points - 7) / 7, 4)
    return Signals(sentiment=sentiment, sentiment_score=score, stage=Stage.USE)


def _sentiment(value: float, *, neutral_from: float, positive_from: float) -> Sentiment:
    # Thresholds are exact fractions of a scale; the share computed from a score may miss them by a last bit.
    slack = 1e-9
    if value >= positive_from - slack:
        return Sentiment.POSITIVE
    return Sentiment.NEUTRAL if value >= neutral_from - slack else Sentiment.NEGATIVE
