"""What of a request may be kept as evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_AUTHENTICATES = re.compile(
    r"auth|cookie|signature|hmac|secret|token|(api|private)[-_]?key|password|credential|-sig$|^sm-|x-hub-"
)
MAX_HEADERS, MAX_CHARS = 50, 1000
MIN_SECRET_CHARS = 6


def without_credentials(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that say what a payload is; none that authenticates (keys, signatures, cookies), none without end."""
    kept = ((name, value) for name, value in headers.items() if not _AUTHENTICATES.search(name.lower()))
    return {name: value[:MAX_CHARS] for name, value in list(kept)[:MAX_HEADERS]}


def without_secrets(text: str, secrets: Iterable[str], options: Mapping[str, Any]) -> str:
    """A text that somebody else wrote, such as a source's refusal, without what authenticates us there."""
    named = (value for name, value in options.items() if isinstance(value, str) and _AUTHENTICATES.search(name.lower()))
    for secret in (*secrets, *named):
        if len(secret) >= MIN_SECRET_CHARS:
            text = text.replace(secret, "…")
    return text
