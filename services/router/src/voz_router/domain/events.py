"""An enriched event as the router sees it. Labels are the words of the vocabularies; the empty word is no signal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

INBOUND, OUTBOUND = "inbound", "outbound"
CUSTOMER, EMPLOYEE = "customer", "employee"
MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class Customer:
    """Who an event or a case is about."""

    key: str
    id: str = ""
    handle: str = ""
    name: str = ""
    reach: int = 0


@dataclass(frozen=True, slots=True)
class Signals:
    """What enrichment derived. `sentiment_score` is in -1…1, None without a signal; `own_topic` the id of a topic of
    the company's own, empty without one."""

    origin: str = ""
    language: str = ""
    sentiment: str = ""
    sentiment_score: float | None = None
    emotion: str = ""
    intents: tuple[str, ...] = ()
    topic: str = ""
    effort: str = ""
    stage: str = ""
    model: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    own_topic: str = ""
    own_topic_score: float | None = None

    @property
    def absent(self) -> bool:
        """Whether nothing was derived that one could act upon."""
        return not (self.sentiment or self.emotion or self.intents or self.topic)


@dataclass(frozen=True, slots=True)
class SurveyAnswer:
    """One answer, as given, on the scale that its source declared (both ends included)."""

    metric: str
    score: float
    minimum: float
    maximum: float
    inverted: bool

    @property
    def position(self) -> float | None:
        """Where the answer stands on its scale: 0 the worst experience, 1 the best. None without a usable scale."""
        if not self.minimum <= self.score <= self.maximum or self.minimum == self.maximum:
            return None
        share = (self.score - self.minimum) / (self.maximum - self.minimum)
        return 1.0 - share if self.inverted else share


@dataclass(frozen=True, slots=True)
class Event:
    """One enriched event. `stage` is the customer's stage in the journey after it.

    `revises` is the message that it edits or takes back. Of a message's versions the greatest is the newest, and the
    original's is empty.
    """

    id: UUID
    tenant: str
    source: str
    channel: str
    kind: str
    audience: str
    direction: str
    customer: Customer
    occurred_at: datetime
    signals: Signals
    stage: str = ""
    conversation_id: str = ""
    text: str = ""
    survey: SurveyAnswer | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    revises: UUID | None = None
    deletes: bool = False
    version: str = ""

    @property
    def message_id(self) -> UUID:
        """The id that all versions of a message share: that of the original event."""
        return self.revises or self.id

    @property
    def answers(self) -> bool:
        """Whether the company says something to the customer; a ticket's new status, say, is no answer."""
        return self.direction == OUTBOUND and self.kind == MESSAGE

    @property
    def speaks(self) -> bool:
        """Whether the customer says something that people can read."""
        return self.direction == INBOUND and self.audience == CUSTOMER and bool(self.text)
