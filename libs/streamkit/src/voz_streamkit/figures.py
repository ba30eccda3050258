"""Counters and timings for hot paths: plain numbers of one thread, made into Prometheus' form when they are asked for.

prometheus_client checks and locks each time, and looks through the buckets one by one: for what is counted with every
request that is a tenth of its cost.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Count:
    """One count."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self, amount: int = 1) -> None:
        """Count so many more."""
        self.value += amount


class Counts(Collector):
    """A counter with labels, as prometheus_client's Counter has them."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], *, registry: CollectorRegistry) -> None:
        self._name, self._documentation, self._labels = name, documentation, labels
        self._counts: dict[tuple[str, ...], Count] = {}
        registry.register(self)

    def labels(self, *values: str) -> Count:
        """The count of these labels."""
        found = self._counts.get(values)
        if found is None:
            found = self._counts[values] = Count()
        return found

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, count in self._counts.items():
            family.add_metric(values, count.value)
        yield family


class Timing:
    """How long something took, by buckets."""

    __slots__ = ("_buckets", "counts", "sum_seconds")

    def __init__(self, buckets: Sequence[float]) -> None:
        self._buckets = buckets
        self.counts = [0] * (len(buckets) + 1)
        self.sum_seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Take in one duration."""
        self.counts[bisect_left(self._buckets, seconds)] += 1
        self.sum_seconds += seconds


class Timings(Collector):
    """A histogram of seconds with labels, as prometheus_client's Histogram has them."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._documentation, self._labels, self._buckets = name, documentation, labels, buckets
        self._timings: dict[tuple[str, ...], Timing] = {}
        registry.register(self)

    def labels(self, *values: str) -> Timing:
        """The timing of these labels."""
        found = self._timings.get(values)
        if found is None:
            found = self._timings[values] = Timing(self._buckets)
        return found

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        ends = [*map(floatToGoString, self._buckets), "+Inf"]
        for values, timing in self._timings.items():
            so_far, cumulative = 0, []
            for end, count in zip(ends, timing.counts, strict=True):
                so_far += count
                cumulative.append((end, so_far))
            family.add_metric(values, cumulative, timing.sum_seconds)
        yield family
