"""Between protobuf's enum numbers and the words that people, JSON, tables and metrics use.

`word(Sentiment, SENTIMENT_NEGATIVE) == "negative"`; the unspecified value is the empty word.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper


@cache
def _prefix(enum: EnumTypeWrapper) -> str:
    unspecified = next(name for name, number in enum.items() if number == 0)
    return unspecified.removesuffix("UNSPECIFIED")


@cache
def _words(enum: EnumTypeWrapper) -> dict[int, str]:
    prefix = _prefix(enum)
    return {number: name.removeprefix(prefix).lower() if number else "" for name, number in enum.items()}


@cache
def _numbers(enum: EnumTypeWrapper) -> dict[str, int]:
    return {word: number for number, word in _words(enum).items()}


def word(enum: EnumTypeWrapper, number: int) -> str:
    """The label's word; empty for unspecified and for a number this version doesn't know."""
    return _words(enum).get(number, "")


def number(enum: EnumTypeWrapper, label: str) -> int:
    """The enum's number of a word. Raises KeyError for a word that isn't a label; the empty word is 0."""
    return _numbers(enum)[label]


def vocabulary(enum: EnumTypeWrapper) -> tuple[str, ...]:
    """Every label's word, in the enum's order, unspecified left out."""
    return tuple(label for label in _words(enum).values() if label)
