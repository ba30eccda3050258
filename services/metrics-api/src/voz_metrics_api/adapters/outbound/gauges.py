"""KPIs for Prometheus, computed now and then rather than on each scrape."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from voz_metrics_api.metrics import ServiceMetrics
from voz_metrics_api.ports import UnavailableError
from voz_metrics_api.use_cases import Questions

# Long windows move slowly and are a question for the API, not for an alert.
WINDOWS = ("5m", "1h", "24h")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KpiGauges:
    """Sets the gauges of the `tenants` tenants with the most events."""

    questions: Questions
    metrics: ServiceMetrics
    tenants: int

    async def refresh(self) -> None:
        """Compute anew. When the figures can't be read there are none: a stale KPI would look like a fresh one."""
        now = datetime.now(UTC)
        try:
            found = {window: await self.questions.current(window, self.tenants, now) for window in WINDOWS}
        except UnavailableError as error:
            _log.warning("no KPI gauges", error=str(error))
            found = {}
        self.metrics.kpi.clear()
        self.metrics.kpi_n.clear()
        for window, tenants in found.items():
            for tenant, answers in tenants.items():
                for kpi, answer in answers.items():
                    self.metrics.kpi_n.labels(tenant, kpi, window).set(answer.n)
                    if answer.value is not None:
                        self.metrics.kpi.labels(tenant, kpi, window).set(answer.value)
        if found:
            self.metrics.refreshed.set(now.timestamp())

    async def refresh_customers(self) -> None:
        """Count customers by stage anew: seldom, since it looks at each of them."""
        try:
            found = await self.questions.customers_by_stage(self.tenants, datetime.now(UTC))
        except UnavailableError as error:
            _log.warning("no gauges of customers", error=str(error))
            found = []
        self.metrics.customers.clear()
        for each in found:
            self.metrics.customers.labels(each.tenant, each.stage, str(each.at_risk).lower()).set(each.customers)
