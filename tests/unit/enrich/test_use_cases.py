"""From a record's bytes to its answer's, over the stand-in model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import CollectorRegistry

from voz.v1 import customer_event_pb2 as contract
from voz.v1 import labels_pb2 as labels
from voz.v1.enriched_event_pb2 import (
    SIGNAL_ORIGIN_BOTH,
    SIGNAL_ORIGIN_TEXT,
    TRANSITION_CAUSE_TRANSACTION,
    EnrichedEvent,
)
from voz_contracts.cloudevents import header
from voz_contracts.identity import partition_key
from voz_enrich.adapters.inbound.decoding import decode
from voz_enrich.adapters.outbound.encoding import EnrichedEncoder
from voz_enrich.domain.journey import DAY_MS
from voz_enrich.domain.signals import TextSignals
from voz_enrich.metrics import EnrichMetrics
from voz_enrich.ports import Answer
from voz_enrich.use_cases import EnrichEvents
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record

from ...chaos.lexicon_model import HashModel, hashed


class Asked(HashModel):
    """Notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        self.texts += texts
        return super().analyse(texts, languages)


def make(model: HashModel | None = None, max_output_bytes: int = 900_000) -> EnrichEvents:
    metrics = EnrichMetrics(Metrics("enrich", CollectorRegistry()))
    return EnrichEvents(
        decode,
        model or HashModel(),
        EnrichedEncoder("voz.events", "hash-1"),
        metrics,
        max_output_bytes,
        at_risk_after_ms=30 * DAY_MS,
    )


def event(text: str = "", **fields: Any) -> contract.CustomerEvent:
    made = contract.CustomerEvent(
        id="e-1",
        tenant="demo",
        source="api",
        kind=labels.EVENT_KIND_MESSAGE,
        audience=labels.AUDIENCE_CUSTOMER,
        direction=labels.DIRECTION_INBOUND,
        customer=contract.Customer(key="c-1"),
        text=text,
        occurred_at=datetime(2026, 11, 20, 10, tzinfo=UTC),
    )
    for name, value in fields.items():
        if isinstance(value, int):
            setattr(made, name, value)
        else:
            getattr(made, name).CopyFrom(value)
    return made


def later(*, days: int = 0) -> Timestamp:
    """So many days after an `event`."""
    at = Timestamp()
    at.FromDatetime(datetime(2026, 11, 20, 10, tzinfo=UTC) + timedelta(days=days))
    return at


def record(made: contract.CustomerEvent, offset: int = 7) -> Record:
    key = partition_key(made.tenant, made.customer.key)
    return Record("voz.events", 3, offset, key, made.SerializeToString(), (("traceparent", b"00-aa-bb-01"),), 0)


def enriched(answer: Answer) -> EnrichedEvent:
    assert answer.output is not None
    return EnrichedEvent.FromString(answer.output.value)


def one(made: contract.CustomerEvent, state: bytes | None = None, offset: int = 7) -> Answer:
    enrich = make()
    (prepared,) = enrich.prepare([record(made, offset)])
    return enrich.answer(prepared, state)


def test_a_message() -> None:
    made = event("una queja")
    made.language_hint = "es"
    made.attributes["product"] = "fibra"
    answer = one(made)
    said = enriched(answer)
    expected = hashed("una queja", "es")
    assert said.event == made
    assert said.signals.origin == SIGNAL_ORIGIN_TEXT
    assert said.signals.language == "es"
    assert said.signals.sentiment == labels.Sentiment.Value(f"SENTIMENT_{expected.sentiment.name}")
    assert said.signals.model == "hash-1"
    assert dict(said.signals.scores) == {f"sentiment.{expected.sentiment.value}": 1.0}
    assert (said.answers.topic, said.answers.partition, said.answers.offset) == ("voz.events", 3, 7)
    assert said.journey.previous_stage == labels.STAGE_UNSPECIFIED
    assert said.journey.since == made.occurred_at
    assert answer.output is not None
    assert header(answer.output.headers, "ce_sourcepartition") == "3"
    assert header(answer.output.headers, "ce_sourceoffset") == "7"
    assert header(answer.output.headers, "traceparent") == "00-aa-bb-01"


def test_the_journey_goes_on_from_the_state() -> None:
    placed = contract.Transaction(type=contract.TRANSACTION_TYPE_ORDER_PLACED)
    paid = contract.Transaction(type=contract.TRANSACTION_TYPE_ORDER_PAID)
    first = one(event(transaction=placed), offset=7)
    second = one(event(transaction=paid, occurred_at=later(days=2)), first.state, offset=8)
    journey = enriched(second).journey
    assert (journey.previous_stage, journey.stage) == (labels.STAGE_PURCHASE, labels.STAGE_ONBOARD)
    assert (journey.cause, journey.cause_type) == (TRANSITION_CAUSE_TRANSACTION, "order_paid")
    assert journey.in_previous_stage.ToTimedelta() == timedelta(days=2)
    # Seen again after a crash: the same answer's stage, and nothing new to keep.
    again = one(event(transaction=paid, occurred_at=later(days=2)), second.state, offset=8)
    assert enriched(again).journey.stage == labels.STAGE_ONBOARD
    assert not enriched(again).journey.cause
    assert again.state is None


