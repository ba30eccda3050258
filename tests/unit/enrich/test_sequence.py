"""The bookkeeping of delivered events: whatever is delivered, every offset is processed once and in order."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from voz_enrich.adapters.inbound.sequence import Due, Missing, arrange


@dataclass(frozen=True, slots=True)
class Event:
    partition: int
    offset: int


deliveries = st.lists(st.lists(st.builds(Event, st.integers(0, 2), st.integers(0, 30)), max_size=20), max_size=10)


@given(deliveries)
def test_every_offset_is_processed_once_and_in_order(batches: list[list[Event]]) -> None:
    due = {0: 0, 1: 0, 2: 0}
    processed: dict[int, list[int]] = {0: [], 1: [], 2: []}
    dropped = 0
    for batch in batches:
        steps, repeats = arrange(batch, due)
        dropped += repeats
        for step in steps:
            if isinstance(step, Missing):
                assert step.start == due[step.partition] < step.until
                processed[step.partition].extend(range(step.start, step.until))
                due[step.partition] = step.until
            else:
                for event in step.events:
                    assert event.offset == due[event.partition]
                    processed[event.partition].append(event.offset)
                    due[event.partition] += 1
    for partition, offsets in processed.items():
        greatest = max((e.offset for batch in batches for e in batch if e.partition == partition), default=-1)
        assert offsets == list(range(greatest + 1))
    delivered = sum(len(batch) for batch in batches)
    healed = sum(len(offsets) for offsets in processed.values())
    assert dropped <= delivered <= dropped + healed


def test_a_gap_is_read_before_what_follows_it() -> None:
    steps, repeats = arrange([Event(0, 5), Event(1, 0), Event(0, 8), Event(0, 6)], {0: 5, 1: 0})
    assert repeats == 1
    assert steps == [Due((Event(0, 5), Event(1, 0))), Missing(0, 6, 8), Due((Event(0, 8),))]


def test_nothing_delivered_is_nothing_to_do() -> None:
    assert arrange([], {0: 3}) == ([], 0)
