"""Which version of a message counts: the newest, and none once its author has taken it back (ADR 0010)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from voz_metrics_api.domain.facts import EventFacts

# tenant, the message's id
MessageKey = tuple[str, UUID]
# tenant, the event's id
EventKey = tuple[str, UUID]


@dataclass(frozen=True, slots=True)
class MessageState:
    """What is known of a message. `newest` is the event that is its newest version, None when none has come yet."""

    newest: UUID | None = None
    version: str = ""
    deleted: bool = False

    def after(self, event: EventFacts) -> MessageState:
        """The state once this version, or deletion, is known: the same in whatever order they come, and how often."""
        if event.deletes:
            return replace(self, deleted=True)
        if self.newest is None or event.version > self.version:
            return MessageState(event.event_id, event.version, self.deleted)
        return self

    @property
    def counts(self) -> UUID | None:
        """The event that counts for the message."""
        return None if self.deleted else self.newest


@dataclass(slots=True)
class Settlement:
    """What a batch means for what was applied before it.

    `counting` are the batch's events that count, `shown` those that have a touchpoint. Of events applied earlier,
    `uncounted` no longer count, `hidden` lose their touchpoint, and `blanked` keep theirs without what was said.
    """

    counting: list[EventFacts] = field(default_factory=list)
    shown: list[EventFacts] = field(default_factory=list)
    shown_blank: list[EventFacts] = field(default_factory=list)
    uncounted: set[EventKey] = field(default_factory=set)
    hidden: set[EventKey] = field(default_factory=set)
    blanked: set[EventKey] = field(default_factory=set)
    states: dict[MessageKey, MessageState] = field(default_factory=dict)

    @property
    def touched(self) -> set[EventKey]:
        """Events applied earlier for which something changes."""
        return self.uncounted | self.hidden | self.blanked


def messages_of(events: Iterable[EventFacts]) -> tuple[set[MessageKey], set[MessageKey]]:
    """The messages that these events are, and those of them that some of these events edit or take back."""
    events = list(events)
    return (
        {(event.tenant, event.message_id) for event in events},
        {(event.tenant, event.message_id) for event in events if event.revises},
    )


def settle(events: Iterable[EventFacts], held: Mapping[MessageKey, MessageState]) -> Settlement:
    """What to do about these new events. `held`: each message that was ever edited or taken back, or is now."""
    found = Settlement(states=dict(held))
    versions: dict[EventKey, EventFacts] = {}
    for event in events:
        key = (event.tenant, event.message_id)
        if key in held:
            found.states[key] = found.states[key].after(event)
        if key not in held or event.deletes:  # that something was taken back has happened, too
            found.counting.append(event)
            found.shown.append(event)
        else:
            versions[event.key] = event
    for key, after in found.states.items():
        _change(found, key[0], held[key], after, versions)
    return found


def _change(
    found: Settlement, tenant: str, before: MessageState, after: MessageState, versions: Mapping[EventKey, EventFacts]
) -> None:
    if before.counts is not None and before.counts != after.counts:
        found.uncounted.add((tenant, before.counts))
    if after.newest == before.newest:
        if after.newest is not None and after.deleted and not before.deleted:
            found.blanked.add((tenant, after.newest))
        return
    if before.newest is not None:
        found.hidden.add((tenant, before.newest))
    assert after.newest is not None
    newest = versions[tenant, after.newest]
    if after.deleted:
        found.shown_blank.append(newest)
    else:
        found.counting.append(newest)
        found.shown.append(newest)
