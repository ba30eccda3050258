"""Exactly once into PostgreSQL: event ids, their effects and the consumed offsets in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from aiokafka import TopicPartition
from google.protobuf.message import DecodeError
from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voz_streamkit.dead_letters import DeadLetters
from voz_streamkit.errors import InvalidRecordError, is_data_error
from voz_streamkit.ledger import Ledger, trim_applied_events
from voz_streamkit.records import Record
from voz_streamkit.tables import StreamkitTables, create_streamkit_tables, streamkit_tables

__all__ = [
    "Applied",
    "Attempt",
    "Effects",
    "ExactlyOnceSink",
    "Incoming",
    "StreamkitTables",
    "create_streamkit_tables",
    "streamkit_tables",
    "trim_applied_events",
]

T = TypeVar("T")
E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)
E_contra = TypeVar("E_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Incoming(Generic[E_co]):
    """A record that was understood: the event in it, and the id that makes a second delivery the same event.

    `concerns`: ids of other events of the tenant that this one's effects depend on. Nobody applies one of them while
    this one is being applied, so either finds what the other has done.
    """

    record: Record
    tenant: str
    event_id: UUID
    event: E_co
    concerns: tuple[UUID, ...] = ()


class Effects(Protocol[E_contra]):
    """What a service does with new events, inside the sink's transaction."""

    async def apply(self, connection: AsyncConnection, events: Sequence[Incoming[E_contra]]) -> None:
        """Write the effects of new events: each id comes once, in the order of its partition.

        Rows are to be written in one order (sorted keys), so that two consumers never wait for each other in a circle.
        Raises InvalidRecordError with `record` set for an event that can't be applied. A call whose transaction failed
        is made again, so nothing may be kept outside of PostgreSQL.
        """


class Attempt(Protocol):
    """How a step is tried: once, or again and again while its errors are transient."""

    async def __call__(self, step: Callable[[], Awaitable[T]], /) -> T:
        """The step's result; raises what can't be mended by trying again."""


@dataclass(frozen=True, slots=True)
class Applied:
    """How many records were new, delivered before, and invalid."""

    new: int
    duplicates: int
    invalid: int


@dataclass(frozen=True, slots=True)
class _Rejected:
    record: Record
    error: InvalidRecordError
    attempts: int


class _RejectedError(Exception):
    def __init__(self, rejected: Sequence[_Rejected]) -> None:
        super().__init__(f"{len(rejected)} events can't be applied")
        self.rejected = rejected


@dataclass(frozen=True, slots=True)
class _Decoded(Generic[E]):
    """A batch, each record read once. `outcomes` says in order which were understood."""

    incoming: tuple[Incoming[E], ...]
    invalid: tuple[_Rejected, ...]
    outcomes: tuple[bool, ...]
    next_offsets: Mapping[TopicPartition, int]

    def without(self, rejected: Sequence[_Rejected]) -> _Decoded[E]:
        positions = {_position(each.record) for each in rejected}
        kept = tuple(each for each in self.incoming if _position(each.record) not in positions)
        return replace(self, incoming=kept, invalid=(*self.invalid, *rejected))


async def once(step: Callable[[], Awaitable[T]], /) -> T:
    """The plain Attempt."""
    return await step()


