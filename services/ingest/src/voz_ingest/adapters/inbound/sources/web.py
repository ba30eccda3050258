"""Behaviour on a web site, from Voz's own snippet `voz.js`: pages, clicks, rage and dead clicks, forms, errors.

The key in the page is public, so it proves nothing but where the snippet stands; `options.origins` says which pages may
send. A visitor is a random id. That somebody is a known customer is believed only with the company's HMAC of the id.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from voz_ingest.adapters.inbound.formats import times, walk
from voz_ingest.adapters.inbound.formats.signatures import hex_hmac, secret_in_url
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode_object
from voz_ingest.domain.draft import Draft

CUSTOMER_IDS = "company"
MAX_EVENTS = 100
_LONGEST = {"url": 2048, "element": 500, "type": 64}


def parse(payload: Payload) -> list[Draft]:
    """The events of one beacon: `{"visitor", "user": {"id", "hash"}?, "events": [{"id", "type", "url", "at", …}]}`."""
    beacon = decode_object(payload)
    visitor = walk.identifier(beacon, "visitor")
    if not visitor or len(visitor) > 64:
        raise PayloadError("/visitor", "must be an id of at most 64 characters")
    events = [*walk.objects(beacon, "events")]
    if len(events) > MAX_EVENTS:
        raise PayloadError("/events", f"must hold at most {MAX_EVENTS} events")
    customer = walk.some(id=_verified_user(beacon, payload), handle=visitor)
    found = (_event(event, visitor, customer) for event in events)
    return [draft for draft in found if draft]


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether the key is the connection's, and the page is one of `options.origins`, where they are named."""
    origins = walk.strings(payload.options, "origins")
    known = not origins or payload.headers.get("origin", "") in origins
    return secret_in_url(payload, secrets) and known


def _event(event: dict[str, Any], visitor: str, customer: dict[str, Any]) -> Draft | None:
    if event.get("type") == "identify":
        return _identified(visitor, customer) if "id" in customer else None
    what = {name: walk.string(event, name)[:longest] for name, longest in _LONGEST.items()}
    if not what["type"]:
        return None
    viewport = {side: walk.count(event, "viewport", side) for side in ("width", "height")}
    behaviour = walk.some(**what, x=walk.number(event, "x"), y=walk.number(event, "y"))
    if all(0 < size < 1 << 20 for size in viewport.values()):
        behaviour["viewport"] = viewport
    attributes = {name: walk.string(event, name)[:1000] for name in ("title", "referrer", "message", "field")}
    number = walk.identifier(event, "id")[:64]
    return Draft(
        walk.some(
            id=f"{visitor}:{number}" if number else None,
            source="web",
            channel="web",
            customer=customer,
            conversation={"id": visitor},
            behaviour=behaviour,
            occurred_at=times.milliseconds(event.get("at")),
            attributes=walk.some(**attributes),
        )
    )


def _identified(visitor: str, customer: dict[str, Any]) -> Draft:
    """The company vouches for it: this visitor is that customer."""
    return Draft(
        {
            "id": f"{visitor}:identify:{hashlib.sha256(customer['id'].encode()).hexdigest()[:16]}",
            "source": "web",
            "channel": "web",
            "customer": customer,
            "profile": {"id.web": visitor},
        }
    )


def _verified_user(beacon: dict[str, Any], payload: Payload) -> str:
    """The company's id of the visitor; empty unless its HMAC-SHA256 (hex) under `options.identity_secret` is right."""
    user, given = walk.identifier(beacon, "user", "id"), walk.string(beacon, "user", "hash")
    secret = str(payload.options.get("identity_secret", ""))
    right = bool(secret and user) and hmac.compare_digest(hex_hmac(secret, user.encode()), given)
    return user if right and len(user) <= 255 else ""
