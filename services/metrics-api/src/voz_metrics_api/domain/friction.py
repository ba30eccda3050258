"""Where the journey hurts: stages × topics, ranked."""

from __future__ import annotations

from dataclasses import dataclass

from voz_metrics_api.domain.counters import Counters


@dataclass(frozen=True, slots=True)
class Friction:
    """One stage × topic. `judged` inbound events carried a signal; shares are of them; the word is empty for none.

    `score` in 0…100: of every 100 points of pain that all judged events of the window could show (one each for being
    negative, a complaint, of high effort), how many are shown here. It grows with how many customers are hurt and with
    how much, and the scores of all cells add up to the pain of the whole journey.
    """

    stage: str
    topic: str
    judged: int
    negative: int
    complaint: int
    high_effort: int
    score: float

    def share(self, count: int) -> float:
        """Of the judged events here."""
        return count / self.judged


def rank(cells: dict[tuple[str, str], Counters]) -> list[Friction]:
    """Cells with anything judged, the one that hurts most first; ties in the order of stage and topic."""
    total = sum(counters.judged for counters in cells.values())
    found = [_friction(stage, topic, counters, total) for (stage, topic), counters in cells.items() if counters.judged]
    return sorted(found, key=lambda cell: (-cell.score, cell.stage, cell.topic))


def _friction(stage: str, topic: str, counters: Counters, total: int) -> Friction:
    pain = counters.negative + counters.hurt_complaint + counters.high_effort
    return Friction(
        stage,
        topic,
        counters.judged,
        counters.negative,
        counters.hurt_complaint,
        counters.high_effort,
        100 * pain / (3 * total),
    )
