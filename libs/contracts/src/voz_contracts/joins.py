"""Customers that turn out to be one person, as events say it (ADR 0011).

A profile event of the source `voz` under the customer's key has `profile.joined` or `profile.parted` with the other
key, and `attributes.change`: of all that is said of that other key the greatest number holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from voz.v1.customer_event_pb2 import CustomerEvent

SOURCE = "voz"
JOINED, PARTED, CHANGE = "joined", "parted", "change"


@dataclass(frozen=True, slots=True)
class Join:
    """What has had key `other` is now the event's customer's, or (parted) has its own key again."""

    other: str
    joined: bool
    number: int


def attributes(join: Join) -> dict[str, str]:
    """The attributes of the event that says it."""
    return {CHANGE: str(join.number)}


def profile(join: Join) -> dict[str, str]:
    """The profile of the event that says it."""
    return {JOINED if join.joined else PARTED: join.other}


def join_of(event: CustomerEvent) -> Join | None:
    """What the event says of another key; None for any other event."""
    said = event.profile.attributes
    other = said.get(JOINED, "") or said.get(PARTED, "")
    number = event.attributes.get(CHANGE, "")
    if event.source != SOURCE or not other or not (number.isascii() and number.isdigit()):
        return None
    return Join(other, bool(said.get(JOINED, "")), int(number))
