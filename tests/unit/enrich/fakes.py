"""Fakes of the guard's ports, with crashes between any two steps of the journal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from voz_enrich.ports import Answer, Output, Page, Prepared, Restored
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.records import Record


class CrashError(Exception):
    """The process was killed here."""


def record(partition: int, offset: int, key: bytes = b"k", value: bytes = b"v") -> Record:
    """A source record."""
    return Record("events", partition, offset, key, value, (), 0)


@dataclass(slots=True)
class FakeSource:
    """The source topic's log in memory."""

    logs: dict[int, list[Record]]
    begins: dict[int, int] = field(default_factory=dict)

    async def bounds(self, partition: int) -> tuple[int, int]:
        log = self.logs[partition]
        return self.begins.get(partition, 0), log[-1].offset + 1 if log else 0

    async def ends(self, partitions: Collection[int]) -> Mapping[int, int]:
        return {number: (await self.bounds(number))[1] for number in partitions}

    async def read(self, partition: int, start: int, end: int) -> AsyncGenerator[list[Record], None]:
        wanted = [each for each in self.logs[partition] if start <= each.offset < end]
        for first in range(0, len(wanted), 3):
            yield wanted[first : first + 3]


@dataclass(slots=True)
class FakeJournal:
    """What survives a crash: written answers, states and positions. `steps_left`: steps until the crash, or None."""

    outputs: dict[int, list[int]] = field(default_factory=dict)
    refused: list[tuple[int, int]] = field(default_factory=list)
    states: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    steps_left: int | None = None

    async def restore(self, partition: int) -> Restored:
        position = self.positions.get(partition, 0)
        sent = max(self.outputs.get(partition, []), default=-1)
        return Restored(position, max(sent, position - 1), dict(self.states.get(partition, {})))

    async def write(self, pages: Sequence[Page], check: Callable[[], None]) -> None:
        check()
        for page in pages:
            for refused, _ in page.refused:
                self._step()
                self.refused.append((page.partition, refused.offset))
        for page in pages:
            for _, output in page.outputs:
                self._step()
                self.outputs.setdefault(page.partition, []).append(int(output.value))
        check()
        for page in pages:
            for key, state in page.states.items():
                self._step()
                self.states.setdefault(page.partition, {})[key] = state
            self._step()
            self.positions[page.partition] = page.position

    async def refused_already(self, partition: int) -> frozenset[int]:
        return frozenset(offset for number, offset in self.refused if number == partition)

    def keep(self, partitions: set[int]) -> None:
        pass

    def _step(self) -> None:
        if self.steps_left is not None:
            if not self.steps_left:
                raise CrashError
            self.steps_left -= 1


class Counting:
    """Enrichment by counting: a state is `count last-offset`; a record whose value is `bad` is refused."""

    async def prepare(self, records: Sequence[Record]) -> list[Prepared]:
        return [
            Prepared(each, None, None, InvalidRecordError("invalid", "bad") if each.value == b"bad" else None)
            for each in records
        ]

    def answer(self, prepared: Prepared, state: bytes | None) -> Answer:
        source = prepared.record
        if prepared.refused:
            return Answer(source, None, None, prepared.refused)
        count, covers = map(int, state.split()) if state else (0, -1)
        if source.offset > covers:
            count, covers = count + 1, source.offset
        return Answer(source, Output(b"%d" % source.offset, ()), b"%d %d" % (count, covers))


class FakeProgress:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.seen: list[tuple[int, int, int]] = []

    def holds(self, partitions: Collection[int]) -> None:
        self.held = set(partitions)

    def moved(self, partition: int, position: int, end: int) -> None:
        self.seen.append((partition, position, end))
