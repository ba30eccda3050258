"""The dimensions by which figures are grouped and filtered."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Final
from uuid import UUID

# As people write them in `by=` and as filters. `intent` is the one with several values: an event counts in the group of
# each of its intents, and once in every total.
DIMENSIONS: Final = (
    "kind",
    "direction",
    "channel",
    "source",
    "language",
    "stage",
    "topic",
    "intent",
    "emotion",
    "sentiment",
    "product",
    "campaign",
    "segment",
    "queue",
    "audience",
)
MAX_GROUPED_DIMENSIONS: Final = 2
# Values that senders choose freely are cut here: a dimension is a label, not a text.
MAX_VALUE_CHARACTERS: Final = 100
_NO_CONTROLS: Final = dict.fromkeys([*range(0x20), 0x7F])


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The dimension values of one event or case; the empty word where it has none.

    A case has no kind and no direction; an event has no queue.
    """

    kind: str = ""
    direction: str = ""
    channel: str = ""
    source: str = ""
    language: str = ""
    stage: str = ""
    topic: str = ""
    intents: tuple[str, ...] = ()
    emotion: str = ""
    sentiment: str = ""
    product: str = ""
    campaign: str = ""
    segment: str = ""
    queue: str = ""
    audience: str = ""

    def digest(self) -> UUID:
        """128 bits of BLAKE2b: the same dimensions have the same digest wherever and whenever it is made."""
        content = json.dumps(_values(self), ensure_ascii=False, separators=(",", ":")).encode()
        return UUID(bytes=hashlib.blake2b(content, digest_size=16).digest())


_values: Final = attrgetter(*(field.name for field in fields(Dimensions)))


def label(value: str, at_most: int = MAX_VALUE_CHARACTERS) -> str:
    """A freely chosen value as a dimension: without control characters, trimmed, cut to its length."""
    return value.translate(_NO_CONTROLS).strip()[:at_most]
