"""Reading the fields of a JSON object: each is right, absent, or wrong with a pointer that says where.

`null` is the same as absent. Nothing here recurses, so depth costs nothing; nothing here raises for what was sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

E = TypeVar("E", bound=StrEnum)
Fields = Mapping[str, object]

MAX_ERRORS = 20
"""Errors kept of one event: enough to mend it, few enough that garbage makes no long answer."""
# Halves of surrogate pairs, too: no encoding has them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: a JSON pointer (RFC 6901), and words."""

    pointer: str
    detail: str


class Reader:
    """Collects what is wrong with one event, and which of its fields nobody knows."""

    __slots__ = ("errors", "ignored")

    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        self.ignored: list[str] = []

    def wrong(self, pointer: str, detail: str) -> None:
        """Note an error."""
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(FieldError(pointer, detail))

    def only(self, fields: Fields, known: frozenset[str], at: str) -> None:
        """Name what isn't one of `known`: it is kept out."""
        if not known.issuperset(fields):
            self.ignored.extend(f"{at}/{escape(name)}" for name in fields if name not in known)

    def object(self, fields: Fields, name: str, at: str = "") -> Fields | None:
        """An object, None when absent or wrong."""
        value = fields.get(name)
        if value is None or isinstance(value, dict):
            return value
        self.wrong(f"{at}/{name}", "must be an object")
        return None

    def id(self, fields: Fields, name: str, at: str = "", *, max_chars: int = 255, required: bool = False) -> str:
        """An identifier: compared byte by byte elsewhere, so one with control characters is refused, never mended."""
        value = fields.get(name)
        if value is None or value == "":
            self._absent(f"{at}/{name}", required)
            return ""
        if not isinstance(value, str):
            self.wrong(f"{at}/{name}", "must be a string")
            return ""
        if len(value) > max_chars:
            self.wrong(f"{at}/{name}", f"must have at most {max_chars} characters")
        elif not value.isprintable() and _CONTROL.search(value):
            self.wrong(f"{at}/{name}", "must not contain control characters")
        return value

    def line(self, fields: Fields, name: str, at: str = "", *, max_chars: int = 500) -> str:
        """Words on one line: control characters are taken out."""
        value = fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.wrong(f"{at}/{name}", "must be a string")
            return ""
        if len(value) > max_chars:
            self.wrong(f"{at}/{name}", f"must have at most {max_chars} characters")
            return ""
        return value if value.isprintable() else _CONTROL.sub("", value)

    def text(self, fields: Fields, name: str, at: str = "", *, max_bytes: int) -> str:
        """What somebody wrote: control characters but tab and line breaks are taken out; blank is empty."""
        value = fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.wrong(f"{at}/{name}", "must be a string")
            return ""
        if len(value) * 4 > max_bytes and len(value.encode(errors="surrogatepass")) > max_bytes:
            self.wrong(f"{at}/{name}", f"must have at most {max_bytes} bytes in UTF-8")
            return ""
        if not value.isprintable():
            value = CONTROL_IN_TEXT.sub("", value)
        return "" if value.isspace() else value

    def word(
        self, fields: Fields, name: str, words: Mapping[str, E], at: str = "", *, required: bool = False
    ) -> E | None:
        """One word of a closed vocabulary, None when absent or wrong."""
        value = fields.get(name)
        if value is None:
            self._absent(f"{at}/{name}", required)
            return None
        found = words.get(value) if isinstance(value, str) else None
        if found is None:
            self.wrong(f"{at}/{name}", f"must be one of {', '.join(words)}")
        return found

    def number(self, fields: Fields, name: str, at: str = "", *, required: bool = False) -> float | None:
        """A finite number, None when absent or wrong."""
        value = fields.get(name)
        if value is None:
            self._absent(f"{at}/{name}", required)
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            self.wrong(f"{at}/{name}", "must be a number")
            return None
        return float(value)

    def count(self, fields: Fields, name: str, at: str = "", *, maximum: int) -> int:
        """A whole number from 0 to `maximum`; 0 when absent or wrong."""
        value = fields.get(name)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= maximum:
            self.wrong(f"{at}/{name}", f"must be a whole number from 0 to {maximum}")
            return 0
        return value

    def flag(self, fields: Fields, name: str, at: str = "") -> bool:
        """True or false; false when absent or wrong."""
        value = fields.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            self.wrong(f"{at}/{name}", "must be true or false")
        return value is True

    def labels(self, fields: Fields, at: str, *, max_entries: int = 64, max_chars: int = 1000) -> dict[str, str]:
        """Names and plain values; numbers and booleans become their JSON text."""
        if len(fields) > max_entries:
            self.wrong(at, f"must have at most {max_entries} entries")
            return {}
        found = {}
        for name, value in fields.items():
            if value is None:
                continue
            said = _scalar(value)
            if not 0 < len(name) <= 64 or (not name.isprintable() and _CONTROL.search(name)):
                wrong = "a name must have 1 to 64 characters, none of them a control character"
            elif said is None:
                wrong = "must be a string, a number or a boolean"
            elif len(said) > max_chars:
                wrong = f"must have at most {max_chars} characters"
            else:
                found[name] = said if said.isprintable() else CONTROL_IN_TEXT.sub("", said)
                continue
            self.wrong(f"{at}/{escape(name)}", wrong)
        return found

    def _absent(self, pointer: str, required: bool) -> None:
        if required:
            self.wrong(pointer, "is required")


def escape(name: str) -> str:
    """One step of a JSON pointer. Long names are cut: they come from outside and go into an answer."""
    return name[:100].replace("~", "~0").replace("/", "~1")


def words(vocabulary: type[E]) -> dict[str, E]:
    """The words of a vocabulary."""
    return {member.value: member for member in vocabulary}


def _scalar(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
