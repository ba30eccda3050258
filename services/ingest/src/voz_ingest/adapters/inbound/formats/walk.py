"""Walking through JSON that somebody else wrote: what isn't there, or isn't of the kind looked for, is absent.

Nothing here raises, so a source reads what it knows and leaves the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

Json = Any
Fields = dict[str, Any]
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*")


def at(document: Json, *path: str | int) -> Json:
    """The value at a path of names and indexes; None when it leads nowhere."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(document, list) or not -len(document) <= step < len(document):
                return None
            document = document[step]
        else:
            if not isinstance(document, dict):
                return None
            document = document.get(step)
    return document


def string(document: Json, *path: str | int) -> str:
    """A string that isn't blank, without the white space around it; else empty."""
    value = at(document, *path)
    return value.strip() if isinstance(value, str) else ""


def identifier(document: Json, *path: str | int) -> str:
    """An id: a string, or a whole number in decimal; else empty. A float is no id: it has lost digits."""
    value = at(document, *path)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value).strip()


def language(document: Json, *path: str | int) -> str:
    """A language tag such as `es` or `pt-BR`; else empty."""
    found = string(document, *path)
    return found if _LANGUAGE.fullmatch(found) else ""


def number(document: Json, *path: str | int) -> float | None:
    """A finite number, also one written as a string; else None."""
    value = at(document, *path)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def count(document: Json, *path: str | int) -> int:
    """A whole number from 0; 0 when there is none."""
    value = at(document, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else 0


def flag(document: Json, *path: str | int) -> bool:
    """Whether the value is true."""
    return at(document, *path) is True


def fields(document: Json, *path: str | int) -> Fields:
    """An object; empty when there is none."""
    value = at(document, *path)
    return value if isinstance(value, dict) else {}


def objects(document: Json, *path: str | int) -> Iterator[Fields]:
    """The objects of an array, in order; whatever else is in it is passed over."""
    value = at(document, *path)
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def strings(document: Json, *path: str | int) -> list[str]:
    """The strings of an array that aren't blank."""
    value = at(document, *path)
    return [item.strip() for item in value if isinstance(item, str) and item.strip()] if isinstance(value, list) else []


def some(**values: Any) -> Fields:
    """An object of the values that are there: None, empty strings and empty objects are left out; 0 and false stay."""
    return {name: value for name, value in values.items() if value is not None and value != "" and value != {}}
