"""Writing customers' profiles."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from voz_metrics_api.adapters.outbound import bulk
from voz_metrics_api.adapters.outbound.revisions import Earlier
from voz_metrics_api.adapters.outbound.tables import customer_profile
from voz_metrics_api.domain.facts import EventFacts
from voz_metrics_api.domain.profiles import Known, Profile

# tenant, customer key
ProfileKey = tuple[str, str]
_KEY = ("tenant", "customer_key")
_PROFILE_COLUMNS = [column.name for column in customer_profile.columns]
_INSERT_PROFILES = bulk.insert(customer_profile, "on conflict do nothing returning tenant, customer_key")
_LOCK_PROFILES = text(
    f"select {', '.join(_PROFILE_COLUMNS)} from {customer_profile.fullname} as held"  # noqa: S608  # our own names
    " join unnest(cast(:tenants as text[]), cast(:keys as text[])) as wanted (t, k) on t = tenant and k = customer_key"
    " order by tenant, customer_key for update of held"
)
_REPLACE_PROFILES = bulk.insert(
    customer_profile,
    "on conflict (tenant, customer_key) do update set "
    + ", ".join(f"{name} = excluded.{name}" for name in _PROFILE_COLUMNS if name not in _KEY),
)


async def save_profiles(
    connection: AsyncConnection,
    events: Iterable[EventFacts],
    counting: Iterable[EventFacts],
    uncounted: Iterable[Earlier],
) -> None:
    """Merge what the events tell into the profiles of their customers. Of the events those of `counting` count, and
    those of `uncounted`, applied earlier, no longer do."""
    count = {event.key for event in counting}
    told: dict[ProfileKey, Profile] = {}
    for event in events:
        profile = Profile.of(event, counts=event.key in count)
        key = (event.tenant, event.customer.key)
        told[key] = told[key].merge(profile) if key in told else profile
    taken_back: defaultdict[ProfileKey, list[Earlier]] = defaultdict(list)
    for each in uncounted:
        taken_back[each.tenant, each.customer_key].append(each)
    # Those new to us are whole already. The rest are locked and merged; inserting first locks new keys as well.
    inserted = await _write(connection, _INSERT_PROFILES, told) if told else []
    known = sorted((told.keys() | taken_back.keys()) - {(row.tenant, row.customer_key) for row in inserted})
    if known:
        wanted = {"tenants": [tenant for tenant, _ in known], "keys": [key for _, key in known]}
        rows = await connection.execute(_LOCK_PROFILES, wanted)
        held = {(row.tenant, row.customer_key): profile_of(row) for row in rows}
        changed = {key: _changed(profile, told.get(key), taken_back[key]) for key, profile in held.items()}
        if changed:
            await _write(connection, _REPLACE_PROFILES, changed)


def _changed(profile: Profile, told: Profile | None, taken_back: Iterable[Earlier]) -> Profile:
    for each in taken_back:
        if each.counted:
            profile = profile.without(each.counted.counters, inbound=each.inbound)
    return profile.merge(told) if told else profile


def profile_of(row: Row[Any]) -> Profile:
    """The profile that a row of customer_profile holds."""
    return Profile(
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        events=row.events,
        inbound=row.inbound,
        negative=row.negative,
        neutral=row.neutral,
        positive=row.positive,
        scored=row.scored,
        score_micros=row.score_micros,
        handles=frozenset(row.handles),
        known={name: Known(*said) for name, said in _json(row.known).items()},
    )


def _json(value: Any) -> Any:
    """A jsonb column of a textual statement comes as text."""
    return json.loads(value) if isinstance(value, str) else value


async def _write(
    connection: AsyncConnection, statement: Any, profiles: dict[ProfileKey, Profile]
) -> Sequence[Row[Any]]:
    rows = [(*key, *_values(profiles[key])) for key in sorted(profiles)]
    result = await connection.execute(statement, bulk.parameters(customer_profile, rows))
    return result.fetchall() if result.returns_rows else []


def _values(profile: Profile) -> tuple[Any, ...]:
    return (
        profile.first_seen,
        profile.last_seen,
        profile.events,
        profile.inbound,
        profile.negative,
        profile.neutral,
        profile.positive,
        profile.scored,
        profile.score_micros,
        bulk.LIST_SEPARATOR.join(sorted(profile.handles)),
        json.dumps(profile.known, ensure_ascii=False),
    )
