"""Metrics of ingest beside those that every service has."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from voz_ingest.domain.budget import ByteBudget
from voz_streamkit.metrics import REQUEST_BUCKETS, Metrics


class IngestMetrics:
    """Declared once, over the process's registry."""

    def __init__(self, shared: Metrics, budget: ByteBudget) -> None:
        registry = shared.registry
        self.shared = shared
        events = Counter(
            "voz_ingest_events_total", "Events by outcome: accepted, rejected.", ["outcome"], registry=registry
        )
        self.accepted, self.rejected = events.labels("accepted"), events.labels("rejected")
        self.refused = Counter(
            "voz_ingest_refused_total",
            "Requests refused though they may be valid, by reason: rate, quota, overload, kafka.",
            ["reason"],
            registry=registry,
        )
        self.webhooks = Counter(
            "voz_ingest_webhooks_total",
            "Webhooks by source and outcome: accepted, ignored (no event), rejected (an event in it), unreadable,"
            " unauthorised.",
            ["source", "outcome"],
            registry=registry,
        )
        self.append_seconds = Histogram(
            "voz_ingest_append_seconds",
            "Time until Kafka has acknowledged one part of a request, seconds.",
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.producers = Counter(
            "voz_ingest_producers_total",
            "Producers made: one at the start, another after an error that one doesn't recover from.",
            registry=registry,
        )
        in_flight = Gauge(
            "voz_ingest_in_flight_bytes", "Bytes received and not yet acknowledged by Kafka.", registry=registry
        )
        in_flight.set_function(lambda: budget.used_bytes)
