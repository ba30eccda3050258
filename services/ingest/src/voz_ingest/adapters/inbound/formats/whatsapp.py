"""What one WhatsApp message says, in the form that the Cloud API gives it: words, choices, answers of flows, carts.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from voz_ingest.adapters.inbound.formats import drafts, money, walk
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import PayloadError, decode

_MAX_ANSWERS = 40
_OPTION = re.compile(r"\d+_(\D\S*)")  # how Flow Builder writes an option: its number, then its words
_LETTER = re.compile(r"[^\W\d_]")


def content(message: Fields) -> Fields:
    """`text`, `transaction` and `attributes` of a message; empty when it says nothing in words (voice notes, stickers,
    places, reactions, types that nobody knows)."""
    kind = walk.string(message, "type")
    inner = walk.fields(message, kind)
    text, attributes = "", {}
    if kind == "text":
        text = walk.string(inner, "body")
    elif kind in ("image", "video", "document", "audio"):
        text, attributes = walk.string(inner, "caption"), {"media": kind}
    elif kind == "button":
        text, attributes = walk.string(inner, "text"), {"payload": walk.identifier(inner, "payload")}
    elif kind == "interactive":
        text, attributes = _interactive(inner)
    elif kind == "order":
        return _order(inner)
    return walk.some(text=text, attributes=drafts.attributes(**attributes)) if text else {}


def origin(message: Fields) -> Fields:
    """Attributes: where a message came from, which is an advertisement, a product or another chat."""
    context, referral = walk.fields(message, "context"), walk.fields(message, "referral")
    forwarded = walk.flag(context, "forwarded") or walk.flag(context, "frequently_forwarded")
    return drafts.attributes(
        forwarded=forwarded or None,
        product=walk.identifier(context, "referred_product", "product_retailer_id"),
        referral_type=walk.identifier(referral, "source_type"),
        referral_id=walk.identifier(referral, "source_id"),
        referral_url=walk.identifier(referral, "source_url"),
        referral_headline=walk.identifier(referral, "headline"),
    )


def _interactive(inner: Fields) -> tuple[str, Fields]:
    """What was chosen of buttons or a list, or answered in a flow; the words of a question that the business sent."""
    for kind in ("button_reply", "list_reply"):
        reply = walk.fields(inner, kind)
        if reply:
            return walk.string(reply, "title"), {"payload": walk.identifier(reply, "id")}
    reply = walk.fields(inner, "nfm_reply")
    return _flow(reply) if reply else (walk.string(inner, "body", "text"), {})


def _flow(reply: Fields) -> tuple[str, Fields]:
    """The answers of a flow, which are JSON in a string: those in words are the text, all are attributes."""
    try:
        answers = decode(walk.string(reply, "response_json").encode(errors="replace"))
    except PayloadError:
        answers = walk.at(reply, "response_json")
    said = {name[:50]: _answer(value) for name, value in walk.fields(answers).items() if name not in ("", "flow_token")}
    said = {name: answer for name, answer in said.items() if answer}
    words = [answer for answer in said.values() if _LETTER.search(answer) and answer not in ("true", "false")]
    text = "\n".join(words or (f"{name}: {answer}" for name, answer in said.items()))
    kept = {f"answer_{name}": answer for name, answer in [*said.items()][:_MAX_ANSWERS]}
    return text, {"flow": walk.identifier(reply, "name"), **kept}


def _answer(value: Any) -> str:
    if isinstance(value, (list, dict)):
        inner = value if isinstance(value, list) else value.values()
        return ", ".join(filter(None, map(_answer, inner)))
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        return ""
    said = str(value).strip()
    option = _OPTION.fullmatch(said)
    return option[1].replace("_", " ") if option else said


def _order(order: Fields) -> Fields:
    """A cart sent from the catalogue: what it is worth, where all of it is in one currency, and the note with it."""
    items = [*walk.objects(order, "product_items")]
    if not items:
        return {}
    currency, *others = {walk.string(item, "currency") for item in items}
    amounts = [_amount(item) for item in items]
    total = None if others or None in amounts else sum(filter(None, amounts), Decimal())
    products = ", ".join(dict.fromkeys(walk.identifier(item, "product_retailer_id") for item in items))
    return walk.some(
        text=walk.string(order, "text"),
        transaction={"type": "order_placed", **money.worth(str(total), currency)},
        attributes=drafts.attributes(catalog=walk.identifier(order, "catalog_id"), product=products),
    )


def _amount(item: Fields) -> Decimal | None:
    quantity, price = money.decimal(item.get("quantity")), money.decimal(item.get("item_price"))
    return None if quantity is None or price is None else quantity * price
