"""Signatures of webhooks: compared in constant time, over the bytes that were received, within their time."""

from __future__ import annotations

import hmac
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voz_ingest.adapters.inbound.sources import Payload

TOLERANCE_SECONDS = 300
"""How far a signed time may lie from ours (Standard Webhooks, Stripe, HubSpot: five minutes)."""


def hex_hmac(secret: str | bytes, message: bytes, digest: str = "sha256") -> str:
    """HMAC in lower-case hexadecimal."""
    return _hmac(secret, message, digest).hex()


def base64_hmac(secret: str | bytes, message: bytes, digest: str = "sha256") -> str:
    """HMAC in base64."""
    return b2a_base64(_hmac(secret, message, digest), newline=False).decode()


def matches(given: Iterable[str], expected: Iterable[str]) -> bool:
    """Whether one of the signatures given is one of those expected. Every pair is compared, in constant time."""
    wanted = [each.encode() for each in expected]
    found = False
    for each in given:
        said = each.encode(errors="replace")
        for right in wanted:
            found |= bool(said) and hmac.compare_digest(said, right)
    return found


def is_recent(unix_seconds: float | None, now: datetime, tolerance_seconds: float = TOLERANCE_SECONDS) -> bool:
    """Whether a signed time lies near enough."""
    return unix_seconds is not None and abs(now.timestamp() - unix_seconds) <= tolerance_seconds


def secret_in_url(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether the URL's `secret` is one of the connection's: for sources that sign nothing."""
    return matches([payload.query.get("secret", "")], secrets)


def _hmac(secret: str | bytes, message: bytes, digest: str) -> bytes:
    made = _keyed(secret, digest).copy()
    made.update(message)
    return made.digest()


@lru_cache(maxsize=1024)  # half of a short message's HMAC is the key's
def _keyed(secret: str | bytes, digest: str) -> hmac.HMAC:
    return hmac.new(secret if isinstance(secret, bytes) else secret.encode(), digestmod=digest)
