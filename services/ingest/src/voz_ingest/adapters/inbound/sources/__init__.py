"""The sources: one module each, which turns what the source sends into events in the plain form.

A source is a module of this package, named as the source, with a docstring and
`parse(payload: Payload) -> list[Draft]`, pure; it raises PayloadError for what it can't read at all. Adding a source
is adding its file (and a fixture).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson

from voz_ingest.domain.draft import Draft


class PayloadError(Exception):
    """A payload that can't be read at all: where (a JSON pointer into it) and why."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer or 'payload'}: {detail}")
        self.pointer, self.detail = pointer, detail


@dataclass(frozen=True, slots=True)
class Payload:
    """What a source sent, as bytes, and what is known beside it."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    own: frozenset[str] = frozenset()
    """Ids of the company's own accounts: what they wrote is outbound."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source that ingest understands."""

    name: str
    description: str
    parse: Callable[[Payload], list[Draft]]


def names() -> list[str]:
    """The known sources."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Source:
    """A source by its name. Raises KeyError for one that isn't known."""
    if name not in names():
        raise KeyError(name)
    module = importlib.import_module(f"{__name__}.{name}")
    return Source(name, (module.__doc__ or "").splitlines()[0], module.parse)


def decode(body: bytes | bytearray | memoryview) -> object:
    """JSON of UTF-8. Raises PayloadError for anything else, for numbers too large and for nesting too deep."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PayloadError("", f"not JSON: {error}") from None