class ExactlyOnceSink(Generic[E]):
    """Applies batches of records to PostgreSQL so that each event has its effect once, whatever is killed when.

    The stored offset is the truth: a consumer that expects another one than is stored has lost its partition and
    applies nothing. `decode` raises InvalidRecordError (or protobuf's DecodeError) for a record it can't understand.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        schema: str,
        consumer: str,
        decode: Callable[[Record], Incoming[E]],
        effects: Effects[E],
        dead_letters: DeadLetters,
    ) -> None:
        self.consumer = consumer
        self._engine, self._decode, self._effects, self._dead_letters = engine, decode, effects, dead_letters
        self._ledger = Ledger(streamkit_tables(MetaData(), schema), consumer)

    async def positions(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset to be read next in each partition; 0 where nothing was applied yet."""
        async with self._engine.connect() as connection:
            stored = await self._ledger.offsets(connection, partitions)
        return {partition: stored.get(partition, 0) for partition in partitions}

    async def apply(
        self,
        batch: Mapping[TopicPartition, Sequence[Record]],
        expected: Mapping[TopicPartition, int],
        *,
        attempt: Attempt = once,
    ) -> Applied:
        """Apply one batch, whose partitions are expected to stand at the offsets of `expected`.

        Invalid records are with the dead letters, acknowledged, before the offsets move past them. `attempt` is used
        for each step that talks to Kafka or PostgreSQL. Raises FencedError when another consumer moved an offset, and
        DeadLetterLimitError, with nothing diverted, when too much of the stream is invalid.
        """
        decoded = self._read(batch)
        self._dead_letters.judge(decoded.outcomes)
        await self._divert(decoded.invalid, attempt)
        passes = 1
        while True:
            try:
                return await attempt(partial(self._commit, decoded, expected, passes))
            except _RejectedError as found:
                self._dead_letters.judge([False] * len(found.rejected))
                await self._divert(found.rejected, attempt)
                decoded, passes = decoded.without(found.rejected), passes + 1

    def _read(self, batch: Mapping[TopicPartition, Sequence[Record]]) -> _Decoded[E]:
        incoming: list[Incoming[E]] = []
        invalid: list[_Rejected] = []
        outcomes: list[bool] = []
        for partition in sorted(batch):
            for record in batch[partition]:
                try:
                    incoming.append(self._decode(record))
                    outcomes.append(True)
                except InvalidRecordError as error:
                    invalid.append(_Rejected(record, error, attempts=1))
                    outcomes.append(False)
                except DecodeError as error:
                    invalid.append(_Rejected(record, InvalidRecordError("undecodable", str(error)), attempts=1))
                    outcomes.append(False)
        next_offsets = {partition: records[-1].offset + 1 for partition, records in batch.items() if records}
        return _Decoded(tuple(incoming), tuple(invalid), tuple(outcomes), next_offsets)

    async def _divert(self, rejected: Sequence[_Rejected], attempt: Attempt) -> None:
        for each in rejected:
            await attempt(partial(self._dead_letters.publish, each.record, each.error, each.attempts))

    async def _commit(self, decoded: _Decoded[E], expected: Mapping[TopicPartition, int], passes: int) -> Applied:
        try:
            async with self._engine.begin() as connection:
                new = await self._enter(connection, decoded, expected)
                if new:
                    await self._effects.apply(connection, new)
                await self._ledger.store(connection, decoded.next_offsets)
        except (InvalidRecordError, DBAPIError) as error:
            if isinstance(error, DBAPIError) and not is_data_error(error):
                raise
            rejected = await self._culprits(decoded, expected, passes)
            if not rejected:
                raise
            raise _RejectedError(rejected) from error
        return Applied(len(new), len(decoded.incoming) - len(new), len(decoded.invalid))

    async def _enter(
        self, connection: AsyncConnection, decoded: _Decoded[E], expected: Mapping[TopicPartition, int]
    ) -> list[Incoming[E]]:
        """Pass the fence and write the ids down; what is returned is new, in the order it came."""
        await self._ledger.fence(connection, {each: expected[each] for each in decoded.next_offsets})
        first: dict[tuple[str, UUID], Incoming[E]] = {}
        for each in decoded.incoming:
            first.setdefault((each.tenant, each.event_id), each)
        concerns = {(each.tenant, other) for each in decoded.incoming for other in each.concerns}
        new = await self._ledger.insert_ids(connection, list(first), concerns - first.keys())
        return [each for key, each in first.items() if key in new]

    async def _culprits(
        self, decoded: _Decoded[E], expected: Mapping[TopicPartition, int], passes: int
    ) -> list[_Rejected]:
        """Which events can't be applied: found by halving, in a transaction that is rolled back."""
        rejected: list[_Rejected] = []
        async with self._engine.connect() as connection:
            pending = [await self._enter(connection, decoded, expected)]
            while pending:
                events = pending.pop()
                try:
                    async with connection.begin_nested():
                        await self._effects.apply(connection, events)
                except InvalidRecordError as error:
                    culprit = error.record
                    rest = [each for each in events if culprit is None or _position(each.record) != _position(culprit)]
                    if culprit is None or len(rest) == len(events):
                        raise
                    rejected.append(_Rejected(culprit, error, passes))
                    pending += [rest] if rest else []
                except DBAPIError as error:
                    if not is_data_error(error):
                        raise
                    if len(events) == 1:
                        refusal = InvalidRecordError("refused", f"PostgreSQL can't store it: {error.orig}")
                        rejected.append(_Rejected(events[0].record, refusal, passes))
                    else:
                        middle = len(events) // 2
                        pending += [events[middle:], events[:middle]]
        return rejected


def _position(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset
