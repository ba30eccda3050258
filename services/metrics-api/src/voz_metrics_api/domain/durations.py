"""Durations as mergeable sketches: quantiles from log-sized bins, exact to 1 % of the value, whatever the merges.

DDSketch: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
PVLDB 12(12), 2019. A bin holds a count, so sketches subtract as well as they add: a reopened case withdraws its time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

RELATIVE_ACCURACY: Final = 0.01
_GAMMA: Final = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
_LOG_GAMMA: Final = math.log(_GAMMA)
# All durations up to a millisecond share a bin below every other: nobody answers a customer faster.
_SHORTEST_MICROS: Final = 1_000
SHORTEST_BIN: Final = 0
# Longer than any case is worked on, and short enough that sums of them stay whole 64-bit numbers.
_LONGEST: Final = timedelta(days=3650)


class Measure(StrEnum):
    """What is timed of a case, from its opening."""

    FIRST_RESPONSE = "first_response"
    FIRST_RESOLUTION = "first_resolution"
    LAST_RESOLUTION = "last_resolution"


def micros(duration: timedelta) -> int:
    """Whole microseconds, at most ten years; a negative duration (two clocks disagree) is 0."""
    return min(max(timedelta(0), duration), _LONGEST) // timedelta(microseconds=1)


def bin_of(duration_micros: int) -> int:
    """The bin of a duration: bin b > 0 holds (1 ms · γ^(b−1), 1 ms · γ^b]."""
    if duration_micros <= _SHORTEST_MICROS:
        return SHORTEST_BIN
    return math.ceil(math.log(duration_micros / _SHORTEST_MICROS) / _LOG_GAMMA)


def bin_seconds(number: int) -> float:
    """The duration that stands for a bin: at most 1 % from any in it."""
    if number <= SHORTEST_BIN:
        return _SHORTEST_MICROS / 1e6
    return 2 * math.pow(_GAMMA, number) / (_GAMMA + 1) * _SHORTEST_MICROS / 1e6


@dataclass(frozen=True, slots=True)
class Sketch:
    """Counts by bin and the exact total in microseconds."""

    bins: Mapping[int, int] = field(default_factory=dict)
    total_micros: int = 0

    @classmethod
    def of(cls, durations_micros: Iterable[int]) -> Sketch:
        """The sketch of these durations."""
        bins: dict[int, int] = {}
        total = 0
        for duration in durations_micros:
            number = bin_of(duration)
            bins[number] = bins.get(number, 0) + 1
            total += duration
        return cls(bins, total)

    @property
    def n(self) -> int:
        """How many durations it holds."""
        return sum(self.bins.values())

    def plus(self, other: Sketch) -> Sketch:
        """Both together."""
        bins = dict(self.bins)
        for number, count in other.bins.items():
            bins[number] = bins.get(number, 0) + count
        return Sketch(
            {number: count for number, count in bins.items() if count}, self.total_micros + other.total_micros
        )

    def quantile(self, q: float) -> float | None:
        """The duration of rank ⌊q·(n−1)⌋ in seconds, within 1 %; None when there is none."""
        n = self.n
        if n <= 0:
            return None
        rank, seen = math.floor(q * (n - 1)), 0
        for number in sorted(self.bins):
            seen += self.bins[number]
            if seen > rank:
                return bin_seconds(number)
        return None
