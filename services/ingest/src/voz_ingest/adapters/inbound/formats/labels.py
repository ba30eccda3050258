"""Attributes out of whatever somebody else calls so: flat, plain values, not too many, none too long."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from voz_ingest.adapters.inbound.formats.walk import Fields

MAX_ENTRIES, MAX_NAME_CHARS, MAX_CHARS = 50, 64, 1000
_MAX_DEPTH = 3


def labels(values: Any, *, without: frozenset[str] = frozenset()) -> Fields:
    """The plain values of an object by name; those of inner objects as `outer_inner`. Lists of words are joined."""
    found: Fields = {}
    for name, value in _flat(values, "", 0):
        if len(found) == MAX_ENTRIES:
            break
        if name not in without and len(name) <= MAX_NAME_CHARS and name.isprintable():
            found[name] = value
    return found


def _flat(values: Any, prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    if not isinstance(values, dict) or depth > _MAX_DEPTH:
        return
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}_", depth + 1)
            continue
        if isinstance(value, list):
            value = ", ".join(item for item in value if isinstance(item, str))
        if isinstance(value, str):
            value = value.strip()[:MAX_CHARS]
        if (key and isinstance(value, (str, bool, int)) and value != "") or (
            isinstance(value, float) and math.isfinite(value)
        ):
            yield name, value