def test_silence_is_told_with_the_event_that_ends_it_and_with_what_the_company_says() -> None:
    delivered = contract.Transaction(type=contract.TRANSACTION_TYPE_ORDER_DELIVERED)
    state = one(event(transaction=delivered)).state
    for direction, heard_at in ((labels.DIRECTION_INBOUND, later(days=40)), (labels.DIRECTION_OUTBOUND, later())):
        answer = enriched(one(event("hola", direction=direction, occurred_at=later(days=40)), state, offset=8))
        assert answer.journey.silence.ToTimedelta() == timedelta(days=40)
        assert answer.journey.at_risk
        assert answer.journey.heard_at == heard_at
    soon = enriched(one(event("hola", occurred_at=later(days=29)), state, offset=8)).journey
    assert (soon.silence.ToTimedelta(), soon.at_risk) == (timedelta(days=29), False)


def test_moves_are_counted_with_the_time_in_the_stage_that_was_left() -> None:
    metrics = EnrichMetrics(Metrics("enrich", registry := CollectorRegistry()))
    enrich = EnrichEvents(decode, HashModel(), EnrichedEncoder("voz.events", "hash-1"), metrics, 900_000)
    paid = contract.Transaction(type=contract.TRANSACTION_TYPE_ORDER_PAID)
    delivered = contract.Transaction(type=contract.TRANSACTION_TYPE_ORDER_DELIVERED)
    events = [event(transaction=paid), event(transaction=delivered, occurred_at=later(days=2)), event("hola")]
    state = None
    for prepared in enrich.prepare([record(made, offset) for offset, made in enumerate(events)]):
        state = enrich.answer(prepared, state).state
    moves = {"from_stage": "onboard", "to_stage": "use", "cause": "transaction"}
    assert registry.get_sample_value("voz_enrich_transitions_total", moves) == 1
    assert registry.get_sample_value("voz_enrich_transitions_total", {**moves, "from_stage": "none"}) is None
    assert registry.get_sample_value("voz_enrich_stage_seconds_sum", {"stage": "onboard"}) == 2 * 86400
    assert registry.get_sample_value("voz_enrich_stage_seconds_count", {"stage": "use"}) is None


def test_a_survey_with_a_comment_is_asked_of_the_model() -> None:
    answered = contract.Survey(
        metric=contract.SURVEY_METRIC_NPS, score=2, scale=contract.Scale(min=0, max=10), comment="nunca más"
    )
    said = enriched(one(event(survey=answered))).signals
    assert said.origin == SIGNAL_ORIGIN_BOTH
    assert said.sentiment == labels.SENTIMENT_NEGATIVE
    assert said.topic == labels.Topic.Value(f"TOPIC_{hashed('nunca más').topic.name}")


def test_only_what_customers_say_is_asked() -> None:
    model = Asked()
    enrich = make(model)
    outbound = event("we are sorry", direction=labels.DIRECTION_OUTBOUND)
    prepared = enrich.prepare([record(each) for each in (event("a"), outbound, event("  \n"), event(""), event("b"))])
    assert model.texts == ["a", "b"]
    said = [enriched(enrich.answer(each, None)) for each in prepared]
    assert [each.signals.origin for each in said] == [SIGNAL_ORIGIN_TEXT, 0, 0, 0, SIGNAL_ORIGIN_TEXT]
    assert not said[1].HasField("journey")


@pytest.mark.parametrize(
    "payload",
    [
        {"transaction": contract.Transaction(type=77)},  # type: ignore[arg-type]
        {"subscription": contract.Subscription(status=77)},  # type: ignore[arg-type]
        {"ticket": contract.Ticket(status=77)},  # type: ignore[arg-type]
        {"survey": contract.Survey(metric=77, score=3)},  # type: ignore[arg-type]
        {"profile": contract.Profile()},
        {"behaviour": contract.Behaviour(type="teleported")},
    ],
)
def test_what_a_newer_contract_added_says_nothing_and_is_no_error(payload: dict[str, Any]) -> None:
    answer = one(event(**payload))
    assert answer.refused is None
    assert enriched(answer).signals.origin == 0


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (Record("voz.events", 0, 0, b"demo/c-1", b"\xff\xff", (), 0), "not a CustomerEvent"),
        (Record("voz.events", 0, 0, b"demo/c-1", b"", (), 0), "id is missing"),
        (Record("voz.events", 0, 0, b"", event("a").SerializeToString(), (), 0), "key"),
        (Record("voz.events", 0, 0, b"demo/c-2", event("a").SerializeToString(), (), 0), "key"),
    ],
)
def test_what_is_no_event_is_refused_with_the_reason(broken: Record, why: str) -> None:
    enrich = make()
    (prepared,) = enrich.prepare([broken])
    answer = enrich.answer(prepared, None)
    assert answer.output is None
    assert isinstance(answer.refused, InvalidRecordError)
    assert why in answer.refused.detail


