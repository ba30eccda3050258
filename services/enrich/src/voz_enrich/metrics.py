"""Metrics of enrich, over the shared registry."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from voz_streamkit.metrics import BATCH_BUCKETS, Metrics

# A restore takes milliseconds for thousands of customers and seconds for a million.
_ASSIGNMENT_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class EnrichMetrics:
    """What enrich counts. Labels are those of the signals and of outcomes; never a customer or an event."""

    def __init__(self, shared: Metrics) -> None:
        registry = shared.registry
        self.events = Counter(
            "voz_enrich_events_total",
            "Source events by outcome: enriched, refused (dead-lettered), answered_before (repeated after a crash).",
            ["outcome"],
            registry=registry,
        )
        self.labels = Counter(
            "voz_enrich_labels_total",
            "Labels given to texts and payloads, by head.",
            ["head", "label"],
            registry=registry,
        )
        self.gaps = Counter(
            "voz_enrich_gaps_total", "Times that events were skipped in front of a delivered one.", registry=registry
        )
        self.healed = Counter(
            "voz_enrich_healed_events_total", "Events read from the source by the guard itself.", registry=registry
        )
        self.idle_reads = Counter(
            "voz_enrich_idle_reads_total",
            "Times that due events were not delivered and the guard read them.",
            registry=registry,
        )
        self.repeats = Counter(
            "voz_enrich_repeats_total", "Delivered events that had been answered already: dropped.", registry=registry
        )
        self.strays = Counter(
            "voz_enrich_stray_events_total",
            "Delivered events of partitions that are not ours: dropped.",
            registry=registry,
        )
        self.expired = Counter(
            "voz_enrich_expired_events_total",
            "Offsets that retention removed before they were read: lost.",
            registry=registry,
        )
        self.batches = Counter("voz_enrich_batches_total", "Batches written.", registry=registry)
        self.batch_size = Histogram(
            "voz_enrich_batch_events",
            "Events in a written batch.",
            buckets=(1, 4, 16, 64, 256, 1024),
            registry=registry,
        )
        self.model_seconds = Histogram(
            "voz_enrich_model_seconds",
            "Time to analyse one batch of texts, seconds.",
            buckets=BATCH_BUCKETS,
            registry=registry,
        )
        self.write_seconds = Histogram(
            "voz_enrich_write_seconds",
            "Time to write one batch: answers, states, position, seconds.",
            buckets=BATCH_BUCKETS,
            registry=registry,
        )
        self.assignment_seconds = Histogram(
            "voz_enrich_assignment_seconds",
            "Time to restore one partition's states, seconds.",
            buckets=_ASSIGNMENT_BUCKETS,
            registry=registry,
        )
        self.partitions = Gauge("voz_enrich_partitions", "Source partitions that this worker holds.", registry=registry)
        for outcome in ("enriched", "refused", "answered_before"):
            self.events.labels(outcome)
