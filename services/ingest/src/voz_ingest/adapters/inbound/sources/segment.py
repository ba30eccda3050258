"""Segment: what people do, who they are and what they buy (the webhook destinations), single or in batches.

https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook
https://www.twilio.com/docs/segment/connections/spec
https://www.twilio.com/docs/segment/connections/spec/ecommerce/v2

Of a batch only the first event is signed: what stands behind it proves nothing by itself (`secret_for_batches`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from voz_ingest.adapters.inbound.formats import ids, money, people, signatures, times, walk
from voz_ingest.adapters.inbound.formats.drafts import attributes, once
from voz_ingest.adapters.inbound.formats.labels import labels
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode
from voz_ingest.domain.draft import Draft

CUSTOMER_IDS = "company"

_TRANSACTIONS = {
    "order_completed": "order_placed",
    "order_placed": "order_placed",
    "order_paid": "order_paid",
    "order_delivered": "order_delivered",
    "order_refunded": "refund",
    "order_returned": "return",
}
_BEHAVIOURS = {"products_searched": "search", "product_searched": "search", "form_abandonment": "form_abandoned"}
_APP_LIBRARIES = ("ios", "android", "swift", "kotlin", "react-native", "flutter", "unity", "xamarin")
_OWN_TRAITS = frozenset({"email", "phone", "name", "firstName", "lastName", "first_name", "last_name", "avatar", "id"})
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"\W+")


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw]


def parse(payload: Payload) -> list[Draft]:
    """Events of one call, of an array of them, or of a `batch`."""
    document = decode(payload.body)
    if isinstance(document, dict):
        calls = [*walk.objects(document, "batch")] if "batch" in document else [document]
    elif isinstance(document, list):
        calls = [*walk.objects(document)]
    else:
        raise PayloadError("", "must be a JSON object or an array of them")
    return once(event for event in map(_event, calls) if event)


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether `x-signature` is that of the body or, for a batch, of the first event in it, as it stands there."""
    first = _first(payload.body)
    if first and walk.flag(payload.options, "secret_for_batches") and not signatures.secret_in_url(payload, secrets):
        return False
    signed = [payload.body, first] if first else [payload.body]
    expected = [signatures.hex_hmac(secret, part, "sha1") for secret in secrets for part in signed]
    return signatures.matches([payload.headers.get("x-signature", "").strip().lower()], expected)


def _first(body: bytes) -> bytes:
    """The bytes of a batch's first event; none where the body is no batch."""
    try:
        events = (
            msgspec.json.decode(body, type=list[msgspec.Raw])
            if body.lstrip().startswith(b"[")
            else msgspec.json.decode(body, type=_Batch).batch
        )
    except (msgspec.DecodeError, RecursionError):
        return b""
    return bytes(events[0]) if events else b""


def _event(call: Fields) -> Fields | None:
    kind = walk.string(call, "type").lower()
    customer = _customer(call)
    if not customer:
        return None
    what = _WHAT[kind](call, customer) if kind in _WHAT else {}
    if not what:
        return None
    moment = times.iso(call.get("timestamp")) or times.iso(call.get("originalTimestamp"))
    common = {
        "id": ids.compose(_message_id(call, kind)),
        "source": "segment",
        "channel": _channel(call, kind),
        "customer": customer,
    }
    return {**common, **walk.some(occurred_at=moment), **what}


def _customer(call: Fields) -> Fields:
    """The company's own id of them; without one a visitor, known by the browser's or the phone's id only."""
    traits = walk.fields(call, "traits") or walk.fields(call, "context", "traits")
    if walk.string(call, "type") == "group":
        traits = walk.fields(call, "context", "traits")
    parts = [walk.string(traits, name) for name in ("firstName", "lastName")]
    name = walk.string(traits, "name") or " ".join(filter(None, parts))
    who = walk.some(
        id=walk.identifier(call, "userId")[:255],
        handle=(walk.identifier(call, "anonymousId") or walk.identifier(call, "previousId"))[:255],
    )
    return {**who, **walk.some(name=people.full_name(name))} if who else {}


def _message_id(call: Fields, kind: str) -> str:
    who = walk.identifier(call, "userId") or walk.identifier(call, "anonymousId")
    parts = (kind, who, walk.string(call, "event"), walk.string(call, "timestamp"), walk.string(call, "name"))
    return walk.identifier(call, "messageId") or ids.digest(*parts)


