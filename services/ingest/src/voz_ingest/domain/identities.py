"""Who is who: the identities by which a person is known, and those that an event names (ADR 0011).

An identity is `space:value`. Spaces: `company` (the company's own customer id), `email`, `phone`, and the names of
sources, whose value is the source's own id of the person or their handle there. Nobody is guessed by name.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from voz_ingest.domain.event import Customer, CustomerEvent, Profile
from voz_ingest.domain.pseudonyms import LINK_PREFIX, PREFIX, pseudonym

COMPANY, EMAIL, PHONE = "company", "email", "phone"
NOBODY = "unknown"
"""The handle of whoever a source doesn't name."""
FORMER = "previous_"
"""Links to a number or an address that the person has no longer begin so: it may be somebody else's by now."""
MAX_VALUE_CHARS = 255
_SPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_NUMBER = re.compile(r"\+?[0-9][0-9 ()./-]{3,24}")
_PSEUDONYM = re.compile(re.escape(PREFIX) + "[0-9a-f]{32}")


class Identity(NamedTuple):
    """One name of a person; `identity` and `parse` make them, so that one name is always written alike."""

    space: str
    value: str

    def __str__(self) -> str:
        return f"{self.space}:{self.value}"


def identity(space: str, value: str) -> Identity:
    """An identity: addresses in lower case, telephone numbers in digits, everything else as the source writes it.

    Raises ValueError, with what is wrong in words.
    """
    value = value.strip()
    if not _SPACE.fullmatch(space):
        raise ValueError("a space is `company`, `email`, `phone` or a source's name")
    if not value or len(value) > MAX_VALUE_CHARS or _CONTROL.search(value):
        raise ValueError(f"a value has 1 to {MAX_VALUE_CHARS} characters, none of them control characters")
    if _PSEUDONYM.fullmatch(value):
        return Identity(space, value)
    if space == EMAIL:
        if not _ADDRESS.fullmatch(value):
            raise ValueError("this is no e-mail address")
        return Identity(space, value.lower())
    if space == PHONE:
        if not _NUMBER.fullmatch(value):
            raise ValueError("this is no telephone number")
        return Identity(space, _digits(value))
    return Identity(space, value)


def parse(written: str) -> Identity:
    """The identity written `space:value`. Raises ValueError."""
    space, colon, value = written.partition(":")
    if not colon:
        raise ValueError("an identity is written `space:value`, such as company:c-42 or mastodon:@ana@mastodon.social")
    return identity(space.strip(), value)


def hidden(who: Identity, key: bytes) -> Identity:
    """The identity as events of a tenant have it whose handles are hidden under this key; the same without one."""
    if not key or who.space == COMPANY or _PSEUDONYM.fullmatch(who.value):
        return who
    return Identity(who.space, pseudonym(key, who.value))


def own_identity(source: str, customer: Customer) -> Identity | None:
    """The identity whose key an event has unless a link says otherwise; None for nobody in particular."""
    if customer.company_id and customer.id:
        return Identity(COMPANY, customer.id)
    if not customer.id and customer.handle == NOBODY:
        return None
    return Identity(source, customer.id or customer.handle)


def known_as(source: str, customer: Customer, *, ids_are_numbers: bool) -> tuple[Identity, ...]:
    """The identities by which an event's customer may be linked, the own one first.

    The company's id says all. Else it is the source's id, the handle there, and the e-mail address or telephone number
    that the own one is. `ids_are_numbers`: ids at this source are telephone numbers.
    """
    own = own_identity(source, customer)
    if own is None:
        return ()
    if own.space == COMPANY:
        return (own,)
    found = [own]
    if customer.id and customer.handle and customer.handle != NOBODY:
        found.append(Identity(source, customer.handle))
    value = own.value
    hidden = _PSEUDONYM.fullmatch(value) is not None
    if hidden or _ADDRESS.fullmatch(value):
        found.append(Identity(EMAIL, value if hidden else value.lower()))
    if hidden or ((value.startswith("+") or ids_are_numbers) and _NUMBER.fullmatch(value)):
        found.append(Identity(PHONE, value if hidden else _digits(value)))
    return tuple(dict.fromkeys(found))


def claimed(event: CustomerEvent) -> tuple[Identity, ...]:
    """The identities that a profile event says are one person, its own customer's first; none when it says no such
    thing. Entries that can't be read as an identity say nothing."""
    if not isinstance(event.payload, Profile):
        return ()
    own = own_identity(event.source, event.customer)
    links = [_link(name, value) for name, value in sorted(event.payload.attributes.items())]
    others = [link for link in links if link is not None and link != own]
    return (own, *dict.fromkeys(others)) if own and others else ()


def _link(name: str, value: str) -> Identity | None:
    space = name.removeprefix(LINK_PREFIX)
    if space == name or space.startswith(FORMER):
        return None
    try:
        return identity(space, value)
    except ValueError:
        return None


def _digits(number: str) -> str:
    """`+34 600-11-22` and `0034600 1122` alike."""
    return re.sub("[^0-9]", "", number).removeprefix("00")
