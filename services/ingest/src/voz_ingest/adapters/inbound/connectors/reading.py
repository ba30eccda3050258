"""What connectors find out about pages and failures, without asking anybody."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from voz_ingest.adapters.inbound.sources import Payload, PayloadError
from voz_ingest.adapters.outbound.guard import RefusedUrlError
from voz_ingest.adapters.outbound.imap import ImapRefusedError
from voz_ingest.adapters.outbound.web import StatusError
from voz_ingest.domain.connector import Position
from voz_ingest.domain.draft import Draft
from voz_streamkit.errors import is_transient

MAX_POSITION_CHARS = 64 << 10


class UnreadableError(Exception):
    """A page can't be read, and without it nobody knows what comes next."""

    def __init__(self, payload: Payload, error: PayloadError) -> None:
        super().__init__(f"unreadable: {error}")
        self.payload = payload


def is_expected(error: Exception) -> bool:
    """Whether it is a matter of the source or the network, not a fault of ours."""
    return is_transient(error) or isinstance(error, StatusError | UnreadableError | RefusedUrlError | ImapRefusedError)


def reason(error: Exception) -> str:
    """One word for metrics."""
    match error:
        case StatusError():
            status = error.fetched.status
            return "rate" if status == 429 else "server" if status >= 500 else "refused"
        case UnreadableError():
            return "unreadable"
        case RefusedUrlError() | ImapRefusedError():
            return "refused"
    return "network" if is_transient(error) else "error"


def name_of(payload: Payload, place: int, draft: Draft) -> str:
    """What tells whether an event was brought before: its id; for one without, the whole page and its place there."""
    said = draft.plain.get("id") if isinstance(draft.plain, dict) else None
    return said if isinstance(said, str) and said else f"{place}\x1f{hashlib.sha256(payload.body).hexdigest()}"


def keepable(position: Position) -> Position:
    """A position that PostgreSQL can keep. Raises ValueError: a source's answer has something odd in it."""
    written = json.dumps(position)
    if "\\u0000" in written or len(written) > MAX_POSITION_CHARS:
        raise ValueError("the source's answer leads to a position that can't be kept")
    return position


def deleted_by(draft: Draft) -> str | None:
    """The event that this one takes back."""
    attributes = draft.plain.get("attributes") if isinstance(draft.plain, dict) else None
    said = attributes.get("deletion_of") if isinstance(attributes, dict) else None
    return said if isinstance(said, str) else None


def happened_at(draft: Draft) -> datetime | None:
    """When an event happened, where it says so."""
    said = draft.plain.get("occurred_at") if isinstance(draft.plain, dict) and not draft.errors else None
    try:
        found = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None
