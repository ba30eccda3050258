"""Writing customers' timelines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from voz_metrics_api.adapters.outbound import bulk
from voz_metrics_api.adapters.outbound.revisions import Earlier
from voz_metrics_api.adapters.outbound.tables import touchpoint
from voz_metrics_api.domain.cells import Counted
from voz_metrics_api.domain.counters import Counters
from voz_metrics_api.domain.facts import EventFacts
from voz_metrics_api.domain.revisions import EventKey, Settlement

_INSERT = bulk.insert_new(touchpoint)
_THOSE = (
    " where (tenant, customer_key, occurred_at, event_id) in (select * from unnest(cast(:tenants as text[]),"
    " cast(:keys as text[]), cast(:times as timestamptz[]), cast(:ids as uuid[])))"
)
_HIDE = text(f"delete from {touchpoint.fullname}{_THOSE}")  # noqa: S608  # our own names
# What stays tells that something was said, where and when.
_BLANK = text(
    f"update {touchpoint.fullname} set text = '', sentiment = '', sentiment_score = null, emotion = '',"  # noqa: S608
    " intents = '{}', topic = '', effort = '', details = '{}', counters = '{}', deleted = true" + _THOSE
)


async def save_timelines(
    connection: AsyncConnection,
    settlement: Settlement,
    earlier: Sequence[Earlier],
    counted: Mapping[EventKey, Counted],
) -> None:
    """Put new events on their customers' timelines, in the place of older versions; blank what was taken back."""
    for statement, those in ((_HIDE, settlement.hidden), (_BLANK, settlement.blanked)):
        rows = [each for each in earlier if each.key in those]
        if rows:
            await connection.execute(statement, _places(rows))
    touchpoints = [_touchpoint(event, counted[event.key]) for event in settlement.shown]
    touchpoints += [_blank(event, counted[event.key]) for event in settlement.shown_blank]
    if touchpoints:
        touchpoints.sort(key=lambda row: row[:4])
        await connection.execute(_INSERT, bulk.parameters(touchpoint, touchpoints))


def _places(rows: Iterable[Earlier]) -> dict[str, list[Any]]:
    tenants, keys, times, ids = zip(
        *((each.tenant, each.customer_key, each.occurred_at, each.event_id) for each in rows), strict=True
    )
    return {"tenants": list(tenants), "keys": list(keys), "times": list(times), "ids": list(ids)}


def _touchpoint(event: EventFacts, counted: Counted) -> tuple[Any, ...]:
    dimensions = event.dimensions
    return (
        *_place(event),
        dimensions.language,
        dimensions.sentiment,
        event.sentiment_score,
        dimensions.emotion,
        bulk.LIST_SEPARATOR.join(dimensions.intents),
        dimensions.topic,
        event.effort,
        dimensions.stage,
        event.conversation_id,
        event.text,
        json.dumps(event.details, ensure_ascii=False),
        counted.dimensions,
        _json(counted.counters),
        bool(event.version),
        False,
    )


def _blank(event: EventFacts, counted: Counted) -> tuple[Any, ...]:
    """As `_BLANK` leaves it."""
    dimensions = event.dimensions
    signals = (dimensions.language, "", None, "", "", "", "")
    said = (dimensions.stage, event.conversation_id, "", "{}")
    return (*_place(event), *signals, *said, counted.dimensions, "{}", bool(event.version), True)


def _place(event: EventFacts) -> tuple[Any, ...]:
    dimensions = event.dimensions
    return (
        event.tenant,
        event.customer.key,
        event.occurred_at,
        event.event_id,
        dimensions.kind,
        dimensions.direction,
        dimensions.channel,
        dimensions.source,
        dimensions.audience,
    )


@lru_cache(maxsize=4096)
def _json(counters: Counters) -> str:
    """Those that aren't 0."""
    return json.dumps({name: n for name, n in zip(Counters._fields, counters, strict=True) if n})
