"""What rollups hold: whole numbers only, so that merging in any order and any split gives exactly the same KPI."""

from __future__ import annotations

from operator import add, sub
from typing import Final, NamedTuple

# Fractions (scores) are summed as whole millionths: a sum of floats depends on its order.
MICRO: Final = 1_000_000


class Counters(NamedTuple):
    """Sums over events and cases. `plus` is associative and commutative, and `Counters()` changes nothing."""

    # events of every kind and direction
    volume: int = 0
    # inbound messages, and those of them with the intent `complaint`
    inbound_messages: int = 0
    complaints: int = 0
    # inbound events by sentiment; those without one are in none
    negative: int = 0
    neutral: int = 0
    positive: int = 0
    # inbound events with a sentiment score, and the sum of their scores in millionths
    scored: int = 0
    score_micros: int = 0
    # inbound events with any signal about the experience, and what hurt in them
    judged: int = 0
    hurt_complaint: int = 0
    high_effort: int = 0
    # survey answers
    nps_promoters: int = 0
    nps_passives: int = 0
    nps_detractors: int = 0
    csat_ratings: int = 0
    csat_satisfied: int = 0
    ces_answers: int = 0
    ces_agree: int = 0
    ces_micros: int = 0
    # cases by when they were opened
    cases_opened: int = 0
    cases_answered: int = 0
    cases_resolved: int = 0

    def plus(self, other: Counters) -> Counters:
        """Both together."""
        return Counters(*map(add, self, other))

    def minus(self, other: Counters) -> Counters:
        """This without the other: corrections are negative contributions."""
        return Counters(*map(sub, self, other))
