"""Ids that come out the same wherever and whenever they are made."""

from __future__ import annotations

import hashlib
from uuid import UUID

# Namespaces of Voz's own UUIDv5 (RFC 9562 §5.5), fixed for ever: changing one changes every id.
EVENT_NAMESPACE = UUID("6f7a0c1e-5c0b-5d39-9a0e-0d6f3c2b7e11")
CUSTOMER_NAMESPACE = UUID("b4f1d2a6-93c7-5e48-8b1d-5a7e90c4f322")
_SEPARATOR = "\x1f"  # can't stand in an id: ingest refuses control characters


def event_id(tenant: str, source: str, source_id: str) -> str:
    """The event's id, a UUID: the same (tenant, source, source's id) is the same event, however often it is
    delivered."""
    return _uuid5(EVENT_NAMESPACE, _SEPARATOR.join((tenant, source, source_id)))


def customer_key(tenant: str, source: str, *, customer_id: str = "", handle: str = "") -> str:
    """Stable pseudonymous key of a customer: of the company's own id when there is one, else of source and handle.

    The company's id names the same person whatever the source; a handle only within its source.
    Raises ValueError when both are empty.
    """
    if customer_id:
        return _uuid5(CUSTOMER_NAMESPACE, _SEPARATOR.join((tenant, "id", customer_id)))
    if handle:
        return _uuid5(CUSTOMER_NAMESPACE, _SEPARATOR.join((tenant, "handle", source, handle)))
    raise ValueError("a customer needs an id or a handle")


def partition_key(tenant: str, customer: str) -> bytes:
    """Kafka key of everything that one customer does: `tenant/customer key`."""
    return f"{tenant}/{customer}".encode()


def _uuid5(namespace: UUID, name: str) -> str:
    """`str(uuid.uuid5(namespace, name))` in a third of the time: every event needs one."""
    digits = hashlib.sha1(namespace.bytes + name.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
