"""The customer's journey: a fold over their events, in the order of the source partition.

Rules, in order:
1. Only what the customer does moves them: inbound, `audience = customer`. Anybody else's event leaves the state alone,
   and so does taking a message back.
2. A late event does not move them: one that occurred before the event that placed the customer.
3. An explicit event (order, subscription, ticket, sign-up) moves them to the stage it stands for, and says what they
   are from then on: a prospect, a customer, in support, or gone. A ticket that is solved returns them to `use`.
4. What a message, survey or cart suggests moves them only within what they are: a customer isn't moved back to
   `discover` or `consider`, one with an open ticket only to `leave`, one who is gone nowhere.
5. Whoever shows up without any of this is at `discover`; chit-chat (no intent but `other`) suggests nothing.

A replay of the same events therefore always gives the same stage.
"""

from dataclasses import dataclass
from enum import IntEnum

from voz_enrich.domain.facts import (
    Behaviour,
    EventFacts,
    Payload,
    Retraction,
    SubscriptionStatus,
    TicketStatus,
    TransactionType,
)
from voz_enrich.domain.labels import Stage


class Standing(IntEnum):
    """What explicit events have made of the customer. The numbers are stored."""

    PROSPECT = 0
    CUSTOMER = 1
    IN_SUPPORT = 2
    GONE = 3


@dataclass(frozen=True, slots=True)
class JourneyState:
    """Where a customer is after everything up to source offset `covers`, included.

    since_ms: when the event occurred that moved them here, milliseconds since 1970 UTC.
    """

    stage: Stage
    standing: Standing
    since_ms: int
    covers: int


_EXPLICIT: dict[TransactionType | SubscriptionStatus | TicketStatus, tuple[Stage, Standing]] = {
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
}
_BEFORE_BUYING = frozenset({Stage.DISCOVER, Stage.CONSIDER})
_SOLVED = frozenset({TicketStatus.SOLVED, TicketStatus.CLOSED})


def advance(state: JourneyState | None, facts: EventFacts, suggested: Stage | None, offset: int) -> JourneyState | None:
    """The state after the event at source offset `offset`, by the rules above; None while nothing is known.

    `suggested`: the stage that the event's signals suggest, None for none. An event that the state already covers
    changes nothing, so a repeat is harmless.
    """
    moves = facts.inbound and facts.from_customer and not isinstance(facts.payload, Retraction)
    if not moves or (state and offset <= state.covers):
        return state
    if state is None:
        stage, standing = _moved(Stage.DISCOVER, Standing.PROSPECT, facts.payload, suggested)
        return JourneyState(stage, standing, facts.occurred_at_ms, offset)
    stage, standing = state.stage, state.standing
    if facts.occurred_at_ms >= state.since_ms:
        stage, standing = _moved(stage, standing, facts.payload, suggested)
    since_ms = state.since_ms if stage is state.stage else facts.occurred_at_ms
    return JourneyState(stage, standing, since_ms, offset)


def _moved(
    stage: Stage, standing: Standing, payload: Payload | None, suggested: Stage | None
) -> tuple[Stage, Standing]:
    if isinstance(payload, Behaviour):
        if payload.type == "sign_up":
            return Stage.ONBOARD, Standing.CUSTOMER
        # Clicks only tell where somebody is who has not bought yet.
        return (suggested or stage, standing) if standing is Standing.PROSPECT else (stage, standing)
    if isinstance(payload, TicketStatus) and payload in _SOLVED:
        if standing is not Standing.IN_SUPPORT:
            return stage, standing
        return (Stage.USE if stage is Stage.SUPPORT else stage), Standing.CUSTOMER
    if isinstance(payload, TransactionType | SubscriptionStatus | TicketStatus):
        return _EXPLICIT[payload]
    return (suggested, standing) if suggested and _allowed(standing, suggested) else (stage, standing)


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


_STAGES = tuple(Stage)
_SIZE, _OFFSET_END = 13, 7


def encode(state: JourneyState) -> bytes:
    """13 bytes, since a worker holds every customer's: stage and standing, offset (6 bytes), since (6 bytes).

    Of two encoded states of a customer the one that covers more is greater in bytes 1..7, see `covers_less`.
    """
    head = _STAGES.index(state.stage) << 4 | state.standing
    return bytes((head,)) + state.covers.to_bytes(6, "big") + state.since_ms.to_bytes(6, "big", signed=True)


def decode(value: bytes) -> JourneyState:
    """The state that `encode` wrote. Raises ValueError for anything else."""
    if len(value) != _SIZE or value[0] >> 4 >= len(_STAGES):
        raise ValueError(f"not a journey state: {value!r}")
    return JourneyState(
        stage=_STAGES[value[0] >> 4],
        standing=Standing(value[0] & 15),
        since_ms=int.from_bytes(value[_OFFSET_END:], "big", signed=True),
        covers=int.from_bytes(value[1:_OFFSET_END], "big"),
    )


def covers_less(one: bytes, other: bytes) -> bool:
    """Whether `one` covers fewer source offsets than `other` (both encoded)."""
    return one[1:_OFFSET_END] < other[1:_OFFSET_END]
