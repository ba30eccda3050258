"""Shopify: orders, refunds, returns, deliveries, carts and checkouts, customers.

https://shopify.dev/docs/api/webhooks
https://shopify.dev/docs/apps/build/webhooks/subscribe/https
https://shopify.dev/docs/api/admin-rest/latest/resources/order
https://shopify.dev/docs/api/admin-rest/latest/resources/refund

One order arrives under many topics: what happened to it is named by the order and what it is (`order:<id>:paid`), so
that it counts once. Refunds, deliveries and carts name no customer: they are told of `order:<id>` or `cart:<token>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from voz_ingest.adapters.inbound.formats import ids, money, people, signatures, times, walk
from voz_ingest.adapters.inbound.formats.drafts import attributes, once
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, decode_object
from voz_ingest.domain.draft import Draft

_MAX_TITLES = 20
_RESTOCKED = frozenset({"return", "legacy_restock"})


@dataclass(frozen=True, slots=True)
class _Delivery:
    """What the headers say."""

    topic: str
    store: str
    triggered_at: str | None
    """When it happened, where Shopify says so."""

    @classmethod
    def of(cls, headers: Mapping[str, str], document: Fields) -> _Delivery:
        return cls(
            topic=headers.get("x-shopify-topic", "").strip().lower() or _topic(document),
            store=headers.get("x-shopify-shop-domain", "").strip(),
            triggered_at=times.iso(headers.get("x-shopify-triggered-at")),
        )


def parse(payload: Payload) -> list[Draft]:
    """Events of one notification; without its topic's header the shape says which it is."""
    document = decode_object(payload)
    delivery = _Delivery.of(payload.headers, document)
    tell = _TOPICS.get(delivery.topic)
    event = tell(document, delivery) if tell else {}
    return once([event] if event.get("id") else [])


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether `X-Shopify-Hmac-Sha256` is that of the bytes received."""
    given = payload.headers.get("x-shopify-hmac-sha256", "").strip()
    return signatures.matches([given], [signatures.base64_hmac(secret, payload.body) for secret in secrets])


def _topic(document: Fields) -> str:
    """The topic that a payload of this shape has."""
    if "refund_line_items" in document:
        return "refunds/create"
    if "shipment_status" in document or "tracking_number" in document:
        return "fulfillments/update"
    if "financial_status" in document or "order_number" in document:
        return "orders/cancelled" if document.get("cancelled_at") else "orders/create"
    if "abandoned_checkout_url" in document:
        return "checkouts/create"
    if "verified_email" in document:
        return "customers/update"
    return "carts/update" if "line_items" in document and "token" in document else ""


# Orders


def _placed(order: Fields, delivery: _Delivery) -> Fields:
    event = _order(order, delivery, "placed", "order_placed", times.iso(order.get("created_at")))
    # A note is the customer's in the web shop; elsewhere it may be the staff's.
    note = walk.string(order, "note") if walk.string(order, "source_name") == "web" else ""
    return event | walk.some(text=note)


def _paid(order: Fields, delivery: _Delivery) -> Fields:
    moment = delivery.triggered_at or times.iso(order.get("processed_at")) or times.iso(order.get("updated_at"))
    return _order(order, delivery, "paid", "order_paid", moment)


def _fulfilled(order: Fields, delivery: _Delivery) -> Fields:
    """Sent, which isn't delivered: unless the parcels say so, or it was handed over in a store."""
    parcels = [*walk.objects(order, "fulfillments")]
    moment = delivery.triggered_at or times.iso(order.get("updated_at"))
    delivered = bool(parcels) and all(walk.string(parcel, "shipment_status") == "delivered" for parcel in parcels)
    if delivered or _is_store(order):
        return _order(order, delivery, "delivered", "order_delivered", moment)
    return _about_order(order, delivery, "shipped", moment) | {"behaviour": {"type": "order_shipped"}}


def _cancelled(order: Fields, delivery: _Delivery) -> Fields:
    moment = times.iso(order.get("cancelled_at")) or delivery.triggered_at
    event = _about_order(order, delivery, "cancelled", moment)
    reason = attributes(reason=walk.string(order, "cancel_reason"))
    return event | {"behaviour": {"type": "order_cancelled"}, "attributes": event["attributes"] | reason}


def _order(order: Fields, delivery: _Delivery, what: str, kind: str, moment: str | None) -> Fields:
    total = money.worth(order.get("total_price"), order.get("currency"))
    transaction = walk.some(type=kind, **total, order_id=walk.identifier(order, "id")[:255])
    return _about_order(order, delivery, what, moment) | {"transaction": transaction}


