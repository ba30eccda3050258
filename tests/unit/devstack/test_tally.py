"""Counting what the pipeline publishes for one run."""

from __future__ import annotations

from voz.v1.case_pb2 import CASE_EVENT_TYPE_OPENED, CASE_EVENT_TYPE_RESOLVED, CaseEvent, CaseEventType
from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz_devstack.tally import Tally


def enriched(event_id: str, customer: str) -> bytes:
    answer = EnrichedEvent()
    answer.event.id, answer.event.customer.id = event_id, customer
    return answer.SerializeToString()


def case(case_id: str, customer: str, happened: CaseEventType) -> bytes:
    event = CaseEvent(type=happened)
    event.support_case.id, event.support_case.customer.id = case_id, customer
    return event.SerializeToString()


def test_what_comes_twice_counts_once_and_other_runs_do_not_count() -> None:
    tally = Tally("demo-1")
    for value in (
        enriched("a", "demo-1-c1"),
        enriched("a", "demo-1-c1"),
        enriched("b", "demo-10-c1"),
        enriched("c", ""),
    ):
        tally.add_enriched(value)
    assert tally.enriched == {"a"}
    for value in (
        case("k1", "demo-1-c1", CASE_EVENT_TYPE_OPENED),
        case("k1", "demo-1-c1", CASE_EVENT_TYPE_OPENED),
        case("k2", "demo-1-c2", CASE_EVENT_TYPE_OPENED),
        case("k3", "demo-2-c1", CASE_EVENT_TYPE_OPENED),
        case("k1", "demo-1-c1", CASE_EVENT_TYPE_RESOLVED),
        # Resolved again after a reopening.
        case("k1", "demo-1-c1", CASE_EVENT_TYPE_RESOLVED),
    ):
        tally.add_case(value)
    assert (tally.opened, tally.resolved) == ({"k1", "k2"}, {"k1"})
    assert [each.id for each in tally.newest_cases] == ["k1", "k2"]
