"""What the service keeps of an event and of a case, parsed once at the edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from voz_metrics_api.domain.dimensions import Dimensions
from voz_metrics_api.domain.surveys import SurveyAnswer

INBOUND = "inbound"
MESSAGE = "message"
COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """Who it is about, as this event says; the empty word where it says nothing."""

    key: str
    id: str = ""
    handle: str = ""
    name: str = ""
    reach: int = 0


@dataclass(frozen=True, slots=True)
class EventFacts:
    """One enriched event. Times are aware; `sentiment_score` in −1…1, None without a signal."""

    tenant: str
    event_id: UUID
    occurred_at: datetime
    customer: CustomerFacts
    dimensions: Dimensions
    sentiment_score: float | None = None
    effort: str = ""
    survey: SurveyAnswer | None = None
    text: str = ""
    conversation_id: str = ""
    journey_stage: str = ""
    journey_since: datetime | None = None
    # When the customer last did something themselves, as enrich knew it then; where the event lies in its partition.
    heard_at: datetime | None = None
    position: int = 0
    # What the payload adds to the timeline: a survey's score, an order's amount, a ticket's status …
    details: Mapping[str, str | float] = field(default_factory=dict)
    # What is newly known of the customer: segment, plan, attributes of a profile event …
    known: Mapping[str, str] = field(default_factory=dict)
    # The message that this event edits or takes back. Of its versions the greatest is the newest; the original's is "".
    revises: UUID | None = None
    deletes: bool = False
    version: str = ""

    @property
    def inbound(self) -> bool:
        """Whether the customer speaks, and not the company."""
        return self.dimensions.direction == INBOUND

    @property
    def key(self) -> tuple[str, UUID]:
        """Which event it is: its id may be another tenant's, too."""
        return self.tenant, self.event_id

    @property
    def message_id(self) -> UUID:
        """The id that all versions of a message share: that of the original event."""
        return self.revises or self.event_id


@dataclass(frozen=True, slots=True)
class JoinFacts:
    """What has had the key `customer_key` has `joined_to` now; both are the same for one that was parted again. Of all
    that is said of a key the greatest `number` holds."""

    tenant: str
    customer_key: str
    joined_to: str
    number: int


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """One case as it stands after its event number `sequence`; the greatest one seen is the newest."""

    tenant: str
    case_id: UUID
    sequence: int
    dimensions: Dimensions
    opened_at: datetime
    resolved: bool = False
    first_response_at: datetime | None = None
    first_resolved_at: datetime | None = None
    resolved_at: datetime | None = None
