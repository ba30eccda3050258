"""Counting what the pipeline publishes for one run."""

from __future__ import annotations

from voz.v1.case_pb2 import CASE_EVENT_TYPE_OPENED, CASE_EVENT_TYPE_RESOLVED, CaseEvent, CaseEventType
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_devstack.tally import Tally


def enriched(event_id: str, customer: str) -> bytes:
    answer = EnrichedEvent()
    answer.event.id, answer.event.customer.key = event_id, customer
    return answer.SerializeToString()


def case(case_id: str, customer: str, happened: CaseEventType) -> bytes:
    event = CaseEvent(type=happened)
    event.support_case.id, event.support_case.customer.key = case_id, customer
    return event.SerializeToString()


def test_what_comes_twice_counts_once_and_what_others_do_does_not_count() -> None:
    tally = Tally(accepted={"a", "b", "not-yet"})
    for value in (enriched("a", "ana"), enriched("a", "ana"), enriched("b", "bo"), enriched("other", "olga")):
        tally.add_enriched(value)
    assert tally.enriched == 2
    for value in (
        case("k1", "ana", CASE_EVENT_TYPE_OPENED),
        case("k1", "ana", CASE_EVENT_TYPE_OPENED),
        case("k2", "bo", CASE_EVENT_TYPE_OPENED),
        case("k3", "olga", CASE_EVENT_TYPE_OPENED),
        case("k3", "olga", CASE_EVENT_TYPE_RESOLVED),
        case("k1", "ana", CASE_EVENT_TYPE_RESOLVED),
        # Resolved again after a reopening.
        case("k1", "ana", CASE_EVENT_TYPE_RESOLVED),
    ):
        tally.add_case(value)
    assert [each.id for each in tally.cases] == ["k1", "k2"]
    assert tally.resolved == 1
