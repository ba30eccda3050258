"""Plain numbers say in Prometheus' form what its own counters and histograms would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from voz_streamkit.figures import Counts, Timings

BUCKETS = (0.001, 0.5, 1.0, 10.0)


def told(registry: CollectorRegistry) -> list[str]:
    """The samples; when something began to be counted is left out."""
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


@given(st.lists(st.tuples(st.sampled_from(["a", 'b"c']), st.integers(0, 5)), max_size=20))
def test_counts_are_those_of_a_counter(counted: list[tuple[str, int]]) -> None:
    plain, theirs = CollectorRegistry(), CollectorRegistry()
    counts = Counts("things_total", "Things.", ["kind"], registry=plain)
    counter = Counter("things_total", "Things.", ["kind"], registry=theirs)
    for kind, amount in counted:
        counts.labels(kind).inc(amount)
        counter.labels(kind).inc(amount)
    assert told(plain) == told(theirs)


@given(st.lists(st.sampled_from([0.0, 0.0005, 0.001, 0.2, 0.5, 0.75, 1.0, 9.0, 10.0, 11.0]), max_size=20))
def test_timings_are_those_of_a_histogram(seconds: list[float]) -> None:
    plain, theirs = CollectorRegistry(), CollectorRegistry()
    timing = Timings("work_seconds", "Work.", buckets=BUCKETS, registry=plain).labels()
    histogram = Histogram("work_seconds", "Work.", buckets=BUCKETS, registry=theirs)
    for each in seconds:
        timing.observe(each)
        histogram.observe(each)
    assert told(plain) == told(theirs)
