"""Messages that their authors edit or take back: what is known of them, and the cases that hold them (ADR 0010)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from voz_router.domain.cases import Case
from voz_router.domain.events import Event

# tenant, the message's id
MessageKey = tuple[str, UUID]


@dataclass(frozen=True, slots=True)
class MessageState:
    """What is known of a message. `version` is the newest that has come, None when none has."""

    version: str | None = None
    deleted: bool = False

    def after(self, event: Event) -> MessageState:
        """The state once this version, or deletion, is known: the same in whatever order they come."""
        if event.deletes:
            return replace(self, deleted=True)
        return replace(self, version=event.version) if self.is_older_than(event) else self

    def is_older_than(self, event: Event) -> bool:
        """Whether this version is the newest so far."""
        return self.version is None or event.version > self.version


@dataclass(frozen=True, slots=True)
class Revised:
    """The messages of a batch that were ever edited or taken back, or are now; and the cases that hold them, whoever's
    and in whatever state."""

    states: Mapping[MessageKey, MessageState] = field(default_factory=dict)
    holders: Mapping[MessageKey, tuple[UUID, ...]] = field(default_factory=dict)
    cases: tuple[Case, ...] = ()


def messages_of(events: Iterable[Event]) -> tuple[set[MessageKey], set[MessageKey]]:
    """The messages that these events are, and those of them that some of these events edit or take back."""
    events = list(events)
    return (
        {(event.tenant, event.message_id) for event in events},
        {(event.tenant, event.message_id) for event in events if event.revises},
    )
