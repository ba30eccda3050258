"""An event as a source says it, before anything is known to be right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from voz_ingest.domain.fields import FieldError


class Draft(NamedTuple):
    """The plain form of one event, and where in the source's payload its fields stand.

    Every source speaks the plain form, so that limits, defaults and vocabularies are checked in one place.
    """

    plain: object
    errors: tuple[FieldError, ...] = ()
    """What the source itself already finds wrong; pointers into the payload. With errors, `plain` isn't read."""
    ignored: tuple[str, ...] = ()
    """Pointers of what the source leaves out."""
    prefix: str = ""
    """Where in the payload the plain form stands."""
    moved: Mapping[str, str] | None = None
    """Pointers of the plain form whose value came from elsewhere in the payload."""

    def locate(self, pointer: str) -> str:
        """Where in the payload a pointer into the plain form leads."""
        return (self.moved and self.moved.get(pointer)) or self.prefix + pointer
