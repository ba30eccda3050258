"""What of a request may be kept as evidence."""

from __future__ import annotations

import re
from collections.abc import Mapping

_AUTHENTICATES = re.compile(r"auth|cookie|signature|hmac|secret|token|api-?key|password|credential|-sig$|^sm-|x-hub-")
MAX_HEADERS, MAX_CHARS = 50, 1000


def without_credentials(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that say what a payload is; none that authenticates (keys, signatures, cookies), none without end."""
    kept = ((name, value) for name, value in headers.items() if not _AUTHENTICATES.search(name.lower()))
    return {name: value[:MAX_CHARS] for name, value in list(kept)[:MAX_HEADERS]}
