"""How a company is connected: its sources, and what each tenant may send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Connection:
    """One account of a company at one source, which sends here or is asked from here."""

    id: str
    tenant: str
    source: str
    secrets: tuple[str, ...] = ()
    """Any of them is valid, so that one can be replaced without a gap."""
    own: frozenset[str] = frozenset()
    """The company's own accounts there: their messages are outbound."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the source's own page says."""


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """How much a tenant may send: in the long run, at once, and in a UTC day (None: as much as it likes)."""

    events_per_second: float
    burst_events: float
    events_per_day: int | None = None
