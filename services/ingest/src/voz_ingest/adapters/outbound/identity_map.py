"""The links in force, in the memory of one process: IdentityMap."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from voz_contracts.identity import customer_key
from voz_ingest.domain.event import Customer
from voz_ingest.domain.identities import COMPANY, Identity, known_as
from voz_ingest.ports import KeyChange, PhoneIds

_REMEMBERED = 65536
_NOTHING_SAID = ""


class Known(NamedTuple):
    """What links say of a customer. `key` is empty where they say nothing. `through`: the identity that is linked,
    where it isn't the customer's own, which is to be learned."""

    key: str
    own: Identity | None = None
    through: Identity | None = None


_UNKNOWN = Known(_NOTHING_SAID)


class IdentityMap:
    """From the key that an event would have to the one that a link gives it. It holds only what was ever linked.

    Two numbers of 128 bits an entry, of which the members of one person share one. A million identities take 95 MB.
    """

    def __init__(self, phone_ids: PhoneIds) -> None:
        self._phone_ids = phone_ids
        self._keys: dict[int, int] = {}
        self._apart: set[int] = set()
        self._known = lru_cache(maxsize=_REMEMBERED)(self._look_up)
        self.newest_change = 0

    def __len__(self) -> int:
        return len(self._keys) + len(self._apart)

    def learn(self, changes: Iterable[KeyChange]) -> None:
        """Take over changes, oldest first."""
        changed = False
        for change in changes:
            key, in_force = change.key.int, change.customer_key.int
            self._keys.pop(key, None)
            self._apart.discard(key)
            if change.linked:
                self._keys[key] = key if key == in_force else self._shared(in_force)
            else:
                self._apart.add(key)
            self.newest_change = max(self.newest_change, change.number)
            changed = True
        if changed:
            self._known.cache_clear()

    def known(self, tenant: str, source: str, customer: Customer) -> Known:
        """What links say of an event's customer."""
        return self._known(tenant, source, customer.id, customer.handle, customer.company_id)

    def one_person(self, tenant: str, identities: Iterable[Identity]) -> bool:
        """Whether links say already that these are one."""
        found = {self._keys.get(own_key(tenant, identity).int) for identity in identities}
        return len(found) == 1 and None not in found

    def _shared(self, key: int) -> int:
        """The number that the key's own entry holds, so that all of a group share it."""
        own = self._keys.get(key)
        return own if own == key else key

    def _look_up(self, tenant: str, source: str, id_: str, handle: str, company_id: bool) -> Known:
        customer = Customer(id_, handle, "", 0, company_id)
        identities = known_as(source, customer, ids_are_numbers=self._phone_ids(source))
        for identity in identities:
            key = own_key(tenant, identity).int
            if key in self._apart and identity == identities[0]:
                return _UNKNOWN
            found = self._keys.get(key)
            if found is not None:
                own = identities[0]
                return Known(str(UUID(int=found)), own, identity if identity != own else None)
        return _UNKNOWN


def own_key(tenant: str, identity: Identity) -> UUID:
    """The customer key that an identity has by itself."""
    if identity.space == COMPANY:
        return UUID(customer_key(tenant, "", customer_id=identity.value))
    return UUID(customer_key(tenant, identity.space, handle=identity.value))
