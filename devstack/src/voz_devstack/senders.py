"""Who sends what simulated customers do: some by `POST /v1/events`, others through the sources where they speak."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from voz_contracts.cloudevents import rfc3339
from voz_devstack.clients import IngestClient, Sent, SourceClient
from voz_devstack.places import PLACES, webhook
from voz_devstack.simulator import SOURCE, Happening, SimulatedCustomer


@dataclass
class Senders:
    """Sends happenings in their order, each stamped with the moment it is sent.

    Every second customer speaks at sources. The first time at each, the company (which knows its customers) says who it
    is; so whatever the source calls them, they stay one person.
    """

    ingest: IngestClient
    sources: SourceClient
    secrets: Mapping[str, str]
    """Of the development connections, by connection."""
    started: datetime
    accepted: Counter[str] = field(default_factory=Counter)
    """How many events came in by each source."""
    _known: set[str] = field(default_factory=set)

    async def send(self, happenings: Sequence[Happening]) -> Sent:
        """Send all of them. Raises BusyError when ingest won't take them for two minutes."""
        now = datetime.now(UTC)
        # One millisecond apart: customers' order is also the order of their times.
        stamped = [(each, now + timedelta(milliseconds=number)) for number, each in enumerate(happenings)]
        plain = [
            {**each.body, "occurred_at": rfc3339(at)} for each, at in stamped if not self._at_sources(each.customer)
        ]
        sent = [await self.ingest.send(plain)] if plain else []
        self.accepted[SOURCE] += sum(len(each.ids) for each in sent)
        sent += [await self._send(each, at) for each, at in stamped if self._at_sources(each.customer)]
        return Sent([id_ for each in sent for id_ in each.ids], [why for each in sent for why in each.rejected])

    def names(self, customer: SimulatedCustomer) -> Sequence[str]:
        """What a case may call the customer: the company's id, and what sources make of their number."""
        number = self._number(customer)
        return [customer.id, *{place.customer(number) for place in PLACES}]

    async def _send(self, happening: Happening, at: datetime) -> Sent:
        request = webhook(happening, self._number(happening.customer), at, self.secrets)
        if request is None:
            sent = await self.ingest.send([{**happening.body, "occurred_at": rfc3339(at)}])
            self.accepted[SOURCE] += len(sent.ids)
            return sent
        if request.identity not in self._known:
            await self.sources.link([f"company:{happening.customer.id}", request.identity])
            self._known.add(request.identity)
        sent = await self.sources.send(request)
        self.accepted[request.identity.partition(":")[0]] += len(sent.ids)
        return sent

    def _at_sources(self, customer: SimulatedCustomer) -> bool:
        return bool(self.secrets) and _count(customer) % 2 == 1

    def _number(self, customer: SimulatedCustomer) -> int:
        """Unique over runs, and small enough for every source."""
        return int(self.started.timestamp()) * 100_000 + _count(customer)


def _count(customer: SimulatedCustomer) -> int:
    return int(customer.id.rpartition("c")[2])
