"""What is known of a customer, gathered from events in any order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from voz_metrics_api.domain.contributions import of_event
from voz_metrics_api.domain.counters import Counters
from voz_metrics_api.domain.facts import EventFacts

ATTRIBUTE: Final = "attribute."
MAX_KNOWN: Final = 100
MAX_HANDLES: Final = 20
# As enrich has it: docs/journey.md.
SILENCE_TELLS: Final = frozenset({"onboard", "use", "renew", "advocate"})


class Known(NamedTuple):
    """One thing known, and by which event: the greatest is the newest, by (occurred_at, event id).

    `at` is ISO 8601 in UTC, whose order as text is the order of time. What enrich knew of the journey is newer the
    later the last event was that it knew of, and then by its position in the partition: a late event may move somebody.
    """

    at: str
    event_id: str
    value: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One customer. `known` has id, name, stage, stage_since, heard, language, reach and `attribute.<name>`.

    `merge` is associative and commutative, so the order of events never shows; each event is merged once.
    """

    first_seen: datetime
    last_seen: datetime
    events: int
    inbound: int
    negative: int
    neutral: int
    positive: int
    scored: int
    score_micros: int
    handles: frozenset[str]
    known: Mapping[str, Known]

    @classmethod
    def of(cls, event: EventFacts, *, counts: bool = True) -> Profile:
        """What one event tells of its customer. One that doesn't count (an older version of a message, or one that was
        taken back) still tells who they are."""
        customer, said_by = event.customer, str(event.event_id)
        at = event.occurred_at.astimezone(UTC).isoformat()
        return cls(
            first_seen=event.occurred_at,
            last_seen=event.occurred_at,
            handles=frozenset({f"{event.dimensions.source}:{customer.handle}"} if customer.handle else ()),
            known={name: Known(at, said_by, value) for name, value in _said(event).items()} | _journey(event),
            **_counts(of_event(event), event.inbound) if counts else _NOTHING,
        )

    def merge(self, other: Profile) -> Profile:
        """Both together. Bounded: the first handles and attributes by name are kept."""
        known = dict(self.known)
        for name, said in other.known.items():
            known[name] = max(known[name], said) if name in known else said
        if len(known) > MAX_KNOWN:
            names = sorted(known, key=lambda name: (name.startswith(ATTRIBUTE), name))[:MAX_KNOWN]
            known = {name: known[name] for name in names}
        handles = self.handles | other.handles
        if len(handles) > MAX_HANDLES:
            handles = frozenset(sorted(handles)[:MAX_HANDLES])
        return Profile(
            first_seen=min(self.first_seen, other.first_seen),
            last_seen=max(self.last_seen, other.last_seen),
            events=self.events + other.events,
            inbound=self.inbound + other.inbound,
            negative=self.negative + other.negative,
            neutral=self.neutral + other.neutral,
            positive=self.positive + other.positive,
            scored=self.scored + other.scored,
            score_micros=self.score_micros + other.score_micros,
            handles=handles,
            known=known,
        )

    def without(self, counters: Counters, *, inbound: bool) -> Profile:
        """This without what one event counted."""
        return replace(self, **{name: getattr(self, name) - n for name, n in _counts(counters, inbound).items()})

    def value(self, name: str) -> str | None:
        """What is known under that name."""
        found = self.known.get(name)
        return found.value if found else None

    @property
    def heard_at(self) -> datetime | None:
        """When the customer last did something themselves."""
        found = self.value("heard")
        return datetime.fromisoformat(found) if found else None

    def at_risk(self, now: datetime, after: timedelta) -> bool:
        """Whether they were not heard of for so long, where silence tells, that they may be lost (docs/journey.md)."""
        heard_at = self.heard_at
        return heard_at is not None and self.value("stage") in SILENCE_TELLS and now - heard_at >= after

    def attributes(self) -> dict[str, str]:
        """The customer's own attributes."""
        return {
            name.removeprefix(ATTRIBUTE): known.value
            for name, known in self.known.items()
            if name.startswith(ATTRIBUTE)
        }


def _counts(counters: Counters, inbound: bool) -> dict[str, int]:
    names = ("negative", "neutral", "positive", "scored", "score_micros")
    sentiment = {name: getattr(counters, name) for name in names}
    return {"events": counters.volume, "inbound": int(inbound), **sentiment}


_NOTHING: Final = _counts(Counters(), inbound=False)


def _said(event: EventFacts) -> dict[str, str]:
    customer, inbound = event.customer, event.inbound
    said = {
        "id": customer.id,
        "name": customer.name,
        "reach": str(customer.reach or ""),
        "language": event.dimensions.language if inbound else "",
        **{ATTRIBUTE + name: value for name, value in event.known.items()},
    }
    return {name: value for name, value in said.items() if value}


def _journey(event: EventFacts) -> dict[str, Known]:
    at = max(event.occurred_at, event.heard_at or event.occurred_at).astimezone(UTC).isoformat()
    said = {"stage": event.journey_stage} if event.journey_stage else {}
    for name, time in (("stage_since", event.journey_since), ("heard", event.heard_at)):
        if said and time:
            said[name] = time.astimezone(UTC).isoformat()
    return {name: Known(at, f"{event.position:020d}", value) for name, value in said.items()}
