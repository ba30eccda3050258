"""What to do with the events that somebody delivers, given the offsets that are due. Pure bookkeeping.

Whoever delivers isn't believed: events may be skipped, repeated, or left over from partitions that were taken away.
For each event: below the offset due it is a repeat; the one due is processed; above it what lies between is missing
and must be read first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Delivered(Protocol):
    """One delivered event: where it stands in the source."""

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...


E = TypeVar("E", bound=Delivered)


@dataclass(frozen=True, slots=True)
class Missing:
    """Offsets `[start, until)` of a partition were not delivered: read them from the source, now."""

    partition: int
    start: int
    until: int


@dataclass(frozen=True, slots=True)
class Due(Generic[E]):
    """Events to process, in this order: of each partition a run without holes that begins at the offset due."""

    events: tuple[E, ...]


def arrange(events: Sequence[E], due: Mapping[int, int]) -> tuple[list[Missing | Due[E]], int]:
    """The steps to take, in order, and the number of repeats among the events.

    `due`: next offset of each partition that is ours; every event's partition must be in it. Once the steps are taken,
    everything up to the last delivered offset of each partition has been processed exactly once, in order.
    """
    following = dict(due)
    steps: list[Missing | Due[E]] = []
    run: list[E] = []
    repeats = 0
    for event in events:
        expected = following[event.partition]
        if event.offset < expected:
            repeats += 1
            continue
        if event.offset > expected:
            if run:
                steps.append(Due(tuple(run)))
                run = []
            steps.append(Missing(event.partition, expected, event.offset))
        run.append(event)
        following[event.partition] = event.offset + 1
    if run:
        steps.append(Due(tuple(run)))
    return steps, repeats