def _about_order(order: Fields, delivery: _Delivery, what: str, moment: str | None) -> Fields:
    number = walk.identifier(order, "id")
    where = walk.string(order, "shipping_address", "country_code")
    return _event(
        ids.compose("order", number, what),
        delivery,
        _customer(order, ids.compose("order", number)),
        moment,
        channel="store" if _is_store(order) else "web",
        about=attributes(
            order_id=number,
            order_name=walk.identifier(order, "name"),
            product=_titles(order.get("line_items")),
            country=where or walk.string(order, "billing_address", "country_code"),
            source=walk.string(order, "source_name"),
            cart=walk.identifier(order, "cart_token"),
            checkout=walk.identifier(order, "checkout_token"),
            test=True if order.get("test") is True else None,
        ),
    )


def _is_store(order: Fields) -> bool:
    return walk.string(order, "source_name") == "pos"


# What follows an order


def _refund(refund: Fields, delivery: _Delivery) -> Fields:
    """Money given back; goods given back without any are a return. A payment that failed gave nothing back, and neither
    did one that was only reserved, nor goods that never left."""
    order = walk.identifier(refund, "order_id")
    transactions = [*walk.objects(refund, "transactions")]
    payments = [each for each in transactions if walk.string(each, "kind") in ("refund", "")]
    good = [each for each in payments if walk.string(each, "status") in ("success", "pending", "")]
    items = [*walk.objects(refund, "refund_line_items")]
    restocked = {walk.string(item, "restock_type") for item in items}
    if (transactions and not good) or (not transactions and restocked == {"cancel"}):
        return {}
    number, kind = ids.compose("refund", walk.identifier(refund, "id")), "refund"
    paid = _sum([(each.get("amount"), each.get("currency")) for each in good])
    if not good:
        paid = _sum([part for item in items for part in _line(item)])
    if not good and items and restocked <= _RESTOCKED:
        number, kind = ids.compose("return", walk.identifier(refund, "return", "id")) or number, "return"
    return _event(
        number,
        delivery,
        {"handle": ids.compose("order", order)} if order else people.NOBODY,
        times.iso(refund.get("processed_at")) or times.iso(refund.get("created_at")),
        channel="store" if any(walk.string(each, "source_name") == "pos" for each in transactions) else "web",
        about=attributes(
            order_id=order,
            product=_titles([item.get("line_item") for item in items]),
            reason=walk.string(refund, "note"),
        ),
    ) | {"transaction": walk.some(type=kind, **paid, order_id=order[:255])}


def _line(item: Fields) -> list[tuple[Any, Any]]:
    currency = walk.string(item, "subtotal_set", "shop_money", "currency_code")
    return [(item.get("subtotal"), currency), (item.get("total_tax"), currency)]


def _sum(parts: list[tuple[Any, Any]]) -> Fields:
    """Several amounts as one, where all are in one currency."""
    amounts = [amount for value, _ in parts if (amount := money.decimal(value)) is not None]
    currencies = {walk.string(currency) for _, currency in parts}
    total = sum(amounts, Decimal())
    return money.worth(str(total), currencies.pop()) if len(currencies) == 1 and total else {}


def _return(document: Fields, delivery: _Delivery) -> Fields:
    order = walk.identifier(document, "order", "id") or walk.identifier(document, "order_id")
    event = _event(
        ids.compose("return", walk.identifier(document, "id")),
        delivery,
        {"handle": ids.compose("order", order)} if order else people.NOBODY,
        delivery.triggered_at,
        about=attributes(order_id=order, return_name=walk.string(document, "name")),
    )
    return event | {"transaction": walk.some(type="return", order_id=order[:255])}


def _delivered(parcel: Fields, delivery: _Delivery) -> Fields:
    """A parcel that arrived, told as the parcel's state or as an event of it (`fulfillment_events/create`)."""
    order = walk.identifier(parcel, "order_id")
    happened = "happened_at" in parcel
    state = walk.string(parcel, "status") if happened else walk.string(parcel, "shipment_status")
    if state != "delivered" or not order:
        return {}
    moment = times.iso(parcel.get("happened_at" if happened else "updated_at")) or delivery.triggered_at
    return _event(
        ids.compose("order", order, "delivered"),
        delivery,
        _customer(parcel, ids.compose("order", order)),
        moment,
        about=attributes(
            order_id=order,
            product=_titles(parcel.get("line_items")),
            country=walk.string(parcel, "destination", "country_code"),
            carrier=walk.string(parcel, "tracking_company"),
        ),
    ) | {"transaction": {"type": "order_delivered", "order_id": order[:255]}}


