"""What an event is, whatever it came as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Channel(StrEnum):
    """The kind of place where it happened."""

    SOCIAL = "social"
    EMAIL = "email"
    CHAT = "chat"
    PHONE = "phone"
    STORE = "store"
    WEB = "web"
    APP = "app"
    SURVEY = "survey"
    REVIEW = "review"
    TICKET = "ticket"
    COMMUNITY = "community"
    CRM = "crm"


class EventKind(StrEnum):
    """What kind of thing happened; it says which payload the event carries."""

    MESSAGE = "message"
    SURVEY = "survey"
    BEHAVIOUR = "behaviour"
    TRANSACTION = "transaction"
    TICKET = "ticket"
    SUBSCRIPTION = "subscription"
    PROFILE = "profile"


class Audience(StrEnum):
    """Whose voice it is."""

    CUSTOMER = "customer"
    EMPLOYEE = "employee"


class Direction(StrEnum):
    """Inbound: they speak. Outbound: the company answers."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class SurveyMetric(StrEnum):
    """What a survey's question measures."""

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


class Customer(NamedTuple):
    """Who it is about: an id, or a handle at the source (one of both is never empty)."""

    id: str
    handle: str
    name: str
    reach: int
    """Followers or audience, people."""
    company_id: bool = True
    """Whose the id is: the company's (it names the same person whatever the source), or the source's own."""

    @property
    def known_by(self) -> tuple[str, str]:
        """The company's id, and what the source knows them by: the first that isn't empty says who it is."""
        return (self.id, self.handle) if self.company_id else ("", self.id or self.handle)


class Conversation(NamedTuple):
    """The thread it belongs to; empty where the source has none."""

    id: str
    reply_to: str


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale of a survey's answer, both ends included; `inverted`: a high score means a bad experience."""

    min: float
    max: float
    inverted: bool


@dataclass(frozen=True, slots=True)
class Survey:
    """An answer to one survey question; its score lies on its scale."""

    metric: SurveyMetric
    score: float
    scale: Scale
    question: str
    comment: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """A purchase or its undoing. `amount`: major units of `currency` (ISO 4217) as a decimal; empty when not given."""

    type: TransactionType
    amount: str
    currency: str
    order_id: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """A change in a subscription's life."""

    status: SubscriptionStatus
    plan: str


@dataclass(frozen=True, slots=True)
class Viewport:
    """Size of the visible area, CSS pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Something done on the web site or in the app. `type` is an open vocabulary; `x`, `y` are CSS pixels."""

    type: str
    url: str
    element: str
    x: float | None
    y: float | None
    viewport: Viewport | None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A help desk's ticket as it stands after the update."""

    id: str
    status: TicketStatus
    priority: str
    assignee: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of the customer: attributes, and other ids of the same person."""

    attributes: Mapping[str, str]


Payload = Survey | Transaction | Subscription | Behaviour | Ticket | Profile


class CustomerEvent(NamedTuple):
    """One thing that happened, valid in itself. Empty text is no text; times are aware and in UTC."""

    source: str
    source_id: str
    """The source's own id; empty when the sender gave none."""
    channel: Channel
    kind: EventKind
    audience: Audience
    direction: Direction
    customer: Customer
    conversation: Conversation
    text: str
    language: str
    """ISO 639, as declared; empty when not declared."""
    occurred_at: datetime
    occurred_at_defaulted: bool
    """The sender named no time: `occurred_at` is that of the receipt."""
    attributes: Mapping[str, str]
    payload: Payload | None


class ReceivedEvent(NamedTuple):
    """An event as it goes into the log: whose it is, under which id, since when."""

    id: str
    """A UUID; the same for every delivery of the same (tenant, source, source id)."""
    tenant: str
    received_at: datetime
    event: CustomerEvent
    traceparent: str = ""
    """The trace that it belongs to (W3C Trace Context); empty when none."""
    sent_by: str = ""
    """Who brought it: `key:<id>` or `connection:<id>`."""
    customer_key: str = ""
    """The key of whom its customer was linked with; empty where nothing is said: then it follows from the customer."""
