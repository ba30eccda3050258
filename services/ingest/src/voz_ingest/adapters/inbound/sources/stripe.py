"""Stripe: payments, refunds, disputes, subscriptions and their invoices, customers.

https://docs.stripe.com/api/events/types
https://docs.stripe.com/webhooks (signatures)
https://docs.stripe.com/currencies (minor units)
https://docs.stripe.com/billing/subscriptions/webhooks

One payment is told by up to four objects: it is named by its payment intent, `<pi>:paid`, so that it counts once. One
refund is told of itself and of its charge, which since 2022 no longer says which refund it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from voz_ingest.adapters.inbound.formats import ids, signatures, walk
from voz_ingest.adapters.inbound.formats.drafts import attributes, once
from voz_ingest.adapters.inbound.formats.labels import labels
from voz_ingest.adapters.inbound.formats.stripe import Event, id_of, items, merged, monthly, order_id, plan_of, worth
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, decode_object
from voz_ingest.domain.draft import Draft

_UNPAID = frozenset({"incomplete", "incomplete_expired"})
_OVER = frozenset({"canceled", "incomplete_expired"})
_NO_REFUND = frozenset({"failed", "canceled"})


def parse(payload: Payload) -> list[Draft]:
    """Events of one event, or of a list of them as the API answers. Thin events (v2) say nothing."""
    document = decode_object(payload)
    events = [*walk.objects(document, "data")] if document.get("object") == "list" else [document]
    return once(told for event in events for told in _told(event) if told["id"])


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether one of the `v1` signatures of `Stripe-Signature` is by one of the secrets, within five minutes."""
    parts = [part.strip().partition("=") for part in payload.headers.get("stripe-signature", "").split(",")]
    sent_at = next((value for name, _, value in parts if name == "t"), "")
    given = [value for name, _, value in parts if name == "v1"]
    signed = sent_at.encode(errors="replace") + b"." + payload.body
    expected = [signatures.hex_hmac(secret, signed) for secret in secrets]
    return signatures.is_recent(walk.number(sent_at), payload.received_at) and signatures.matches(given, expected)


def _told(document: Fields) -> Iterator[Fields]:
    event = Event(
        type=walk.string(document, "type"),
        thing=walk.fields(document, "data", "object"),
        before=walk.fields(document, "data", "previous_attributes"),
        created=walk.identifier(document, "created"),
    )
    tell = _TYPES.get(event.type)
    if tell and event.thing:
        yield from tell(event)


# Payments


def _payment(event: Event) -> Iterator[Fields]:
    """A payment intent, or a charge, that succeeded."""
    thing = event.thing
    if event.type == "charge.succeeded" and thing.get("captured") is False:
        return  # only reserved
    intent = id_of(thing.get("payment_intent")) or walk.identifier(thing, "id")
    amount = next((thing[name] for name in ("amount_received", "amount_captured", "amount") if thing.get(name)), None)
    yield event.tell(
        ids.compose(intent, "paid"),
        {"transaction": walk.some(type="order_paid", **worth(amount, thing), order_id=order_id(thing, intent))},
        attributes(description=walk.string(thing, "description"), payment=intent, invoice=id_of(thing.get("invoice"))),
    )


def _checkout(event: Event) -> Iterator[Fields]:
    """A checkout that was completed: paid now, later, or by a subscription, which tells itself."""
    session = event.thing
    intent = id_of(session.get("payment_intent"))
    number = intent or walk.identifier(session, "id")
    if walk.string(session, "mode") in ("subscription", "setup"):
        return
    paid = walk.string(session, "payment_status") != "unpaid" or event.type.endswith("async_payment_succeeded")
    yield event.tell(
        ids.compose(number, "paid" if paid else "placed"),
        {
            "transaction": walk.some(
                type="order_paid" if paid else "order_placed",
                **worth(session.get("amount_total"), session),
                order_id=order_id(session, number),
            )
        },
        attributes(payment=intent, locale=walk.string(session, "locale")),
    )


def _abandoned(event: Event) -> Iterator[Fields]:
    number = walk.identifier(event.thing, "id")
    about = attributes(**worth(event.thing.get("amount_total"), event.thing))
    yield event.tell(ids.compose(number, "abandoned"), {"behaviour": {"type": "checkout_abandoned"}}, about)


