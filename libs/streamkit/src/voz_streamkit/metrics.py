"""The metrics that every service has, declared once. Labels are few and bounded: no customer and no event ids."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from voz_streamkit.figures import Count, Counts, Timing, Timings

# Freshness is promised under 1.5 s at p99, of which a batch may take a part: fine steps below 1 s.
BATCH_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# A request answers in milliseconds unless Kafka or PostgreSQL is slow.
REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Shared metrics over one registry; a service declares its own over the same registry."""

    def __init__(self, service: str, registry: CollectorRegistry | None = None) -> None:
        self.service = service
        self.registry = registry or new_registry()
        self.records = Counter(
            "voz_consumer_records_total",
            "Records by what became of them: new, duplicate, invalid.",
            ["consumer", "outcome"],
            registry=self.registry,
        )
        self.lag_records = Gauge(
            "voz_consumer_lag_records",
            "Records of a partition that are not applied yet.",
            ["consumer", "topic", "partition"],
            registry=self.registry,
        )
        self.batch_seconds = Histogram(
            "voz_consumer_batch_seconds",
            "Time to apply one batch, seconds.",
            ["consumer"],
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        self.retries = Counter(
            "voz_consumer_retries_total",
            "Batches tried again after a transient error.",
            ["consumer"],
            registry=self.registry,
        )
        self.fenced = Counter(
            "voz_consumer_fenced_total",
            "Batches refused because another consumer had moved the stored offset.",
            ["consumer"],
            registry=self.registry,
        )
        self.dead_letters = Counter(
            "voz_dead_letters_total",
            "Records put aside, by reason.",
            ["service", "reason"],
            registry=self.registry,
        )
        self.outbox_pending = Gauge(
            "voz_outbox_pending_messages",
            "Messages committed to the outbox and not yet published.",
            ["service"],
            registry=self.registry,
        )
        self.outbox_published = Counter(
            "voz_outbox_published_total", "Messages published from the outbox.", ["service"], registry=self.registry
        )
        self.reloads = Counter(
            "voz_file_reloads_total",
            "Configuration files read again, by outcome: taken or refused.",
            ["file", "outcome"],
            registry=self.registry,
        )
        self.requests = Counts(
            "voz_http_requests_total",
            "HTTP requests.",
            ["service", "method", "route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Timings(
            "voz_http_request_seconds",
            "Time to answer an HTTP request, seconds.",
            ["service", "method", "route"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        info = Gauge(
            "voz_build_info", "1, with the version as a label.", ["service", "version"], registry=self.registry
        )
        info.labels(service, _version(service)).set(1)
        self._noted: dict[tuple[str, str, int], tuple[Count, Timing]] = {}

    def note_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request and time it."""
        found = self._noted.get((method, route, status))
        if found is None:  # finding metrics by their labels costs more than counting
            found = self._noted[method, route, status] = (
                self.requests.labels(self.service, method, route, str(status)),
                self.request_seconds.labels(self.service, method, route),
            )
        count, timing = found
        count.inc()
        timing.observe(seconds)


def new_registry() -> CollectorRegistry:
    """A registry with the process's own figures (memory, CPU, file descriptors)."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def _version(service: str) -> str:
    try:
        return version(f"voz-{service}")
    except PackageNotFoundError:
        return "unknown"
