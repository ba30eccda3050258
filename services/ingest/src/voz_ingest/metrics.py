"""Metrics of ingest beside those that every service has."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from voz_ingest.domain.budget import ByteBudget
from voz_streamkit.figures import Counts, Timings
from voz_streamkit.metrics import REQUEST_BUCKETS, Metrics


class IngestMetrics:
    """Declared once, over the process's registry."""

    def __init__(self, shared: Metrics, budget: ByteBudget) -> None:
        registry = shared.registry
        self.shared = shared
        events = Counts(
            "voz_ingest_events_total", "Events by outcome: accepted, rejected.", ["outcome"], registry=registry
        )
        self.accepted, self.rejected = events.labels("accepted"), events.labels("rejected")
        self.refused = Counter(
            "voz_ingest_refused_total",
            "Requests refused though they may be valid, by reason: rate, quota, overload, kafka.",
            ["reason"],
            registry=registry,
        )
        self.webhooks = Counts(
            "voz_ingest_webhooks_total",
            "Webhooks by source and outcome: accepted, ignored (no event), rejected (an event in it), unreadable,"
            " unauthorised.",
            ["source", "outcome"],
            registry=registry,
        )
        self.append_seconds = Timings(
            "voz_ingest_append_seconds",
            "Time until Kafka has acknowledged one part of a request, seconds.",
            buckets=REQUEST_BUCKETS,
            registry=registry,
        ).labels()
        self.producers = Counter(
            "voz_ingest_producers_total",
            "Producers made: one at the start, another after an error that one doesn't recover from.",
            registry=registry,
        )
        in_flight = Gauge(
            "voz_ingest_in_flight_bytes", "Bytes received and not yet acknowledged by Kafka.", registry=registry
        )
        in_flight.set_function(lambda: budget.used_bytes)


class ConnectMetrics:
    """Of the process that asks sources. The label `connection` is bounded by the configuration."""

    def __init__(self, shared: Metrics) -> None:
        registry = shared.registry
        self.running = Gauge(
            "voz_ingest_connector_running",
            "1 while this process runs the connector.",
            ["connection", "source"],
            registry=registry,
        )
        self.last_success = Gauge(
            "voz_ingest_connector_last_success_timestamp_seconds",
            "When the source last answered and everything it brought was acknowledged, Unix time.",
            ["connection", "source"],
            registry=registry,
        )
        self.newest_event = Gauge(
            "voz_ingest_connector_newest_event_timestamp_seconds",
            "When the newest event that it brought has happened, Unix time: the present minus this is its lag.",
            ["connection", "source"],
            registry=registry,
        )
        self.events = Counter(
            "voz_ingest_connector_events_total",
            "Events brought by connectors: accepted, rejected, known (brought before), passed_over (concern nobody).",
            ["connection", "source", "outcome"],
            registry=registry,
        )
        self.failures = Counter(
            "voz_ingest_connector_failures_total",
            "Failures of connectors by reason: rate (told to wait), refused (4xx), server (5xx), network, unreadable,"
            " kafka, error.",
            ["connection", "source", "reason"],
            registry=registry,
        )
        self.leases_lost = Counter(
            "voz_ingest_connector_leases_lost_total",
            "Leases that another process, or a command, took while this one ran the connector.",
            registry=registry,
        )
        self.announcements = Counter(
            "voz_ingest_announcements_total",
            "Announcements by what became of them: done, postponed, given_up.",
            ["source", "outcome"],
            registry=registry,
        )
        self.announcements_pending = Gauge(
            "voz_ingest_announcements_pending",
            "Announcements whose content is still to be fetched.",
            ["source"],
            registry=registry,
        )


class IdentityMetrics:
    """Of the links between identities, where there is a database for them."""

    def __init__(self, shared: Metrics) -> None:
        registry = shared.registry
        self.claims = Counter(
            "voz_ingest_identity_claims_total",
            "What events say of identities, by outcome: linked, known, apart (a person has parted them),"
            " two_company_ids, too_many, unavailable.",
            ["outcome"],
            registry=registry,
        )
        self.links = Gauge(
            "voz_ingest_identity_links", "Identities that are or were linked, in this process.", registry=registry
        )
        self.refreshed = Gauge(
            "voz_ingest_identity_links_refreshed_timestamp_seconds",
            "When the links were last read; they stay in force while they can't be.",
            registry=registry,
        )
