"""Ids as Voz takes them: made of what names a thing at its source, and never too long."""

from __future__ import annotations

import hashlib

MAX_CHARS = 255
_DIGEST_CHARS = 40


def compose(*parts: str | int) -> str:
    """One id of parts that only together are unique, with `:` between them; empty when one of them is.

    What is too long or has control characters is replaced by its hash, so that different ids stay different.
    """
    said = [str(part) for part in parts]
    if not all(said):
        return ""
    whole = ":".join(said)
    return whole if len(whole) <= MAX_CHARS and whole.isprintable() else digest(whole)


def digest(*parts: str) -> str:
    """An id for what has none: a hash of what does not change when it is sent again."""
    said = "\x00".join(parts).encode(errors="surrogatepass")
    return hashlib.sha256(said).hexdigest()[:_DIGEST_CHARS]
