"""What is kept of a customer's journey, and how it is stored. The rules that change it are in `journey.py`."""

from dataclasses import dataclass
from enum import IntEnum

from voz_enrich.domain.labels import Stage


class Standing(IntEnum):
    """What explicit events have made of the customer. The numbers are stored."""

    PROSPECT = 0
    CUSTOMER = 1
    IN_SUPPORT = 2
    GONE = 3


@dataclass(frozen=True, slots=True)
class Hint:
    """A stage further back that one text suggested at `at_ms`: a second one has to agree."""

    stage: Stage
    at_ms: int


@dataclass(frozen=True, slots=True)
class JourneyState:
    """Where a customer is after everything up to source offset `covers`, included.

    Times are those of events (occurred_at), milliseconds since 1970 UTC. since_ms: of the one that moved them here.
    heard_ms: of the last thing that they did themselves. explicit_ms: of the explicit event that gave them their
    standing; None for a prospect, and only for a prospect. hint: the step back that waits to be confirmed.
    """

    stage: Stage
    standing: Standing
    since_ms: int
    heard_ms: int
    covers: int
    explicit_ms: int | None = None
    hint: Hint | None = None


_STAGES = tuple(Stage)
_COVERS, _SINCE, _HEARD, _EXPLICIT = (slice(start, start + 6) for start in (1, 7, 13, 19))
_SIZE, _SIZE_WITH_HINT = 25, 32


def encode(state: JourneyState) -> bytes:
    """25 bytes, since a worker holds every customer's: stage and standing, then 6 bytes each of offset, since, heard
    and explicit; 7 more (stage, time) while a hint waits.

    Of two encoded states of a customer the one that covers more is greater in bytes 1..7, see `covers_less`.
    """
    head = bytes((_STAGES.index(state.stage) << 4 | state.standing,)) + state.covers.to_bytes(6, "big")
    times = _time(state.since_ms) + _time(state.heard_ms) + _time(state.explicit_ms or 0)
    hint = bytes((_STAGES.index(state.hint.stage),)) + _time(state.hint.at_ms) if state.hint else b""
    return head + times + hint


def decode(value: bytes) -> JourneyState:
    """The state that `encode` wrote. Raises ValueError for anything else."""
    if len(value) not in (_SIZE, _SIZE_WITH_HINT):
        raise ValueError(f"not a journey state: {value!r}")
    standing = Standing(value[0] & 15)
    return JourneyState(
        stage=_stage(value[0] >> 4),
        standing=standing,
        since_ms=_ms(value[_SINCE]),
        heard_ms=_ms(value[_HEARD]),
        covers=int.from_bytes(value[_COVERS], "big"),
        explicit_ms=None if standing is Standing.PROSPECT else _ms(value[_EXPLICIT]),
        hint=Hint(_stage(value[_SIZE]), _ms(value[_SIZE + 1 :])) if len(value) > _SIZE else None,
    )


def covers_less(one: bytes, other: bytes) -> bool:
    """Whether `one` covers fewer source offsets than `other` (both encoded)."""
    return one[_COVERS] < other[_COVERS]


def _time(ms: int) -> bytes:
    return ms.to_bytes(6, "big", signed=True)


def _ms(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _stage(number: int) -> Stage:
    if number >= len(_STAGES):
        raise ValueError(f"not a journey state: stage {number}")
    return _STAGES[number]
