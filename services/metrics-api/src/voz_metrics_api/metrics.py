"""What Prometheus sees of this service beyond the shared metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge


class ServiceMetrics:
    """KPIs as gauges, and the streams that are open. A KPI without data has no sample: absent is not 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["tenant", "kpi", "window"]
        self.kpi = Gauge(
            "voz_kpi", "Value of a KPI in a rolling window, in the KPI's own unit.", labels, registry=registry
        )
        self.kpi_n = Gauge(
            "voz_kpi_observations", "How many observations the KPI's value is made of.", labels, registry=registry
        )
        self.refreshed = Gauge(
            "voz_kpi_refreshed_timestamp_seconds", "When the KPI gauges were last computed.", registry=registry
        )
        self.customers = Gauge(
            "voz_customers",
            "Persons by the stage they are at, and whether their silence there puts them at risk.",
            ["tenant", "stage", "at_risk"],
            registry=registry,
        )
        self.streams = Gauge("voz_kpi_streams", "Server-sent event streams that are open.", registry=registry)
