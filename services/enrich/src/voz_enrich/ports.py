"""What the use cases need from outside, and what they give back."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from voz.v1.customer_event_pb2 import CustomerEvent
from voz_enrich.domain.event_signals import Signals
from voz_enrich.domain.facts import EventFacts
from voz_enrich.domain.journey import Step
from voz_enrich.domain.own_topics import OwnTopicMatch
from voz_enrich.domain.signals import TextSignals
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.records import Record


class SignalModel(Protocol):
    """Understands texts. Thread-safe; the calls take CPU time and block, so they are made off the event loop."""

    @property
    def version(self) -> str:
        """Names the weights: two models that may answer differently have different versions."""
        ...

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        """One answer for each text, in the order of the texts.

        Total: any text has an answer, also an empty, huge or broken one. A text's answer depends on that text (and its
        language hint) alone, never on the texts beside it. `languages` holds a hint for each text, or None where the
        source gave none; without it there are no hints.
        """
        ...


class OwnTopicMatcher(Protocol):
    """Knows the companies' own topics. Thread-safe."""

    def match(self, tenant: str, vector: bytes) -> OwnTopicMatch | None:
        """The one topic of the tenant's own that a text with this vector is given; None for none."""
        ...


@dataclass(frozen=True, slots=True)
class Analysed:
    """One text that the live model answered. seconds: its part of the time that the answers took."""

    event_id: str
    text: str
    language_hint: str | None
    signals: TextSignals
    seconds: float


class Shadow(Protocol):
    """A second model that answers beside the live one, for comparison only."""

    def offer(self, answered: Sequence[Analysed]) -> None:
        """Here are texts to compare. Returns at once and never raises; what it can't take is dropped and counted."""
        ...


@dataclass(frozen=True, slots=True)
class Heard:
    """One record understood: the event as received, its facts, and the text to analyse (empty: none)."""

    message: CustomerEvent
    facts: EventFacts
    text: str


class Decoder(Protocol):
    """Reads a record of the source."""

    def __call__(self, record: Record) -> Heard:
        """Raises InvalidRecordError for a record that is no customer event."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record with everything that doesn't depend on what came before it: heard and analysed, or refused."""

    record: Record
    heard: Heard | None
    text: TextSignals | None
    refused: InvalidRecordError | None = None

    @property
    def partition(self) -> int:
        """Source partition."""
        return self.record.partition

    @property
    def offset(self) -> int:
        """Source offset."""
        return self.record.offset


Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Output:
    """The value and the headers of an answer on the enriched topic."""

    value: bytes
    headers: Headers


class Encoder(Protocol):
    """Writes an answer as the contracts want it."""

    def __call__(self, prepared: Prepared, heard: Heard, signals: Signals, step: Step | None) -> Output:
        """The answer to one record. `step`: what it was to its customer's journey; None while nothing is known."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The one answer to a source record: an output, or the reason why it is put aside.

    state: the customer's journey state after it, encoded; None when there is none to keep.
    """

    record: Record
    output: Output | None
    state: bytes | None
    refused: InvalidRecordError | None = None


class Answering(Protocol):
    """The enrichment of events, as the guard calls it."""

    async def prepare(self, records: Sequence[Record]) -> list[Prepared]:
        """Each record read and analysed, in order, off the event loop. Never raises for a bad record."""
        ...

    def answer(self, prepared: Prepared, state: bytes | None) -> Answer:
        """The answer to one event, given the journey state of its customer before it. A function of its arguments."""
        ...


class SourceLog(Protocol):
    """The source topic's own log, read without anybody's help."""

    async def bounds(self, partition: int) -> tuple[int, int]:
        """First offset still there, and the one after the last."""
        ...

    async def ends(self, partitions: Collection[int]) -> Mapping[int, int]:
        """The offset after the last of each partition."""
        ...

    def read(self, partition: int, start: int, end: int) -> AsyncGenerator[list[Record], None]:
        """The records in `[start, end)`, in lists, in order. Raises when `start` is gone: that is a loss, no hole."""
        ...


@dataclass(slots=True)
class Restored:
    """What the journal knows of one source partition.

    position: next offset to process. sent: last offset whose output is known to be written.
    states: every customer's encoded journey state, by record key. The owner changes it as it writes.
    """

    position: int
    sent: int
    states: dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive answers of one source partition, and the states and the position that follow from them."""

    partition: int
    outputs: Sequence[tuple[bytes, Output]]
    refused: Sequence[tuple[Record, InvalidRecordError]]
    states: Mapping[bytes, bytes]
    position: int


class Journal(Protocol):
    """Where answers, states and positions are kept."""

    async def restore(self, partition: int) -> Restored:
        """States and position as written; `position <= sent + 1` always holds."""
        ...

    async def write(self, pages: Sequence[Page], check: Callable[[], None]) -> None:
        """Write each page: what was refused first, then its outputs, then its states, and last its position.

        Each step is acknowledged by all replicas before the next begins, so after a crash at any moment the position
        is never ahead of the answers, and a state never covers an event that has no answer. Outputs and states of a
        page are written in order. `check` is called before each step; what it raises ends the writing.
        """
        ...

    async def refused_already(self, partition: int) -> frozenset[int]:
        """Source offsets at or above the restored position that have been put aside before a crash."""
        ...

    def keep(self, partitions: set[int]) -> None:
        """Forget what is remembered of all other partitions."""
        ...


class Progress(Protocol):
    """Who wants to know how far the worker is."""

    def holds(self, partitions: Collection[int]) -> None:
        """These source partitions are ours now, and no others."""
        ...

    def moved(self, partition: int, position: int, end: int) -> None:
        """Everything below `position` is answered; the log ends at `end`."""
        ...
