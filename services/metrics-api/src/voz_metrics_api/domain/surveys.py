"""Survey answers on any scale, read as the scale that the KPI is defined on; inverted ones are turned round."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Metric(StrEnum):
    """What a survey question measures."""

    NPS = "nps"
    CSAT = "csat"
    CES = "ces"


# The scale of an answer that declares none: (min, max).
DEFAULT_SCALES: Final = {Metric.NPS: (0.0, 10.0), Metric.CSAT: (1.0, 5.0), Metric.CES: (1.0, 7.0)}
# The top quarter of the scale: 4 and 5 of 1–5, 6 and 7 of 1–7, 8 to 10 of 0–10 and of 1–10.
CSAT_SATISFIED_SHARE: Final = 0.75
CES_AGREES_FROM: Final = 5.0


@dataclass(frozen=True, slots=True)
class SurveyAnswer:
    """One answer. `inverted`: a high score means a bad experience.

    Raises ValueError when the scale is empty or the score lies outside it.
    """

    metric: Metric
    score: float
    minimum: float
    maximum: float
    inverted: bool = False

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.score, self.minimum, self.maximum))) or self.minimum >= self.maximum:
            raise ValueError(f"not a scale: {self.minimum}..{self.maximum}")
        if not self.minimum <= self.score <= self.maximum:
            raise ValueError(f"the score {self.score} lies outside {self.minimum}..{self.maximum}")

    def share(self) -> float:
        """Where it stands on its scale, 0 worst … 1 best."""
        distance = self.maximum - self.score if self.inverted else self.score - self.minimum
        return distance / (self.maximum - self.minimum)

    def on(self, minimum: float, maximum: float) -> float:
        """The answer on another scale, linearly, high meaning good; untouched on the same scale."""
        if (self.minimum, self.maximum) == (minimum, maximum):
            return minimum + maximum - self.score if self.inverted else self.score
        return minimum + self.share() * (maximum - minimum)

    @property
    def promoter(self) -> bool:
        """9 or 10 on 0–10."""
        return self.on(0, 10) >= 9

    @property
    def detractor(self) -> bool:
        """0 to 6 on 0–10."""
        return self.on(0, 10) <= 6

    @property
    def satisfied(self) -> bool:
        """In the top quarter of the scale (4–5 of 5)."""
        return self.share() >= CSAT_SATISFIED_SHARE

    @property
    def ease(self) -> float:
        """Agreement with "it was easy" on 1–7."""
        return self.on(1, 7)

    @property
    def agrees(self) -> bool:
        """5 to 7 on 1–7."""
        return self.ease >= CES_AGREES_FROM
