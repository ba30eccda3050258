"""The typed payloads of an event's plain form, read into values that are right."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from voz_ingest.domain.event import (
    Behaviour,
    EventKind,
    Payload,
    Profile,
    Scale,
    Subscription,
    SubscriptionStatus,
    Survey,
    SurveyMetric,
    Ticket,
    TicketStatus,
    Transaction,
    TransactionType,
    Viewport,
)
from voz_ingest.domain.fields import Fields, Reader, words

SURVEY_METRICS = words(SurveyMetric)
TRANSACTION_TYPES = words(TransactionType)
SUBSCRIPTION_STATUSES = words(SubscriptionStatus)
TICKET_STATUSES = words(TicketStatus)

SURVEY_FIELDS = frozenset({"metric", "score", "scale", "question", "comment"})
SCALE_FIELDS = frozenset({"min", "max", "inverted"})
TRANSACTION_FIELDS = frozenset({"type", "amount", "currency", "order_id"})
SUBSCRIPTION_FIELDS = frozenset({"status", "plan"})
BEHAVIOUR_FIELDS = frozenset({"type", "url", "element", "x", "y", "viewport"})
VIEWPORT_FIELDS = frozenset({"width", "height"})
TICKET_FIELDS = frozenset({"id", "status", "priority", "assignee"})

DEFAULT_SCALES = {
    SurveyMetric.NPS: Scale(0.0, 10.0, inverted=False),  # "would you recommend", 0-10 (Reichheld 2003)
    SurveyMetric.CSAT: Scale(1.0, 5.0, inverted=False),
    SurveyMetric.CES: Scale(1.0, 7.0, inverted=False),  # agreement with "was easy" (CES 2.0)
}
_AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_MAX_PIXELS = (1 << 32) - 1


def read_payload(reader: Reader, kind: EventKind, fields: Fields, *, max_text_bytes: int) -> Payload | None:
    """The payload that an event of this kind carries; None when it is wrong, which `reader` then knows."""
    if kind is EventKind.SURVEY:
        return _survey(reader, fields, max_text_bytes)
    return _READ[kind](reader, fields)


def _survey(reader: Reader, fields: Fields, max_text_bytes: int) -> Survey | None:
    at = "/survey"
    reader.only(fields, SURVEY_FIELDS, at)
    metric = reader.word(fields, "metric", SURVEY_METRICS, at, required=True)
    score = reader.number(fields, "score", at, required=True)
    question = reader.line(fields, "question", at, max_chars=2000)
    comment = reader.text(fields, "comment", at, max_bytes=max_text_bytes)
    if metric is None or score is None:
        return None
    scale = _scale(reader, fields, DEFAULT_SCALES[metric])
    if scale is None:
        return None
    if not scale.min <= score <= scale.max:
        reader.wrong(f"{at}/score", f"must lie on its scale, {scale.min:g} to {scale.max:g}")
        return None
    return Survey(metric, score, scale, question, comment)


def _scale(reader: Reader, fields: Fields, default: Scale) -> Scale | None:
    """The declared scale. Both ends or neither: half a scale would be a guess."""
    at = "/survey/scale"
    said = reader.object(fields, "scale", "/survey")
    if said is None:
        return default if fields.get("scale") is None else None
    reader.only(said, SCALE_FIELDS, at)
    low, high = reader.number(said, "min", at), reader.number(said, "max", at)
    inverted = reader.flag(said, "inverted", at)
    if said.get("min") is None and said.get("max") is None:
        return Scale(default.min, default.max, inverted)
    if low is None or high is None or not low < high:
        reader.wrong(at, "needs both min and max, min below max")
        return None
    return Scale(low, high, inverted)


def _transaction(reader: Reader, fields: Fields) -> Transaction | None:
    at = "/transaction"
    reader.only(fields, TRANSACTION_FIELDS, at)
    happened = reader.word(fields, "type", TRANSACTION_TYPES, at, required=True)
    amount = _amount(reader, fields, at)
    currency = reader.id(fields, "currency", at)
    if currency and not _CURRENCY.fullmatch(currency):
        reader.wrong(f"{at}/currency", "must be an ISO 4217 code such as EUR")
    elif amount and fields.get("currency") is None:
        reader.wrong(f"{at}/currency", "is required with an amount")
    order_id = reader.id(fields, "order_id", at)
    return Transaction(happened, amount, currency, order_id) if happened else None


def _amount(reader: Reader, fields: Fields, at: str) -> str:
    """Money as a decimal string. A JSON number is taken by its shortest decimal form; a string keeps its digits."""
    value = fields.get("amount")
    if value is None:
        return ""
    said = value if isinstance(value, str) else ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        said = format(Decimal(repr(value)), "f") if abs(value) < 1e15 else ""
    if not _AMOUNT.fullmatch(said):
        reader.wrong(f"{at}/amount", "must be a decimal such as 39.90, at most 15 digits before the point and 6 after")
        return ""
    return said


def _subscription(reader: Reader, fields: Fields) -> Subscription | None:
    at = "/subscription"
    reader.only(fields, SUBSCRIPTION_FIELDS, at)
    status = reader.word(fields, "status", SUBSCRIPTION_STATUSES, at, required=True)
    plan = reader.line(fields, "plan", at, max_chars=255)
    return Subscription(status, plan) if status else None


def _behaviour(reader: Reader, fields: Fields) -> Behaviour | None:
    at = "/behaviour"
    reader.only(fields, BEHAVIOUR_FIELDS, at)
    return Behaviour(
        type=reader.id(fields, "type", at, max_chars=64, required=True),
        url=reader.line(fields, "url", at, max_chars=2048),
        element=reader.line(fields, "element", at),
        x=reader.number(fields, "x", at),
        y=reader.number(fields, "y", at),
        viewport=_viewport(reader, reader.object(fields, "viewport", at)),
    )


def _viewport(reader: Reader, fields: Fields | None) -> Viewport | None:
    if fields is None:
        return None
    at = "/behaviour/viewport"
    reader.only(fields, VIEWPORT_FIELDS, at)
    width = reader.count(fields, "width", at, maximum=_MAX_PIXELS)
    return Viewport(width, reader.count(fields, "height", at, maximum=_MAX_PIXELS))


def _ticket(reader: Reader, fields: Fields) -> Ticket | None:
    at = "/ticket"
    reader.only(fields, TICKET_FIELDS, at)
    number = reader.id(fields, "id", at, required=True)
    status = reader.word(fields, "status", TICKET_STATUSES, at, required=True)
    priority = reader.line(fields, "priority", at, max_chars=64)
    assignee = reader.line(fields, "assignee", at, max_chars=255)
    return Ticket(number, status, priority, assignee) if status else None


def _profile(reader: Reader, fields: Fields) -> Profile:
    return Profile(reader.labels(fields, "/profile"))


_READ: dict[EventKind, Callable[[Reader, Fields], Payload | None]] = {
    EventKind.TRANSACTION: _transaction,
    EventKind.SUBSCRIPTION: _subscription,
    EventKind.BEHAVIOUR: _behaviour,
    EventKind.TICKET: _ticket,
    EventKind.PROFILE: _profile,
}
