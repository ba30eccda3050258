"""What happened, as far as enrichment cares: the facts of one event, without its text."""

from dataclasses import dataclass
from enum import StrEnum


class Metric(StrEnum):
    """What a survey question measures."""

    NPS = "nps"
    CSAT = "csat"
    CES = "ces"


class TransactionType(StrEnum):
    """What happened to an order."""

    ORDER_PLACED = "order_placed"
    ORDER_PAID = "order_paid"
    ORDER_DELIVERED = "order_delivered"
    REFUND = "refund"
    RETURN = "return"


class SubscriptionStatus(StrEnum):
    """What happened to a subscription."""

    STARTED = "started"
    RENEWED = "renewed"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    CANCELLED = "cancelled"
    ENDED = "ended"


class TicketStatus(StrEnum):
    """Where a help desk's ticket stands."""

    NEW = "new"
    OPEN = "open"
    PENDING = "pending"
    SOLVED = "solved"
    CLOSED = "closed"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class SurveyAnswer:
    """One answer on a scale from `low` to `high`, both included, `low` < `high`.

    inverted: a high score means a bad experience.
    """

    metric: Metric
    score: float
    low: float
    high: float
    inverted: bool

    @property
    def goodness(self) -> float:
        """Where the answer lies between the worst (0) and the best (1) that the scale allows."""
        share = min(1.0, max(0.0, (self.score - self.low) / (self.high - self.low)))
        return 1.0 - share if self.inverted else share


@dataclass(frozen=True, slots=True)
class Rating:
    """Stars (or a thumb) that no survey question explains, on a scale from `low` to `high`, both included, `low` <
    `high`; what lies outside counts as the nearest end."""

    score: float
    low: float
    high: float

    @property
    def goodness(self) -> float:
        """Where the stars lie between none of what can be given (0) and all of it (1)."""
        return min(1.0, max(0.0, (self.score - self.low) / (self.high - self.low)))


@dataclass(frozen=True, slots=True)
class Retraction:
    """The author took a message back: nothing is said by it."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a record says of somebody: they did nothing."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Something done on the web site or in the app; `type` is an open vocabulary."""

    type: str


Payload = SurveyAnswer | Rating | TransactionType | SubscriptionStatus | TicketStatus | Behaviour | Retraction | Profile


@dataclass(frozen=True, slots=True)
class EventFacts:
    """The facts of one event.

    occurred_at_ms: milliseconds since 1970 UTC. payload: None for a message, or what isn't known yet. edit: a later
    version of what was said before.
    """

    inbound: bool
    from_customer: bool
    occurred_at_ms: int
    payload: Payload | None
    edit: bool = False