def _invoice(event: Event) -> Iterator[Fields]:
    """An invoice that was paid: a subscription goes on. Any other is a payment, named by its payment intent (older
    versions tell it) if it wasn't paid beside Stripe; where neither is known, the intent tells it itself."""
    invoice = event.thing
    number, subscription = walk.identifier(invoice, "id"), _subscription_of(invoice)
    paid_at = walk.at(invoice, "status_transitions", "paid_at")
    if walk.string(invoice, "billing_reason") == "subscription_cycle" and subscription:
        what = {"subscription": walk.some(status="renewed", plan=_plan_of_invoice(invoice))}
        about = attributes(subscription=subscription, invoice=number, **worth(invoice.get("amount_paid"), invoice))
        yield event.tell(ids.compose(subscription, "renewed", number), what, about, at=paid_at)
        return
    intent = id_of(invoice.get("payment_intent")) or (number if invoice.get("paid_out_of_band") is True else "")
    amount = next((invoice[name] for name in ("amount_paid", "amount_due") if walk.count(invoice, name)), 0)
    if intent and amount:
        order = order_id(invoice, intent)
        what = {"transaction": walk.some(type="order_paid", **worth(amount, invoice), order_id=order)}
        yield event.tell(ids.compose(intent, "paid"), what, attributes(payment=intent, invoice=number), at=paid_at)


def _unpaid(event: Event) -> Iterator[Fields]:
    invoice = event.thing
    number, attempt = walk.identifier(invoice, "id"), walk.count(invoice, "attempt_count")
    about = attributes(
        invoice=number,
        attempt=attempt,
        subscription=_subscription_of(invoice),
        **worth(invoice.get("amount_due"), invoice),
    )
    what = {"behaviour": {"type": "payment_failed"}}
    yield event.tell(ids.compose(number, "payment_failed", str(attempt)), what, about)


# Money back


def _charge_refunded(event: Event) -> Iterator[Fields]:
    """A refund, told of its charge: the newest of its list; without one, since the end of 2022, what was given back
    since the event before (`amount_refunded` is the sum of all refunds)."""
    charge = event.thing
    newest = max(walk.objects(charge, "refunds", "data"), key=lambda each: walk.count(each, "created"), default={})
    total = walk.count(charge, "amount_refunded")
    given = total - walk.count(event.before, "amount_refunded")
    if newest:
        yield from _refunded(event, newest)
    elif given > 0:
        yield _refund(event, ids.compose(walk.identifier(charge, "id"), "refund", str(total)), {"amount": given})


def _refund_changed(event: Event) -> Iterator[Fields]:
    yield from _refunded(event, event.thing)


def _refunded(event: Event, refund: Fields) -> Iterator[Fields]:
    """A refund by itself. It may have failed, now or after it had seemed to succeed: then nothing was given back."""
    status, number = walk.string(refund, "status"), walk.identifier(refund, "id")
    if status in _NO_REFUND or event.type == "refund.failed":
        about = attributes(
            payment=id_of(event.thing.get("payment_intent")),
            reason=walk.string(refund, "failure_reason") or status,
            **worth(refund.get("amount"), event.thing),
        )
        yield event.tell(ids.compose(number, "refund_failed"), {"behaviour": {"type": "refund_failed"}}, about)
    elif status != "requires_action":  # also when only something of it changed: it is the same event
        yield _refund(event, ids.compose(number, "refund"), refund)


def _refund(event: Event, number: str, refund: Fields) -> Fields:
    thing = event.thing
    intent = id_of(thing.get("payment_intent"))
    whole = intent or id_of(refund.get("charge")) or walk.identifier(thing, "id")
    order = order_id(refund, "") or order_id(thing, whole)
    return event.tell(
        number,
        {"transaction": walk.some(type="refund", **worth(refund.get("amount"), thing), order_id=order)},
        attributes(payment=intent, reason=walk.string(refund, "reason")),
        at=walk.count(refund, "created") or None,
    )


def _dispute(event: Event) -> Iterator[Fields]:
    dispute = event.thing
    about = attributes(
        payment=id_of(dispute.get("payment_intent")) or id_of(dispute.get("charge")),
        reason=walk.string(dispute, "reason"),
        **worth(dispute.get("amount"), dispute),
    )
    number = ids.compose(walk.identifier(dispute, "id"), "disputed")
    yield event.tell(number, {"behaviour": {"type": "payment_disputed"}}, about, at=dispute.get("created"))


# Subscriptions


def _started(event: Event) -> Iterator[Fields]:
    if walk.string(event.thing, "status") not in _UNPAID:
        yield _lifecycle(event, "started", at=event.thing.get("created"))


def _changed(event: Event) -> Iterator[Fields]:
    """What an update changed: its first payment came, it will end, it won't after all, it costs more or less."""
    now = event.thing
    then = merged(now, event.before)
    if walk.string(now, "status") in _OVER:
        return  # `deleted` tells it
    if walk.string(then, "status") == "incomplete" and walk.string(now, "status") not in _UNPAID:
        yield _lifecycle(event, "started")
    if _is_ending(now) and not (event.before and _is_ending(then)):  # where no change is told, what is so counts
        at = walk.identifier(now, "canceled_at") or event.created
        yield _lifecycle(event, "cancelled", version=at, at=at) | _words(event)
    elif _is_ending(then) and not _is_ending(now):
        yield _lifecycle(event, "renewed", version=f"resumed:{event.created}", reason="resumed")
    elif _words(event) and "comment" in walk.fields(event.before, "cancellation_details"):
        yield _comment(event)
    if walk.string(now, "status") == "paused" != walk.string(then, "status"):
        yield from _paused(event)
    costs, cost = map(monthly, items(now, then, event.before))
    if costs is not None and cost is not None and costs != cost:
        yield _lifecycle(event, "upgraded" if costs > cost else "downgraded", version=event.created)


