"""Events about other events, which are edits and deletions; and events that a delivery holds more than once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from voz_ingest.adapters.inbound.formats import ids
from voz_ingest.adapters.inbound.formats.walk import Fields, some
from voz_ingest.domain.draft import Draft

MAX_ATTRIBUTE_CHARS = 1000


def edit(plain: Fields, version: str) -> Fields:
    """The event of an edit, from the original as it reads now and what tells its versions apart."""
    original = plain["id"]
    known = plain.get("attributes", {})
    return {**plain, "id": ids.compose(original, "edit", version), "attributes": {**known, "edit_of": original}}


def deletion(plain: Fields) -> Fields:
    """The event of a deletion, from what is known of the original beside its text."""
    original = plain["id"]
    kept = {name: value for name, value in plain.items() if name not in ("text", "language")}
    attributes = {**plain.get("attributes", {}), "deletion_of": original}
    behaviour = {"type": "message_deleted"}
    return {**kept, "id": ids.compose(original, "deleted"), "behaviour": behaviour, "attributes": attributes}


def attributes(**values: Any) -> Fields:
    """The attributes that are there, none longer than it may be."""
    return some(**{name: v[:MAX_ATTRIBUTE_CHARS] if isinstance(v, str) else v for name, v in values.items()})


def once(events: Iterable[Fields]) -> list[Draft]:
    """Drafts of events, each once, however often the delivery holds it."""
    found: dict[str, Draft] = {}
    for event in events:
        found.setdefault(event["id"], Draft(event))
    return list(found.values())