# What comes before it


def _checkout(checkout: Fields, delivery: _Delivery) -> Fields:
    token = walk.identifier(checkout, "token")
    total = money.worth(checkout.get("total_price"), checkout.get("currency"))
    return _event(
        ids.compose("checkout", token or walk.identifier(checkout, "id"), "started"),
        delivery,
        _customer(checkout, ids.compose("checkout", token or walk.identifier(checkout, "id"))),
        times.iso(checkout.get("created_at")),
        about=attributes(
            product=_titles(checkout.get("line_items")),
            checkout=token,
            cart=walk.identifier(checkout, "cart_token"),
            **total,
        ),
    ) | {"behaviour": {"type": "checkout_started"}}


def _cart(cart: Fields, delivery: _Delivery) -> Fields:
    token = walk.identifier(cart, "token") or walk.identifier(cart, "id")
    moment = times.iso(cart.get("updated_at")) or times.iso(cart.get("created_at")) or delivery.triggered_at
    items = [*walk.objects(cart, "line_items")]
    return _event(
        ids.compose("cart", token, moment or ids.digest(_titles(items))),
        delivery,
        {"handle": ids.compose("cart", token)},
        moment,
        about=attributes(product=_titles(items), cart=token),
    ) | {"behaviour": {"type": "cart_updated" if items else "cart_emptied"}}


# Who it is


def _profile(customer: Fields, delivery: _Delivery) -> Fields:
    """The shop's customer; an address that they confirmed says who the same person is elsewhere."""
    number = walk.identifier(customer, "id")
    email = walk.string(customer, "email") if walk.flag(customer, "verified_email") else ""
    address = walk.fields(customer, "default_address")
    moment = times.iso(customer.get("updated_at")) or delivery.triggered_at
    known = attributes(
        state=walk.string(customer, "state"),
        tags=walk.string(customer, "tags"),
        country=walk.string(address, "country_code"),
        locale=walk.string(customer, "locale"),
        orders_count=customer.get("orders_count") if walk.count(customer, "orders_count") else None,
        total_spent=walk.identifier(customer, "total_spent"),
        currency=walk.string(customer, "currency"),
    )
    profile = walk.some(**{"id.email": email[:255]}, **known)
    if not number or not profile:
        return {}
    version = moment or ids.digest(repr(sorted(profile.items())))
    who = _customer({"customer": customer}, "")
    event = _event(ids.compose("customer", number, version), delivery, who, moment, about={})
    return event | {"profile": profile}


def _customer(document: Fields, otherwise: str) -> Fields:
    """The shop's customer, else the address that was given, else what the order is called."""
    customer = walk.fields(document, "customer")
    email = walk.string(document, "email") or walk.string(document, "contact_email") or walk.string(customer, "email")
    parts = [walk.string(customer, name) for name in ("first_name", "last_name")]
    found = walk.some(
        id=walk.identifier(customer, "id"), handle=(email or walk.string(document, "phone"))[:255]
    ) or walk.some(handle=otherwise)
    return {**(found or people.NOBODY), **walk.some(name=people.full_name(*parts))}


def _event(
    number: str,
    delivery: _Delivery,
    customer: Fields,
    moment: str | None,
    *,
    about: Fields,
    channel: str = "web",
) -> Fields:
    return {
        "id": number,
        "source": "shopify",
        "channel": channel,
        "customer": customer,
        **walk.some(occurred_at=moment, attributes={**about, **attributes(store=delivery.store)}),
    }


def _titles(items: Any) -> str:
    titles = [walk.string(item, "title") or walk.string(item, "name") for item in walk.objects(items)]
    return ", ".join(dict.fromkeys(filter(None, titles[:_MAX_TITLES])))


_TOPICS: dict[str, Callable[[Fields, _Delivery], Fields]] = {
    "orders/create": _placed,
    "orders/paid": _paid,
    "orders/fulfilled": _fulfilled,
    "orders/cancelled": _cancelled,
    "refunds/create": _refund,
    "returns/approve": _return,
    "returns/close": _return,
    "fulfillments/create": _delivered,
    "fulfillments/update": _delivered,
    "fulfillment_events/create": _delivered,
    "checkouts/create": _checkout,
    "carts/create": _cart,
    "carts/update": _cart,
    "customers/create": _profile,
    "customers/update": _profile,
    "customers/enable": _profile,
}
"""What isn't here is no event: changes of an order whose meaning has a topic of its own, and requests about data."""
