"""The journey as a Faust table: Faust keeps its changelog assigned, the guard fills it and writes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping
from typing import Any

import faust
from faust.stores import memory
from faust.types import TP


class JourneyStore(memory.Store[bytes, bytes]):
    """Reads what the guard has restored and proved. Nothing that Faust restores gets in here."""

    customers: Callable[[], MutableMapping[bytes, bytes]] = dict

    @property
    def data(self) -> MutableMapping[bytes, bytes]:
        """Every customer's encoded state, by record key."""
        return self.customers()

    @data.setter
    def data(self, value: Any) -> None:
        """Faust's own dictionary isn't used."""

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Any, to_value: Any) -> None:
        """A hole in what Faust restores can't be seen: the guard reads the changelog itself, in order."""


class JourneyTable(faust.Table[bytes, bytes]):
    """A table whose states are restored and written by the guard's journal.

    Faust would read the whole changelog once more on every rebalance, so it is told that it has everything already.
    """

    def __init__(
        self,
        app: faust.App,
        *,
        changelog_topic: Any,
        partitions: int,
        ends: Callable[[str, Collection[int]], Awaitable[Mapping[int, int]]],
        customers: Callable[[], MutableMapping[bytes, bytes]],
    ) -> None:
        super().__init__(
            app,
            name="journey",
            key_type=bytes,
            value_type=bytes,
            partitions=partitions,
            changelog_topic=changelog_topic,
        )
        self._read_ends, self._customers = ends, customers
        self._ends: Mapping[int, int] = {}

    def _new_store(self) -> JourneyStore:
        store = JourneyStore("memory://", self.app, self, table_name=self.name)
        store.customers = self._customers
        return store

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Note where the changelog ends, for `persisted_offset`."""
        topic = self.changelog_topic.get_topic_name()
        self._ends = await self._read_ends(topic, {at.partition for at in assigned if at.topic == topic})
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def persisted_offset(self, tp: TP) -> int | None:
        """The last record of the changelog: there is nothing left for Faust to restore."""
        return self._ends.get(tp.partition, 0) - 1
