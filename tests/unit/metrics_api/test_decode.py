"""Decoding: golden examples are read, and nothing that can't be counted gets past."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz.v1.case_pb2 import CaseEvent
from voz.v1.customer_event_pb2 import SURVEY_METRIC_CES, SURVEY_METRIC_NPS
from voz.v1.enriched_event_pb2 import TRANSITION_CAUSE_TICKET, TRANSITION_CAUSE_UNSPECIFIED, EnrichedEvent
from voz_metrics_api.adapters.inbound.decode import decoder
from voz_metrics_api.domain.facts import CaseFacts, EventFacts, JoinFacts
from voz_metrics_api.domain.surveys import Metric, SurveyAnswer
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.records import Record

EXAMPLES = Path(__file__).parents[3] / "proto" / "examples"
decode = decoder("voz.enriched", "voz.cases")


def record(topic: str, value: bytes) -> Record:
    return Record(topic, 0, 7, b"acme/k", value, (), 0)


def enriched() -> EnrichedEvent:
    return EnrichedEvent.FromString((EXAMPLES / "voz.enriched" / "message.binpb").read_bytes())


def case() -> CaseEvent:
    return CaseEvent.FromString((EXAMPLES / "voz.cases" / "opened.binpb").read_bytes())


def facts(event: EnrichedEvent) -> EventFacts:
    found = decode(record("voz.enriched", event.SerializeToString())).event
    assert isinstance(found, EventFacts)
    return found


def test_the_golden_event_is_read() -> None:
    found = facts(enriched())
    assert (found.tenant, found.customer.id, found.customer.handle) == ("acme", "c-42", "@ana")
    assert found.occurred_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert found.sentiment_score == -0.91
    dimensions = found.dimensions
    assert (dimensions.channel, dimensions.kind, dimensions.stage, dimensions.product) == (
        "social",
        "message",
        "use",
        "fibra-600",
    )
    assert dimensions.intents == ("complaint",)
    assert (found.heard_at, found.position) == (datetime(2026, 11, 20, 10, tzinfo=UTC), 1841)
    assert found.details == {
        "moved_from": "onboard",
        "moved_by": "message",
        "moved_after_seconds": 777_600.0,
        "own_topic": "app-crashes",
    }


def test_an_event_that_moved_nobody_adds_nothing_to_the_timeline() -> None:
    stays = enriched()
    stays.journey.cause = TRANSITION_CAUSE_UNSPECIFIED
    assert facts(stays).details == {"own_topic": "app-crashes"}


def test_a_move_names_the_status_that_caused_it() -> None:
    moved = enriched()
    moved.journey.cause, moved.journey.cause_type = TRANSITION_CAUSE_TICKET, "reopened"
    assert facts(moved).details["moved_by"] == "ticket reopened"


def test_the_golden_case_is_read() -> None:
    found = decode(record("voz.cases", case().SerializeToString())).event
    assert isinstance(found, CaseFacts)
    assert (found.sequence, found.resolved, found.dimensions.queue) == (1, False, "technical")
    assert found.dimensions.kind == found.dimensions.direction == ""


Change = Callable[[Any], object]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda event: event.event.ClearField("id"),
        lambda event: setattr(event.event, "id", "not-a-uuid"),
        lambda event: event.event.ClearField("tenant"),
        lambda event: setattr(event.event, "tenant", "t" * 201),
        lambda event: event.event.customer.ClearField("key"),
        lambda event: setattr(event.event.customer, "key", "a\0b"),
        lambda event: event.event.ClearField("occurred_at"),
        lambda event: setattr(event.event.occurred_at, "seconds", 0),
        lambda event: setattr(event.event.occurred_at, "seconds", 10**15),
        lambda event: setattr(event.event.occurred_at, "nanos", -5),
        lambda event: setattr(event.signals, "sentiment_score", 1.5),
        lambda event: setattr(event.signals, "sentiment_score", math.nan),
        lambda event: setattr(event.event.survey, "score", 3),
        lambda event: _survey(event, SURVEY_METRIC_NPS, 11),
        lambda event: _survey(event, SURVEY_METRIC_NPS, math.inf),
    ],
)
def test_what_cannot_be_counted_is_refused(spoil: Change) -> None:
    event = enriched()
    spoil(event)
    with pytest.raises(InvalidRecordError):
        facts(event)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda event: setattr(event, "sequence", 0),
        lambda event: setattr(event, "sequence", 2**63),
        lambda event: event.ClearField("support_case"),
        lambda event: setattr(event.support_case, "id", "7"),
        lambda event: event.support_case.ClearField("opened_at"),
        lambda event: setattr(event.support_case.resolved_at, "seconds", 10**11),
    ],
)
def test_a_case_that_cannot_be_counted_is_refused(spoil: Change) -> None:
    event = case()
    spoil(event)
    with pytest.raises(InvalidRecordError):
        decode(record("voz.cases", event.SerializeToString()))


@given(st.binary(max_size=200), st.sampled_from(["voz.enriched", "voz.cases"]))
def test_any_bytes_are_facts_or_refused(value: bytes, topic: str) -> None:
    try:
        decode(record(topic, value))
        outcome = "facts"
    except InvalidRecordError as error:
        outcome = error.reason
    assert outcome in ("facts", "undecodable", "invalid")


def _survey(event: EnrichedEvent, metric: Any, score: float) -> None:
    event.event.survey.metric = metric
    event.event.survey.score = score


def test_a_survey_without_a_scale_has_its_usual_one() -> None:
    event = enriched()
    _survey(event, SURVEY_METRIC_CES, 6)
    assert facts(event).survey == SurveyAnswer(Metric.CES, 6, 1, 7)
    event.event.survey.scale.max = 10
    event.event.survey.scale.inverted = True
    assert facts(event).survey == SurveyAnswer(Metric.CES, 6, 0, 10, inverted=True)


def test_free_values_are_trimmed_and_cut() -> None:
    event = enriched()
    event.event.attributes["product"] = "  fibra\0\n " + "x" * 500
    event.event.text = "a\0b"
    found = facts(event)
    assert found.dimensions.product.startswith("fibra")
    assert len(found.dimensions.product) == 100
    assert found.text == "a\ufffdb"


def join(source: str = "voz", number: str = "7", **profile: str) -> EnrichedEvent:
    event = enriched()
    event.event.source = source
    event.event.attributes["change"] = number
    event.event.profile.attributes.update(profile)
    return event


def test_who_is_joined_and_parted_is_read() -> None:
    for profile, joined_to in (({"joined": "k-2"}, None), ({"parted": "k-2"}, "k-2")):
        event = join(**profile)
        found = decode(record("voz.enriched", event.SerializeToString())).event
        assert found == JoinFacts("acme", "k-2", joined_to or event.event.customer.key, 7)


def test_nobody_else_is_believed_who_joins() -> None:
    for event in (join("api", joined="k-2"), join(number="x", joined="k-2"), join(plan="gold")):
        assert isinstance(decode(record("voz.enriched", event.SerializeToString())).event, EventFacts)
    with pytest.raises(InvalidRecordError):
        decode(record("voz.enriched", join(number="0", joined="k-2").SerializeToString()))
