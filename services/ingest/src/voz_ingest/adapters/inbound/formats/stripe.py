"""What Stripe's objects have in common: events, people, amounts, plans, and how things were before a change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from voz_ingest.adapters.inbound.formats import ids, money, people, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields

_NO_DECIMALS = money.NO_DECIMALS - {"ISK", "UGX"} | {"MGA"}  # for Stripe, where it differs from ISO 4217
_MONTHS = {"day": 12 / 365, "week": 12 / 52, "month": 1.0, "year": 12.0}
_MAX_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Event:
    """One event: what it tells of, how that was before, when."""

    type: str
    thing: Fields
    before: Fields
    created: str

    def tell(self, number: str, what: Fields, about: Fields, *, at: Any = None) -> Fields:
        """The plain form. `at`: when it happened, seconds, if not when Stripe made the event."""
        moment = times.seconds(at) or times.seconds(self.created)
        return {
            "id": number,
            "source": "stripe",
            "channel": "web",
            "customer": customer_of(self.thing),
            **walk.some(occurred_at=moment, attributes=about),
            **what,
        }


def order_id(thing: Fields, otherwise: str) -> str:
    """The company's own number of the order, where it gave one."""
    names = ("order_id", "orderId", "order_number")
    given = [walk.identifier(thing, "metadata", name) for name in names]
    given.append(walk.identifier(thing, "client_reference_id"))
    return next(filter(None, given), otherwise)[:255]


def worth(amount: Any, thing: Fields) -> Fields:
    """`amount` and `currency` of an amount in the minor units of what it belongs to."""
    currency = walk.string(thing, "currency").upper()
    digits = 0 if currency in _NO_DECIMALS else 3 if currency in money.THREE_DECIMALS else 2
    return money.minor_worth(amount, currency, digits)


def id_of(value: Any) -> str:
    """An id, or that of the object that was expanded in its place."""
    return walk.identifier(value, "id") if isinstance(value, dict) else walk.identifier(value)


def customer_of(thing: Fields) -> Fields:
    """Stripe's customer; else the address that was given, else the payment, by which they can be joined later."""
    known = thing if walk.string(thing, "object") == "customer" else walk.fields(thing, "customer")
    number = walk.identifier(known, "id") or id_of(thing.get("customer"))
    given = [walk.fields(thing, name) for name in ("customer_details", "billing_details")]
    given.append(walk.fields(thing, "charges", "data", 0, "billing_details") or walk.fields(thing, "evidence"))
    emails = [walk.string(each, "email") or walk.string(each, "customer_email_address") for each in (known, *given)]
    emails += [walk.string(thing, name) for name in ("customer_email", "receipt_email")]
    names = [walk.string(each, "name") or walk.string(each, "customer_name") for each in (known, *given)]
    names.append(walk.string(thing, "customer_name"))
    email = next(filter(None, emails), "")[:255]
    name = people.full_name(next(filter(None, names), ""))
    who = walk.some(id=ids.compose(number), handle=email)
    if not who:
        payment = id_of(thing.get("payment_intent")) or id_of(thing.get("charge")) or walk.identifier(thing, "id")
        who = walk.some(handle=ids.compose(payment)) or people.NOBODY
    return {**who, **walk.some(name=name)}


# Plans


def plan_of(subscription: Fields) -> str:
    """The name of what is subscribed to, else its id; of several, the first."""
    item = walk.at(subscription, "items", "data", 0)
    prices = (walk.fields(item, "price"), walk.fields(item, "plan"), walk.fields(subscription, "plan"))
    for name in ("nickname", "lookup_key", "id"):
        for price in prices:
            found = walk.string(price, name)
            if found:
                return found[:255]
    return ""


def items(now: Fields, then: Fields, before: Fields) -> Iterator[list[Fields]]:
    """What is subscribed to, now and before; versions of old may tell only the plan and the quantity."""
    whole = "items" in before or not before.keys() & {"plan", "quantity"}
    for each in (now, then):
        found = [*walk.objects(each, "items", "data")] if whole else []
        yield found or [{"plan": each.get("plan"), "quantity": each.get("quantity")}]


def monthly(subscribed: list[Fields]) -> float | None:
    """What it costs a month, minor units; None where the price isn't a plain one."""
    total = 0.0
    for item in subscribed:
        price = walk.fields(item, "price") or walk.fields(item, "plan")
        found = [
            walk.number(price, name) for name in ("unit_amount", "unit_amount_decimal", "amount", "amount_decimal")
        ]
        amount = next((each for each in found if each is not None), None)
        every = walk.fields(price, "recurring") or price
        months = _MONTHS.get(walk.string(every, "interval"), 0.0) * (walk.count(every, "interval_count") or 1)
        if amount is None or not months:
            return None
        quantity = walk.number(item, "quantity")
        total += amount * (1 if quantity is None else quantity) / months
    return total


def merged(now: Any, before: Any, depth: int = 0) -> Any:
    """What stood there before: `previous_attributes` hold what changed only."""
    deeper = depth + 1
    if depth < _MAX_DEPTH and isinstance(now, dict) and isinstance(before, dict):
        return {**now, **{name: merged(now.get(name), value, deeper) for name, value in before.items()}}
    if depth < _MAX_DEPTH and isinstance(now, list) and isinstance(before, list):
        return [merged(now[index] if index < len(now) else None, value, deeper) for index, value in enumerate(before)]
    return before
