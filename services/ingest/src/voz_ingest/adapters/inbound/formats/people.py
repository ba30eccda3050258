"""Who is the company and who isn't."""

from __future__ import annotations

from collections.abc import Iterable

_MAX_NAME_CHARS = 500
NOBODY = {"handle": "unknown"}
"""The customer of an event whose source names nobody."""


def is_own(own: Iterable[str], *names: str) -> bool:
    """Whether one of an author's ids, handles or addresses is one of the company's own accounts.

    Case, a leading `@` and the `+` of a telephone number make no difference.
    """
    accounts = {_plain(account) for account in own} - {""}
    return any(_plain(name) in accounts for name in names)


def full_name(*parts: str) -> str:
    """A name of its parts, as long as a name may be."""
    return " ".join(part for part in parts if part)[:_MAX_NAME_CHARS]


def _plain(name: str) -> str:
    return name.strip().lstrip("@+").casefold()
