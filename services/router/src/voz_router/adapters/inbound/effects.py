"""New events of a batch, routed within the sink's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from voz_router.domain.events import Event
from voz_router.metrics import RouterMetrics
from voz_router.ports import RoutingStore
from voz_router.use_cases import RouteEvents
from voz_streamkit.sink import Incoming


class RoutingEffects:
    """Effects of `voz.enriched` on the router."""

    def __init__(
        self, routing: RouteEvents, store_of: Callable[[AsyncConnection], RoutingStore], metrics: RouterMetrics
    ) -> None:
        self._routing, self._store_of, self._metrics = routing, store_of, metrics

    async def apply(self, connection: AsyncConnection, events: Sequence[Incoming[Event]]) -> None:
        """Route the events, in the order of their records."""
        made = await self._routing.route([each.event for each in events], self._store_of(connection))
        for (rule, effect), count in Counter((each.rule, each.effect) for each in made.decisions).items():
            self._metrics.decisions.labels(rule or "none", effect).inc(count)
        for event_type, count in Counter(each.type for each in made.case_events).items():
            self._metrics.case_events.labels(event_type).inc(count)
