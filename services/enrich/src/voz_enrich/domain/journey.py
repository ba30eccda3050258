"""The customer's journey: a fold over their events, in the order of the source partition (docs/journey.md).

Rules, in order:
1. Only what the customer does moves them: inbound, `audience = customer`. Anybody else's event leaves the state alone,
   and so does taking a message back, or a profile: nothing happened then.
2. An explicit event (order, subscription, ticket, sign-up) moves them to the stage it stands for, and says what they
   are from then on: a prospect, a customer, in support, or gone. A ticket that is solved returns them to `use`. Who is
   gone is brought back by buying, not by what settles the past. Only a later explicit event outranks it: one that
   arrives late goes under what texts have said since.
3. What a message, survey or cart suggests moves them only within what they are: a customer isn't moved back to
   `discover` or `consider`, one with an open ticket only to `leave`, one who is gone nowhere. One that occurred before
   the event that placed the customer does not move them.
4. Forward (or between `use` and `support`) one suggestion is enough. Backward it takes two that agree, from an hour to
   30 days apart; an edit says again what its message said, and is no second one.
5. Whoever shows up without any of this is at `discover`; chit-chat (no intent but `other`) suggests nothing.

Time is that of the events, never a clock: a replay of the same events always gives the same stage.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from voz_enrich.domain.facts import (
    Behaviour,
    EventFacts,
    Payload,
    Profile,
    Rating,
    Retraction,
    SubscriptionStatus,
    SurveyAnswer,
    TicketStatus,
    TransactionType,
)
from voz_enrich.domain.journey_state import Hint, JourneyState, Standing
from voz_enrich.domain.labels import Stage

SIGN_UP = Behaviour("sign_up")
EXPLICIT: dict[Payload, tuple[Stage, Standing]] = {
    SIGN_UP: (Stage.ONBOARD, Standing.CUSTOMER),
    TransactionType.ORDER_PLACED: (Stage.PURCHASE, Standing.CUSTOMER),
    TransactionType.ORDER_PAID: (Stage.ONBOARD, Standing.CUSTOMER),
    TransactionType.ORDER_DELIVERED: (Stage.USE, Standing.CUSTOMER),
    TransactionType.REFUND: (Stage.SUPPORT, Standing.CUSTOMER),
    TransactionType.RETURN: (Stage.SUPPORT, Standing.CUSTOMER),
    SubscriptionStatus.STARTED: (Stage.ONBOARD, Standing.CUSTOMER),
    SubscriptionStatus.RENEWED: (Stage.RENEW, Standing.CUSTOMER),
    SubscriptionStatus.UPGRADED: (Stage.RENEW, Standing.CUSTOMER),
    SubscriptionStatus.DOWNGRADED: (Stage.USE, Standing.CUSTOMER),
    SubscriptionStatus.CANCELLED: (Stage.LEAVE, Standing.GONE),
    SubscriptionStatus.ENDED: (Stage.LEAVE, Standing.GONE),
    TicketStatus.NEW: (Stage.SUPPORT, Standing.IN_SUPPORT),
    TicketStatus.OPEN: (Stage.SUPPORT, Standing.IN_SUPPORT),
    TicketStatus.PENDING: (Stage.SUPPORT, Standing.IN_SUPPORT),
    TicketStatus.REOPENED: (Stage.SUPPORT, Standing.IN_SUPPORT),
    # These end an open ticket, and else say nothing.
    TicketStatus.SOLVED: (Stage.USE, Standing.CUSTOMER),
    TicketStatus.CLOSED: (Stage.USE, Standing.CUSTOMER),
}
_SOLVED = frozenset({TicketStatus.SOLVED, TicketStatus.CLOSED})
# Settling the past with somebody who is gone does not bring them back.
_AFTERMATH = frozenset({TransactionType.ORDER_DELIVERED, TransactionType.REFUND, TransactionType.RETURN, *TicketStatus})
# Done for the customer, or without them: no sign that they are still there.
_NOT_BY_THEM = frozenset(
    {
        TransactionType.ORDER_DELIVERED,
        SubscriptionStatus.RENEWED,
        SubscriptionStatus.ENDED,
        TicketStatus.PENDING,
        *_SOLVED,
    }
)
# How far along the journey: a problem is met on the way, neither before nor after using.
DEPTH = {
    Stage.DISCOVER: 0,
    Stage.CONSIDER: 1,
    Stage.PURCHASE: 2,
    Stage.ONBOARD: 3,
    Stage.USE: 4,
    Stage.SUPPORT: 4,
    Stage.RENEW: 5,
    Stage.ADVOCATE: 6,
    Stage.LEAVE: 7,
}
_BEFORE_BUYING = frozenset({Stage.DISCOVER, Stage.CONSIDER})
# Where one who is not heard of any more may be lost. Before buying, silence is the rule; the rest is known to be wrong.
SILENCE_TELLS = frozenset({Stage.ONBOARD, Stage.USE, Stage.RENEW, Stage.ADVOCATE})
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
AT_RISK_DAYS = 90
# Two that are closer are one conversation.
AGREE_FROM_MS, AGREE_WITHIN_MS = HOUR_MS, 30 * DAY_MS


class Cause(StrEnum):
    """What kind of event moved a customer."""

    MESSAGE = "message"
    SURVEY = "survey"
    RATING = "rating"
    BEHAVIOUR = "behaviour"
    TRANSACTION = "transaction"
    SUBSCRIPTION = "subscription"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Transition:
    """A move from one stage to another; `start` is None for somebody new.

    event_type: the order's, subscription's or ticket's status, the survey's metric, the behaviour's type; empty for
    what has none. lasted_ms: how long the customer was in `start`.
    """

    start: Stage | None
    end: Stage
    cause: Cause
    event_type: str
    lasted_ms: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """What one event was to a customer's journey, `after` being the state that it left.

    transition: None when they stayed where they were. silence_ms: since they were last heard before it; None for
    somebody new. at_risk: whether that silence was so long, where they were, that they may have been lost.
    """

    after: JourneyState
    previous: Stage | None
    transition: Transition | None
    silence_ms: int | None
    at_risk: bool


def advance(state: JourneyState | None, facts: EventFacts, suggested: Stage | None, offset: int) -> JourneyState | None:
    """The state after the event at source offset `offset`, by the rules above; None while nothing is known.

    `suggested`: the stage that the event's signals suggest, None for none. An event that the state already covers
    changes nothing, so a repeat is harmless.
    """
    at, payload = facts.occurred_at_ms, facts.payload
    moves = facts.inbound and facts.from_customer and not isinstance(payload, Retraction | Profile)
    if not moves or (state and offset <= state.covers):
        return state
    if state is None:
        state = JourneyState(Stage.DISCOVER, Standing.PROSPECT, since_ms=at, heard_ms=at, covers=offset)
    heard = state.heard_ms if payload in _NOT_BY_THEM else max(state.heard_ms, at)
    state = replace(state, covers=offset, heard_ms=heard)
    if payload is not None and payload in EXPLICIT:
        return _settled(state, payload, at)
    if isinstance(payload, Behaviour) and state.standing is not Standing.PROSPECT:
        return state  # clicks only tell where somebody is who has not bought yet
    if facts.edit and state.hint and state.hint.stage is suggested:
        return state
    return _suggested(state, suggested, at) if suggested else state


def _settled(state: JourneyState, payload: Payload, at: int) -> JourneyState:
    """The state after an explicit event, and after what texts have said since, where it arrives later than they did."""
    if state.explicit_ms is not None and at < state.explicit_ms:
        return state
    if payload in _SOLVED and state.standing is not Standing.IN_SUPPORT:
        return state
    if payload in _AFTERMATH and state.standing is Standing.GONE:
        return state
    stage, standing = EXPLICIT[payload]
    if at == state.explicit_ms and standing is state.standing and state.since_ms > at:
        return state  # sent once more: what was said since then has moved them
    said_since = [Hint(state.stage, state.since_ms)] if state.since_ms > at else []
    if payload in _SOLVED and state.stage is Stage.LEAVE and not said_since:
        stage = Stage.LEAVE  # they have said goodbye: that the ticket is done doesn't bring them back
    if state.hint and state.hint.at_ms > at:
        said_since.append(state.hint)
    since = min(state.since_ms, at) if stage is state.stage else at
    state = replace(state, stage=stage, standing=standing, since_ms=since, explicit_ms=at, hint=None)
    for said in said_since:
        state = _suggested(state, said.stage, said.at_ms)
    return state


def _suggested(state: JourneyState, stage: Stage, at: int) -> JourneyState:
    """The state after a text, survey or cart that suggests a stage."""
    hint = state.hint
    late = at < state.since_ms or (state.explicit_ms is not None and at < state.explicit_ms)
    if late or not _allowed(state.standing, stage):
        return state
    if stage is state.stage or DEPTH[stage] >= DEPTH[state.stage]:
        since = state.since_ms if stage is state.stage else at
        return replace(state, stage=stage, since_ms=since, hint=hint if hint and hint.at_ms > at else None)
    if hint and hint.stage is stage:
        apart = abs(at - hint.at_ms)
        if apart < AGREE_FROM_MS:
            return state
        if apart <= AGREE_WITHIN_MS:
            return replace(state, stage=stage, since_ms=max(at, hint.at_ms), hint=None)
    return state if hint and hint.at_ms > at else replace(state, hint=Hint(stage, at))


def _allowed(standing: Standing, suggested: Stage) -> bool:
    match standing:
        case Standing.PROSPECT:
            return True
        case Standing.CUSTOMER:
            return suggested not in _BEFORE_BUYING
        case Standing.IN_SUPPORT:
            return suggested is Stage.LEAVE
        case Standing.GONE:
            return False


def step(before: JourneyState | None, after: JourneyState, facts: EventFacts, at_risk_after_ms: int) -> Step:
    """What the event was to the journey, between the states before and after it."""
    at = facts.occurred_at_ms
    if before is None:
        return Step(after, None, Transition(None, after.stage, *_cause(facts.payload), None), None, at_risk=False)
    moved = None
    if after.stage is not before.stage:
        lasted = max(0, after.since_ms - before.since_ms)
        moved = Transition(before.stage, after.stage, *_cause(facts.payload), lasted)
    silence = max(0, at - before.heard_ms)
    return Step(after, before.stage, moved, silence, at_risk(before, at, at_risk_after_ms))


def at_risk(state: JourneyState, at_ms: int, after_ms: int) -> bool:
    """Whether the customer, who was not heard of since then, may be lost at `at_ms`: a signal, not a stage."""
    return state.stage in SILENCE_TELLS and at_ms - state.heard_ms >= after_ms


def _cause(payload: Payload | None) -> tuple[Cause, str]:
    match payload:
        case SurveyAnswer():
            return Cause.SURVEY, payload.metric.value
        case Rating():
            return Cause.RATING, ""
        case Behaviour():
            return Cause.BEHAVIOUR, payload.type
        case TransactionType():
            return Cause.TRANSACTION, payload.value
        case SubscriptionStatus():
            return Cause.SUBSCRIPTION, payload.value
        case TicketStatus():
            return Cause.TICKET, payload.value
        case Retraction() | Profile() | None:
            return Cause.MESSAGE, ""
