"""The router's own metrics; those that every service has are streamkit's."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class RouterMetrics:
    """Over the registry of the process. Rules and versions are few: they are the policy's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.decisions = Counter(
            "voz_router_decisions_total",
            "Events decided, by rule (none: no rule matched) and effect. A batch that is tried again counts again.",
            ["rule", "effect"],
            registry=registry,
        )
        self.case_events = Counter(
            "voz_router_case_events_total",
            "What happened to cases, by type. A batch that is tried again counts again.",
            ["type"],
            registry=registry,
        )
        self.policy = Gauge(
            "voz_router_policy_info", "1 for the policy in force, with its version.", ["version"], registry=registry
        )
