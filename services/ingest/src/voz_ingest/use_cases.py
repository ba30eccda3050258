"""Accepting events: read each, name it, append the good ones, say what became of every one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from voz_contracts import identity
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.event import CustomerEvent, ReceivedEvent
from voz_ingest.domain.fields import FieldError
from voz_ingest.domain.pseudonyms import pseudonymise
from voz_ingest.domain.reading import read_event
from voz_ingest.ports import EventLog

MAX_IGNORED = 100
"""Unknown fields that an answer names: enough to find a misspelling, few enough to stay an answer."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that wasn't taken, by its index in what was sent, and everything that is wrong with it."""

    index: int
    errors: tuple[FieldError, ...]


@dataclass(slots=True)
class Outcome:
    """What became of the events of one submission."""

    ids: list[str] = field(default_factory=list)
    """Of the events that the log has acknowledged, in the order sent."""
    rejected: list[Rejected] = field(default_factory=list)
    ignored: dict[str, None] = field(default_factory=dict)
    """Pointers (within an event) of fields that nobody knows, in order of appearance."""
    seen: int = 0


class Submission:
    """The events of one request, handed over in parts; a part is appended while the next is read.

    Parts reach the log one after another, so that a customer's events keep their order. After an error, `outcome`
    says what had been acknowledged. `company_ids`: whether customers' ids are the company's, or the source's own;
    `pseudonym_key`: under which handles are hidden, empty where they aren't. `sent_by`: `key:<id>` or
    `connection:<id>`.
    """

    def __init__(
        self,
        log: EventLog,
        new_id: Callable[[], UUID],
        *,
        tenant: str,
        received_at: datetime,
        max_text_bytes: int,
        company_ids: bool = True,
        pseudonym_key: str = "",
        idempotency_key: str = "",
        traceparent: str = "",
        sent_by: str = "",
    ) -> None:
        self.outcome = Outcome()
        self._log, self._new_id = log, new_id
        self._tenant, self._received_at, self._max_text_bytes = tenant, received_at, max_text_bytes
        self._company_ids, self._pseudonym_key = company_ids, pseudonym_key.encode()
        self._idempotency_key, self._traceparent, self._sent_by = idempotency_key, traceparent, sent_by
        self._appending: asyncio.Task[None] | None = None

    async def add(self, drafts: Sequence[Draft]) -> None:
        """Hand over a part and go on reading. Raises LogUnavailableError for the part before it."""
        events = self.read(drafts)
        await self.settle()
        if events:
            self._appending = asyncio.create_task(self._append(events))
            await asyncio.sleep(0)  # lets the append begin before the next part is read

    async def finish(self, drafts: Sequence[Draft] = ()) -> Outcome:
        """Hand over the last part and wait until everything is acknowledged. Raises LogUnavailableError."""
        events = self.read(drafts)
        if self._appending is not None:
            await self.settle()
        if events:
            await self._append(events)
        return self.outcome

    async def settle(self) -> None:
        """Wait for the part that is being appended. Raises LogUnavailableError when it wasn't acknowledged."""
        appending, self._appending = self._appending, None
        if appending is not None:
            await appending

    async def _append(self, events: Sequence[ReceivedEvent]) -> None:
        await self._log.append(events)
        self.outcome.ids += [event.id for event in events]

    def read(self, drafts: Sequence[Draft]) -> list[ReceivedEvent]:
        """The events of a part that may be appended; `outcome` knows of the others."""
        outcome, taken = self.outcome, []
        for index, draft in enumerate(drafts, outcome.seen):
            if draft.errors:
                outcome.rejected.append(Rejected(index, draft.errors))
                continue
            event, errors, ignored = read_event(
                draft.plain,
                tenant=self._tenant,
                received_at=self._received_at,
                max_text_bytes=self._max_text_bytes,
                company_ids=self._company_ids,
            )
            if ignored or draft.ignored:
                self._note_ignored((*draft.ignored, *map(draft.locate, ignored)))
            if event is None:
                located = tuple(FieldError(draft.locate(error.pointer), error.detail) for error in errors)
                outcome.rejected.append(Rejected(index, located))
                continue
            if self._pseudonym_key:
                event = pseudonymise(event, self._pseudonym_key)
            event_id = self._identify(event, index)
            taken.append(
                ReceivedEvent(event_id, self._tenant, self._received_at, event, self._traceparent, self._sent_by)
            )
        outcome.seen += len(drafts)
        return taken

    def _identify(self, event: CustomerEvent, index: int) -> str:
        """By the source's own id; else by the request's key and the event's place in it; else at random."""
        if event.source_id:
            return identity.event_id(self._tenant, event.source, event.source_id)
        if self._idempotency_key:
            # The leading control character can't stand in a source's id, so neither can be taken for the other.
            own = f"\x1e{self._idempotency_key}\x1e{index}"
            return identity.event_id(self._tenant, event.source, own)
        return str(self._new_id())

    def _note_ignored(self, pointers: Sequence[str]) -> None:
        for pointer in pointers:
            if len(self.outcome.ignored) < MAX_IGNORED:
                self.outcome.ignored.setdefault(pointer)