def _is_ending(subscription: Fields) -> bool:
    return bool(subscription.get("cancel_at_period_end") or subscription.get("cancel_at"))


def _ended(event: Event) -> Iterator[Fields]:
    subscription = event.thing
    ended, cancelled = walk.count(subscription, "ended_at"), walk.count(subscription, "canceled_at")
    words = _words(event) if not ended or ended == cancelled else {}  # else they were told when it was cancelled
    yield _lifecycle(event, "ended", at=subscription.get("ended_at")) | words


def _paused(event: Event) -> Iterator[Fields]:
    number = walk.identifier(event.thing, "id")
    what = {"behaviour": {"type": "subscription_paused"}}
    yield event.tell(ids.compose(number, "paused", event.created or "0"), what, attributes(subscription=number))


def _lifecycle(event: Event, status: str, *, version: str = "", at: Any = None, reason: str = "") -> Fields:
    subscription = event.thing
    number = walk.identifier(subscription, "id")
    details = walk.fields(subscription, "cancellation_details") if status in ("cancelled", "ended") else {}
    about = attributes(
        subscription=number,
        reason=reason or walk.string(details, "reason"),
        feedback=walk.string(details, "feedback"),
        trial=True if status == "started" and walk.string(subscription, "status") == "trialing" else None,
    )
    name = ids.compose(number, status, version) if version else ids.compose(number, status)
    return event.tell(name, {"subscription": walk.some(status=status, plan=plan_of(subscription))}, about, at=at)


def _comment(event: Event) -> Fields:
    """What somebody who had cancelled says afterwards: the customer portal asks then."""
    number = walk.identifier(event.thing, "id")
    details = walk.fields(event.thing, "cancellation_details")
    about = attributes(subscription=number, feedback=walk.string(details, "feedback"))
    return event.tell(ids.compose(number, "comment", event.created or "0"), _words(event), about)


def _words(event: Event) -> Fields:
    """Why they left, in their own words."""
    return walk.some(text=walk.string(event.thing, "cancellation_details", "comment"))


def _plan_of_invoice(invoice: Fields) -> str:
    line = walk.at(invoice, "lines", "data", -1)
    price = walk.fields(line, "price") or walk.fields(line, "plan")
    names = (walk.string(price, "nickname"), walk.string(price, "lookup_key"), walk.string(price, "id"))
    return next(filter(None, names), id_of(walk.at(line, "pricing", "price_details", "price")))[:255]


def _subscription_of(invoice: Fields) -> str:
    """Where an invoice names its subscription: since 2025 it is its parent."""
    found = invoice.get("subscription") or walk.at(invoice, "parent", "subscription_details", "subscription")
    return id_of(found)


# People


def _profile(event: Event) -> Iterator[Fields]:
    customer = event.thing
    number = walk.identifier(customer, "id")
    profile = walk.some(
        **{"id.email": walk.string(customer, "email")[:255]},
        country=walk.string(customer, "address", "country"),
        locale=", ".join(walk.strings(customer, "preferred_locales"))[:1000],
        currency=walk.string(customer, "currency").upper(),
        delinquent=customer.get("delinquent") if isinstance(customer.get("delinquent"), bool) else None,
        **{f"metadata_{name}"[:64]: value for name, value in labels(customer.get("metadata")).items()},
    )
    if profile and number:
        yield event.tell(ids.compose(number, event.created or ids.digest(repr(profile))), {"profile": profile}, {})


_TYPES: dict[str, Callable[[Event], Iterator[Fields]]] = {
    "payment_intent.succeeded": _payment,
    "charge.succeeded": _payment,
    "charge.captured": _payment,
    "checkout.session.completed": _checkout,
    "checkout.session.async_payment_succeeded": _checkout,
    "checkout.session.expired": _abandoned,
    "invoice.paid": _invoice,
    "invoice.payment_succeeded": _invoice,
    "invoice.payment_failed": _unpaid,
    "charge.refunded": _charge_refunded,
    "charge.refund.updated": _refund_changed,
    "refund.created": _refund_changed,
    "refund.updated": _refund_changed,
    "refund.failed": _refund_changed,
    "charge.dispute.created": _dispute,
    "customer.subscription.created": _started,
    "customer.subscription.updated": _changed,
    "customer.subscription.deleted": _ended,
    "customer.subscription.paused": _paused,
    "customer.created": _profile,
    "customer.updated": _profile,
}
"""What isn't here is no event: announcements, drafts, payouts."""
