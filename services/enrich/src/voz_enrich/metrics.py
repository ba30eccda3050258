"""Metrics of enrich, over the shared registry."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from voz_enrich.domain.journey import Transition
from voz_enrich.domain.signals import HOME_LANGUAGES, UNDETERMINED_LANGUAGE, TextSignals
from voz_streamkit.metrics import BATCH_BUCKETS, Metrics

# A restore takes milliseconds for thousands of customers and seconds for a million.
_ASSIGNMENT_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# A stage lasts from a click to years: an hour, then days.
_STAGE_BUCKETS = (3600.0, *(days * 86400.0 for days in (1, 3, 7, 14, 30, 60, 90, 180, 365, 730)))
# A choice of ten labels begins at 0.1; a model that is sure lies above 0.9, where it is worth a closer look.
_CONFIDENCE_BUCKETS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
# A text takes the shipped model a few milliseconds, a large one some hundred.
_TEXT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_NAMED_LANGUAGES = frozenset({*HOME_LANGUAGES, UNDETERMINED_LANGUAGE})


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
            "Labels that a model gave to texts.",
            ["head", "label", "model"],
            registry=registry,
        )
        self.confidence = Histogram(
            "voz_enrich_confidence",
            "Probability of the label that a model chose for a text (of intents: the likeliest).",
            ["head", "model"],
            buckets=_CONFIDENCE_BUCKETS,
            registry=registry,
        )
        # Bounded: by what the file of topics says.
        self.own_topics = Counter(
            "voz_enrich_own_topics_total",
            "Texts that were given a topic of the company's own.",
            ["tenant", "own_topic"],
            registry=registry,
        )
        self.languages = Counter(
            "voz_enrich_languages_total",
            "Languages of texts: those that the shipped model is made for, und (can't be told), other.",
            ["language", "model"],
            registry=registry,
        )
        self.model_threads = Gauge("voz_enrich_model_threads", "Threads that the model uses.", registry=registry)
        self.cores = Gauge(
            "voz_enrich_cores", "Cores that this process may use: affinity and cgroup quota.", registry=registry
        )
        self.shadow = Gauge(
            "voz_enrich_shadow_info",
            "1 while a shadow model runs: the two models and the share of texts that are compared.",
            ["live", "shadow", "share"],
            registry=registry,
        )
        self.shadow_pairs = Counter(
            "voz_enrich_shadow_pairs_total",
            "Compared texts by what the live model and the shadow said; each intent is a head of its own, yes or no.",
            ["head", "live", "shadow"],
            registry=registry,
        )
        self.shadow_seconds = Histogram(
            "voz_enrich_shadow_text_seconds",
            "Time for each compared text, its part of its batch, by model: live or shadow, seconds.",
            ["model"],
            buckets=_TEXT_BUCKETS,
            registry=registry,
        )
        self.shadow_dropped = Counter(
            "voz_enrich_shadow_dropped_total",
            "Texts of the share that were not compared: the shadow was behind, or not there.",
            registry=registry,
        )
        self.shadow_errors = Counter(
            "voz_enrich_shadow_errors_total",
            "Times that the shadow failed: a batch, or to be opened.",
            registry=registry,
        )
        self.transitions = Counter(
            "voz_enrich_transitions_total",
            "Moves of customers along the journey, by what kind of event moved them; from `none`: new ones.",
            ["from_stage", "to_stage", "cause"],
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "voz_enrich_stage_seconds",
            "How long customers were in the stage that they left, by the time of events, seconds.",
            ["stage"],
            buckets=_STAGE_BUCKETS,
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

    def note_transition(self, moved: Transition) -> None:
        """Count a move along the journey."""
        start = moved.start.value if moved.start else "none"
        self.transitions.labels(start, moved.end.value, moved.cause.value).inc()
        if moved.lasted_ms is not None:
            self.stage_seconds.labels(start).observe(moved.lasted_ms / 1000)

    def note_text(self, model: str, signals: TextSignals) -> None:
        """Count what a model (by its version) said of one text."""
        chosen = {
            "sentiment": signals.sentiment,
            "emotion": signals.emotion,
            "intents": signals.intents[0],
            "topic": signals.topic,
            "effort": signals.effort,
            "stage": signals.stage,
        }
        for head, label in chosen.items():
            for given in signals.intents if head == "intents" else (label,):
                self.labels.labels(head, given.value, model).inc()
            if head in signals.scores:
                self.confidence.labels(head, model).observe(signals.scores[head][label])
        language = signals.language if signals.language in _NAMED_LANGUAGES else "other"
        self.languages.labels(language, model).inc()
