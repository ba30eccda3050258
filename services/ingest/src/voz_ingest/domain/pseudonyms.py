"""Handles that nobody can read: a keyed hash in their place, the same for the same person."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import replace

from voz_ingest.domain.event import CustomerEvent, Profile, Survey

PREFIX = "p-"
LINK_PREFIX = "id."
"""Entries of a profile that name the same person elsewhere begin so."""

_PERSONAL = frozenset(
    {
        "email",
        "mail",
        "phone",
        "mobile",
        "mobilephone",
        "name",
        "firstname",
        "lastname",
        "username",
        "handle",
        "address",
    }
)
_WORD = re.compile(r"[a-z]+")


def pseudonym(key: bytes, value: str) -> str:
    """HMAC-SHA256 of the value under the tenant's key, 128 bits in hexadecimal; who lacks the key can't try handles."""
    return PREFIX + hmac.new(key, value.encode(), "sha256").hexdigest()[:32]


def pseudonymise(event: CustomerEvent, key: bytes) -> CustomerEvent:
    """The event without what names its customer to people: handle and name, also where its words repeat them, and the
    source's own id (a phone number at many). The company's own id stays: it names nobody to outsiders."""
    customer, text, payload = event.customer, event.text, event.payload
    handle = pseudonym(key, customer.handle) if customer.handle else ""
    local_id = "" if customer.company_id else customer.id
    hidden = {name: handle for name in (customer.handle, customer.handle.lstrip("@"), customer.name) if len(name) > 2}
    text = _without(text, hidden)
    match payload:
        case Survey(comment=comment):
            payload = replace(payload, comment=_without(comment, hidden))
        case Profile(attributes):
            payload = Profile(_attributes(key, attributes))
    id_ = pseudonym(key, local_id) if local_id else customer.id
    hidden_customer = customer._replace(id=id_, handle=handle, name="")
    return event._replace(customer=hidden_customer, text=text, payload=payload)


def _without(text: str, hidden: Mapping[str, str]) -> str:
    for name, instead in hidden.items():
        text = text.replace(name, instead)
    return text


def _attributes(key: bytes, attributes: Mapping[str, str]) -> dict[str, str]:
    """A profile's attributes without names and addresses; links to other identities stay, hidden."""
    kept = {}
    for name, value in attributes.items():
        if name.startswith(LINK_PREFIX):
            kept[name] = value if name == f"{LINK_PREFIX}company" else pseudonym(key, value)
        elif _PERSONAL.isdisjoint(_WORD.findall(name.lower())):
            kept[name] = value
    return kept
