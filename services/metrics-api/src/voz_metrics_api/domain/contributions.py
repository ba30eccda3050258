"""What one event and one case add to the rollups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from voz_metrics_api.domain.counters import MICRO, Counters
from voz_metrics_api.domain.durations import Measure, bin_of, micros
from voz_metrics_api.domain.facts import COMPLAINT, MESSAGE, CaseFacts, EventFacts
from voz_metrics_api.domain.surveys import Metric, SurveyAnswer


def of_event(event: EventFacts) -> Counters:
    """What an event counts, in the minute when it happened.

    Sentiment, complaints and effort are what customers say: inbound events only. Surveys count whatever the direction.
    """
    survey = _of_survey(event.survey) if event.survey else Counters()
    if not event.inbound:
        return survey._replace(volume=1)
    dimensions, score = event.dimensions, event.sentiment_score
    message, complaint = dimensions.kind == MESSAGE, COMPLAINT in dimensions.intents
    return survey._replace(
        volume=1,
        inbound_messages=int(message),
        complaints=int(message and complaint),
        negative=int(dimensions.sentiment == "negative"),
        neutral=int(dimensions.sentiment == "neutral"),
        positive=int(dimensions.sentiment == "positive"),
        scored=int(score is not None),
        score_micros=round((score or 0.0) * MICRO),
        judged=int(bool(dimensions.sentiment or dimensions.intents or event.effort)),
        hurt_complaint=int(complaint),
        high_effort=int(event.effort == "high"),
    )


def _of_survey(answer: SurveyAnswer) -> Counters:
    match answer.metric:
        case Metric.NPS:
            passive = not (answer.promoter or answer.detractor)
            return Counters(
                nps_promoters=int(answer.promoter), nps_passives=int(passive), nps_detractors=int(answer.detractor)
            )
        case Metric.CSAT:
            return Counters(csat_ratings=1, csat_satisfied=int(answer.satisfied))
        case Metric.CES:
            return Counters(ces_answers=1, ces_agree=int(answer.agrees), ces_micros=round(answer.ease * MICRO))


@dataclass(frozen=True, slots=True)
class CaseState:
    """What must be remembered of a case so that its contribution can be taken back: `dimensions` is the digest."""

    sequence: int
    dimensions: UUID
    opened_at: datetime
    resolved: bool = False
    first_response_at: datetime | None = None
    first_resolved_at: datetime | None = None
    resolved_at: datetime | None = None

    @classmethod
    def of(cls, case: CaseFacts) -> CaseState:
        """The state that remembers this case."""
        return cls(
            case.sequence,
            case.dimensions.digest(),
            case.opened_at,
            case.resolved,
            case.first_response_at,
            case.first_resolved_at,
            case.resolved_at,
        )


@dataclass(frozen=True, slots=True)
class Duration:
    """One timed thing, in the rollups of when it ended."""

    at: datetime
    measure: Measure
    bin: int
    micros: int


def of_case(case: CaseState) -> tuple[Counters, list[Duration]]:
    """What a case counts: its outcome where it was opened (a cohort), its durations where they ended.

    A function of the newest state alone. Taking back the contribution of the state before and adding this one gives
    the same rollups whatever came in between, twice or out of order.
    """
    counters = Counters(
        cases_opened=1, cases_answered=int(case.first_response_at is not None), cases_resolved=int(case.resolved)
    )
    return counters, list(_durations(case))


def _durations(case: CaseState) -> Iterator[Duration]:
    ends = (
        (Measure.FIRST_RESPONSE, case.first_response_at),
        (Measure.FIRST_RESOLUTION, case.first_resolved_at),
        (Measure.LAST_RESOLUTION, case.resolved_at),
    )
    for measure, end in ends:
        if end is not None:
            took = micros(end - case.opened_at)
            yield Duration(end, measure, bin_of(took), took)