@pytest.mark.parametrize(
    ("score", "low", "high"), [(11, 0, 10), (-1, 0, 10), (float("nan"), 0, 10), (3, 5, 5), (3, 9, 1)]
)
def test_a_score_outside_its_scale_is_refused(score: float, low: float, high: float) -> None:
    answered = contract.Survey(metric=contract.SURVEY_METRIC_CSAT, score=score, scale=contract.Scale(min=low, max=high))
    answer = one(event(survey=answered))
    assert answer.refused is not None
    assert answer.refused.reason == "invalid"


def test_times_that_no_calendar_has_are_refused() -> None:
    lacking = event("a")
    lacking.ClearField("occurred_at")
    far = event("a")
    far.occurred_at.seconds = 10**15
    for made in (lacking, far):
        answer = one(made)
        assert answer.refused is not None
        assert "occurred_at" in answer.refused.detail


def test_an_answer_too_large_for_a_record_is_refused() -> None:
    enrich = make(max_output_bytes=500)
    (prepared,) = enrich.prepare([record(event("x" * 1000))])
    answer = enrich.answer(prepared, None)
    assert answer.output is None
    assert answer.refused is not None
    assert answer.refused.reason == "too_large"


def said_by(text: str, attributes: dict[str, str], behaviour: str = "") -> EnrichedEvent:
    made = event(text, **({"behaviour": contract.Behaviour(type=behaviour)} if behaviour else {}))
    made.attributes.update(attributes)
    return enriched(one(made))


@pytest.mark.parametrize(
    ("attributes", "sentiment", "score"),
    [
        ({"rating": "1", "rating_max": "5"}, labels.SENTIMENT_NEGATIVE, -1.0),
        ({"rating": "3", "rating_max": "5"}, labels.SENTIMENT_NEUTRAL, 0.0),
        ({"rating": "4", "rating_max": "5"}, labels.SENTIMENT_POSITIVE, 0.5),
        ({"rating": "5.0", "rating_max": "5"}, labels.SENTIMENT_POSITIVE, 1.0),
        ({"rating": "9", "rating_max": "10"}, labels.SENTIMENT_POSITIVE, 0.7778),
        ({"rating": "0", "rating_max": "1"}, labels.SENTIMENT_NEGATIVE, -1.0),
        ({"rating": "1", "rating_max": "1"}, labels.SENTIMENT_POSITIVE, 1.0),
        ({"rating": "0", "rating_max": "5"}, labels.SENTIMENT_NEGATIVE, -1.0),
        ({"rating": "0", "rating_min": "-100", "rating_max": "100"}, labels.SENTIMENT_NEUTRAL, 0.0),
        ({"rating": "7", "rating_max": "5"}, labels.SENTIMENT_POSITIVE, 1.0),
    ],
)
def test_stars_are_a_sentiment_with_and_without_a_text(
    attributes: dict[str, str], sentiment: labels.Sentiment, score: float
) -> None:
    alone = said_by("", attributes, "rating")
    assert (alone.signals.sentiment, alone.signals.sentiment_score) == (sentiment, score)
    assert alone.journey.stage == labels.STAGE_USE
    review = said_by("una queja", attributes)
    assert (review.signals.sentiment, review.signals.sentiment_score) == (sentiment, score)
    expected = hashed("una queja")
    assert review.signals.origin == SIGNAL_ORIGIN_BOTH
    assert review.signals.topic == labels.Topic.Value(f"TOPIC_{expected.topic.name}")


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"rating": "4"},
        {"rating": "PG-13", "rating_max": "5"},
        {"rating": "nan", "rating_max": "5"},
        {"rating": "4", "rating_max": "inf"},
        {"rating": "4", "rating_max": "1", "rating_min": "1"},
        {"rating": "4", "rating_max": "5", "rating_min": "none"},
    ],
)
def test_an_attribute_that_is_no_number_of_stars_says_nothing(attributes: dict[str, str]) -> None:
    assert not said_by("", attributes, "rating").signals.sentiment
    assert said_by("una queja", attributes).signals.origin == SIGNAL_ORIGIN_TEXT


@pytest.mark.parametrize("text", ["", "I hate you"])
def test_taking_a_message_back_says_nothing_and_moves_nobody(text: str) -> None:
    taken_back = contract.Behaviour(type="message_deleted")
    made = event(text, behaviour=taken_back)
    made.attributes["deletion_of"] = "7"
    model = Asked()
    enrich = make(model)
    (prepared,) = enrich.prepare([record(made)])
    answer = enrich.answer(prepared, None)
    said = enriched(answer)
    assert (model.texts, said.signals.sentiment, said.signals.HasField("sentiment_score")) == ([], 0, False)
    assert not said.HasField("journey")
    assert answer.state is None
    placed = one(event(transaction=contract.Transaction(type=contract.TRANSACTION_TYPE_ORDER_PAID)), offset=7)
    later = enriched(one(made, placed.state, offset=8))
    assert later.journey.stage == later.journey.previous_stage == labels.STAGE_ONBOARD


def test_an_edit_is_understood_as_any_message() -> None:
    edit = said_by("una queja", {"edit_of": "7"})
    assert edit.signals.origin == SIGNAL_ORIGIN_TEXT
    assert edit.event.attributes["edit_of"] == "7"