def _channel(call: Fields, kind: str) -> str:
    library = walk.string(call, "context", "library", "name").lower()
    device = walk.string(call, "context", "device", "type").lower()
    mobile = walk.string(call, "channel") == "mobile" or device in ("ios", "android")
    return "app" if mobile or kind == "screen" or any(name in library for name in _APP_LIBRARIES) else "web"


def _page(call: Fields, _: Fields) -> Fields:
    return _behaviour("page_view", call, attributes(title=walk.string(call, "properties", "title") or _name(call)))


def _screen(call: Fields, _: Fields) -> Fields:
    return _behaviour("screen_view", call, attributes(screen=_name(call)))


def _track(call: Fields, _: Fields) -> Fields:
    said = walk.string(call, "event")
    name = _snake(said)
    if not name:
        return {}
    properties = walk.fields(call, "properties")
    products = [walk.string(product, "name") for product in walk.objects(properties, "products")]
    known = attributes(product=", ".join(filter(None, products)) or walk.string(properties, "name"))
    if name in _TRANSACTIONS:
        return _transaction(_TRANSACTIONS[name], properties, known | _campaign(call))
    review = walk.string(properties, "review_body")
    if name == "product_reviewed" and review:
        rating = walk.identifier(properties, "rating") or walk.number(properties, "rating")
        product = known.get("product") or walk.identifier(properties, "product_id")
        return {"channel": "review", "text": review, "attributes": attributes(product=product, rating=rating)}
    about = attributes(event=said, query=walk.string(properties, "query"), order_id=_order_id(properties))
    return _behaviour(_BEHAVIOURS.get(name, name), call, known | about)


def _transaction(what: str, properties: Fields, about: Fields) -> Fields:
    amounts = (properties.get(name) for name in ("total", "revenue", "value"))
    amount = next((amount for amount in amounts if money.decimal(amount) is not None), None)
    paid = money.worth(amount, properties.get("currency") or "USD")  # which the specification assumes
    about = about | attributes(coupon=walk.string(properties, "coupon"))
    transaction = walk.some(type=what, order_id=_order_id(properties), **paid)
    return {"transaction": transaction, **walk.some(attributes=about)}


def _identify(call: Fields, customer: Fields) -> Fields:
    """Who somebody is: their traits, and the ids by which the same person may be known elsewhere."""
    traits = walk.fields(call, "traits")
    both = "id" in customer and walk.identifier(call, "anonymousId")
    profile = walk.some(
        **{"id.email": walk.string(traits, "email")[:255], "id.segment": both[:255] if both else None},
        **labels(traits, without=_OWN_TRAITS),
    )
    return {"profile": profile} if profile else {}


def _group(call: Fields, _: Fields) -> Fields:
    group = walk.identifier(call, "groupId")[:255]
    traits = labels(call.get("traits"), without=frozenset({"email", "phone"}))
    return {"profile": {"group": group, **{f"group_{name}"[:64]: value for name, value in traits.items()}}}


def _alias(call: Fields, customer: Fields) -> Fields:
    """Two ids of one person."""
    previous = walk.identifier(call, "previousId")[:255]
    return {"profile": {"id.segment": previous}} if previous and "id" in customer else {}


_WHAT = {"page": _page, "screen": _screen, "track": _track, "identify": _identify, "group": _group, "alias": _alias}


def _behaviour(what: str, call: Fields, about: Fields) -> Fields:
    url = walk.string(call, "properties", "url") or walk.string(call, "context", "page", "url")
    known = about | attributes(referrer=walk.string(call, "properties", "referrer")) | _campaign(call)
    return {"behaviour": walk.some(type=what, url=url[:2048]), **walk.some(attributes=known)}


def _campaign(call: Fields) -> Fields:
    return attributes(
        campaign=walk.string(call, "context", "campaign", "name"),
        app_version=walk.string(call, "context", "app", "version"),
        locale=walk.string(call, "context", "locale"),
    )


def _name(call: Fields) -> str:
    return walk.string(call, "name") or walk.string(call, "properties", "name")


def _order_id(properties: Fields) -> str:
    return (walk.identifier(properties, "order_id") or walk.identifier(properties, "orderId"))[:255]


def _snake(name: str) -> str:
    return _NOT_WORD.sub("_", _CAMEL.sub("_", name)).strip("_").lower()[:64]
