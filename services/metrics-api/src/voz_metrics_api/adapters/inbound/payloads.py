"""What the typed payloads of events say: the survey's answer, the timeline's details, what is newly known."""

from __future__ import annotations

import math

from voz.v1.customer_event_pb2 import CustomerEvent, SubscriptionStatus, SurveyMetric, TicketStatus, TransactionType
from voz.v1.enriched_event_pb2 import Journey, Signals, TransitionCause
from voz.v1.labels_pb2 import Stage
from voz_contracts.revisions import DELETION_OF, is_deletion
from voz_contracts.words import word
from voz_metrics_api.domain.dimensions import label
from voz_metrics_api.domain.surveys import DEFAULT_SCALES, Metric, SurveyAnswer
from voz_streamkit.errors import InvalidRecordError

MAX_PROFILE_ATTRIBUTES = 50
MAX_ATTRIBUTE_CHARACTERS = 500


def clean(text: str) -> str:
    """Text as PostgreSQL can hold it: a NUL becomes U+FFFD."""
    return text.replace("\0", "\ufffd")


def survey(event: CustomerEvent) -> SurveyAnswer | None:
    """The event's answer to a survey. A scale that is not declared is the metric's usual one.

    Raises InvalidRecordError for an unknown metric and for a score outside its scale.
    """
    if not event.HasField("survey"):
        return None
    answer = event.survey
    name = word(SurveyMetric, answer.metric)
    if not name:
        raise InvalidRecordError("invalid", "survey.metric is not known")
    metric = Metric(name)
    declared = answer.HasField("scale") and answer.scale.min != answer.scale.max
    minimum, maximum = (answer.scale.min, answer.scale.max) if declared else DEFAULT_SCALES[metric]
    try:
        return SurveyAnswer(metric, answer.score, minimum, maximum, answer.scale.inverted)
    except ValueError as error:
        raise InvalidRecordError("invalid", f"survey: {error}") from None


def details(event: CustomerEvent) -> dict[str, str | float]:
    """What the payload adds to the timeline, without what it leaves empty."""
    match event.WhichOneof("payload"):
        case "survey":
            answer = event.survey
            found: dict[str, str | float] = {
                "metric": word(SurveyMetric, answer.metric),
                "score": answer.score,
                "question": clean(answer.question),
            }
        case "transaction":
            transaction = event.transaction
            found = {
                "type": word(TransactionType, transaction.type),
                "amount": clean(transaction.amount),
                "currency": clean(transaction.currency),
                "order_id": clean(transaction.order_id),
            }
        case "subscription":
            subscription = event.subscription
            found = {"status": word(SubscriptionStatus, subscription.status), "plan": clean(subscription.plan)}
        case "behaviour":
            behaviour = event.behaviour
            found = {
                "type": clean(behaviour.type),
                "url": clean(behaviour.url),
                "element": clean(behaviour.element),
                DELETION_OF: clean(event.attributes.get(DELETION_OF, "")) if is_deletion(event) else "",
            }
        case "ticket":
            ticket = event.ticket
            found = {
                "id": clean(ticket.id),
                "status": word(TicketStatus, ticket.status),
                "priority": clean(ticket.priority),
                "assignee": clean(ticket.assignee),
            }
        case _:
            found = {}
    return {name: value for name, value in found.items() if value != "" and _finite(value)}


def moved(journey: Journey) -> dict[str, str | float]:
    """What the timeline says of a move along the journey: from where, why, after how long. Empty without a move."""
    if not journey.cause:
        return {}
    cause = f"{word(TransitionCause, journey.cause)} {clean(journey.cause_type)}".strip()
    found: dict[str, str | float] = {"moved_from": word(Stage, journey.previous_stage), "moved_by": cause}
    if journey.HasField("in_previous_stage"):
        found["moved_after_seconds"] = journey.in_previous_stage.ToTimedelta().total_seconds()
    return {name: value for name, value in found.items() if value != ""}


def own_topic(signals: Signals) -> dict[str, str | float]:
    """The topic of the company's own, for the timeline. Empty without one."""
    return {"own_topic": clean(signals.own_topic)} if signals.own_topic else {}


def known(event: CustomerEvent) -> dict[str, str]:
    """What the event says of the customer: their segment and plan, and the attributes of a profile."""
    found = {"segment": label(event.attributes.get("segment", "")), "plan": label(event.subscription.plan)}
    attributes = event.profile.attributes
    for name in sorted(attributes)[:MAX_PROFILE_ATTRIBUTES]:
        found[label(name)] = label(attributes[name], MAX_ATTRIBUTE_CHARACTERS)
    return {name: value for name, value in found.items() if name and value}


def _finite(value: str | float) -> bool:
    return isinstance(value, str) or math.isfinite(value)
