"""What was edited or taken back by its author, as events say it (ADR 0010).

An edit is an event of its own with `attributes.edit_of`, a deletion is `behaviour: message_deleted` with
`attributes.deletion_of`; both name the source's id of the original, never of the version before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from voz.v1.customer_event_pb2 import CustomerEvent
from voz_contracts.identity import event_id

EDIT_OF, DELETION_OF = "edit_of", "deletion_of"
MESSAGE_DELETED = "message_deleted"
# The version of an original: every edit's is greater.
ORIGINAL = ""
_NUMBER = re.compile(r"0*([0-9]+)")


@dataclass(frozen=True, slots=True)
class Revision:
    """What an event does to another one.

    `message_id` is the event id of the original. `version` says which edit is the newest, by comparison as text: the
    one that happened last, and of one moment that with the greater number in its id (`…:edit:10` after `…:edit:9`).
    """

    message_id: UUID
    deleted: bool
    version: str


def is_deletion(event: CustomerEvent) -> bool:
    """Whether the event tells that a message was taken back."""
    return event.behaviour.type == MESSAGE_DELETED


def revision_of(event: CustomerEvent) -> Revision | None:
    """What the event edits or takes back; None for one that speaks of itself."""
    deleted = is_deletion(event)
    original = event.attributes.get(DELETION_OF if deleted else EDIT_OF, "")
    if not original or original == event.source_id:
        return None
    at, name = event.occurred_at, _NUMBER.sub(_sortable, event.source_id)
    version = f"{at.seconds:020d}.{at.nanos:09d} {name} {event.id}"
    return Revision(UUID(event_id(event.tenant, event.source, original)), deleted, version)


def _sortable(number: re.Match[str]) -> str:
    return f"{len(number[1]):03d}{number[1]}"
