"""What the HTTP interface takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from voz_router.domain.cases import Status
from voz_router.domain.decisions import Effect


def _without_control(text: str) -> str:
    if any(character < " " and character not in "\n\r\t" for character in text):
        raise ValueError("control characters have no place here")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("only printable characters have a place here")
    return text


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair is not a character") from None
    return text


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_encodable),
    AfterValidator(_one_line),
]
Prose = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000),
    AfterValidator(_encodable),
    AfterValidator(_without_control),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    agent: Name = Field(description="Who does it.")


class ClaimBody(_Body):
    """Take an open case."""


class NoteBody(_Body):
    """The answer that was given to the customer."""

    text: Prose


class ResolveBody(_Body):
    """How it ended."""

    outcome: Name = Field(description="A word of the team's own, such as `solved`, `refunded`, `thanked`.")
    note: Prose | None = None


class ReopenBody(_Body):
    """Why it is not over."""

    reason: Prose


class TransferBody(_Body):
    """Where it goes."""

    queue: Name


class CustomerView(BaseModel):
    """Who the case is about."""

    key: str
    id: str | None
    handle: str | None
    name: str | None
    reach: int


class SignalsView(BaseModel):
    """What enrichment understood of a message; null where it gave no signal."""

    sentiment: str | None
    sentiment_score: float | None
    emotion: str | None
    intents: list[str]
    topic: str | None
    own_topic: str | None
    effort: str | None
    stage: str | None
    language: str | None


class CaseView(BaseModel):
    """A case as it stands."""

    id: UUID
    queue: str
    status: Status
    customer: CustomerView
    rule: str
    policy_version: str
    reason: str
    signals: SignalsView
    channel: str
    source: str
    stage: str | None = Field(description="The customer's journey stage when the case was opened.")
    conversation_id: str | None
    text: str = Field(
        description="Text of the event that opened it, its first 10,000 characters; empty once it was taken back."
    )
    attributes: dict[str, str]
    opened_at: datetime
    due_at: datetime
    past_due: bool
    assignee: str | None
    first_response_at: datetime | None
    resolved_at: datetime | None
    outcome: str | None
    message_count: int
    reopen_count: int
    transfer_count: int


class MessageView(BaseModel):
    """Something said in a case."""

    event_id: UUID
    occurred_at: datetime
    direction: str
    channel: str
    source: str
    kind: str
    text: str
    signals: SignalsView
    edited: bool = Field(description="A later version of what was said first.")
    deleted: bool = Field(description="Taken back by its author: what was said is gone.")


class ClockView(BaseModel):
    """The case's clock, calendar time. Seconds are null until the moment has come."""

    started_at: datetime = Field(description="When the case was opened or last reopened.")
    due_at: datetime
    past_due: bool
    seconds_left: float | None = Field(description="Until due, negative when past; null when resolved.")
    first_response_at: datetime | None
    first_response_seconds: float | None
    first_resolved_at: datetime | None
    resolved_at: datetime | None
    resolution_seconds: float | None = Field(description="From opening to the last resolution.")


class HistoryView(BaseModel):
    """Something that happened to a case, and where it stood afterwards. `agent` is null when Voz did it."""

    sequence: int
    type: str
    occurred_at: datetime
    agent: str | None
    note: str | None
    event_id: UUID | None
    queue: str
    status: Status


class CaseDetailView(CaseView):
    """A case with its messages, its clock and its history, oldest first."""

    messages: list[MessageView]
    clock: ClockView
    history: list[HistoryView]


class CasePage(BaseModel):
    """Cases by due time."""

    items: list[CaseView]
    next: str | None


class QueueView(BaseModel):
    """How a queue stands."""

    queue: str
    description: str
    skills: list[str]
    sla_minutes: float | None = Field(description="Null for a queue that the policy in force no longer has.")
    waiting: int = Field(description="Open cases that nobody has claimed.")
    claimed: int
    waiting_for_customer: int
    oldest_waiting_seconds: float | None = Field(description="Null when none waits.")
    past_due: int


class QueueList(BaseModel):
    """All queues."""

    items: list[QueueView]
    next: str | None


class DecisionView(BaseModel):
    """What was decided about one event, and why."""

    event_id: UUID
    customer_key: str
    act: bool
    effect: Effect
    rule: str | None = Field(description="Null when no rule matched.")
    queue: str | None
    reason: str
    because: list[str] = Field(description="What of the event the rule looked at.")
    policy_version: str
    case_id: UUID | None
    decided_at: datetime


class DecisionPage(BaseModel):
    """Decisions, newest first."""

    items: list[DecisionView]
    next: str | None


class PolicyQueueView(BaseModel):
    """A queue of the policy."""

    name: str
    description: str
    skills: list[str]
    sla_minutes: float


class PolicyRuleView(BaseModel):
    """A rule of the policy. `when` has the shape of the policy file."""

    id: str
    when: dict[str, object]
    act: bool
    reason: str
    queue: str | None = None
    case_per: str | None = None


class PolicyView(BaseModel):
    """The policy in force. `version` is its author's, with a hash of the content."""

    version: str
    queues: list[PolicyQueueView]
    rules: list[PolicyRuleView]
