"""How much a tenant may send: a token bucket that may be overdrawn by one request, never by the next."""

from __future__ import annotations

from dataclasses import dataclass, field

from voz_ingest.domain.connection import TenantLimits


@dataclass(slots=True)
class RateLimit:
    """At most `events_per_second` for each tenant in the long run, and `burst_events` at once.

    How many events a request holds is known when it has been read; so a request is let in while the bucket isn't
    empty and charged afterwards. What it overdraws, the tenant's next ones wait for. Times are monotonic seconds.
    """

    _levels: dict[str, tuple[float, float]] = field(default_factory=dict)

    def wait_seconds(self, tenant: str, limits: TenantLimits, now: float) -> float:
        """How long the tenant has to wait before its next request; 0 when it may come now."""
        level = self._level(tenant, limits, now)
        return 0.0 if level >= 1.0 else (1.0 - level) / limits.events_per_second

    def charge(self, tenant: str, limits: TenantLimits, events: int, now: float) -> None:
        """Take what a request held."""
        self._levels[tenant] = (self._level(tenant, limits, now) - events, now)

    def _level(self, tenant: str, limits: TenantLimits, now: float) -> float:
        known = self._levels.get(tenant)
        if known is None:
            return limits.burst_events
        level = known[0] + (now - known[1]) * limits.events_per_second
        return level if level < limits.burst_events else limits.burst_events
