"""Where simulated customers speak: some at the sources themselves, whose webhooks bring it, validly signed.

Pure: what happened becomes the request that the source would send. Each customer has one number, of which every place
makes its own name for them (a telephone number, an address, a user id); `same_person` says that they are the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from voz_devstack import payloads
from voz_devstack.payloads import Json, Said
from voz_devstack.simulator import SOURCE, Happening

Sign = Callable[[str, bytes, Said], Mapping[str, str]]
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Webhook:
    """A request that a source sends, and what the source calls the customer it is about."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    identity: str


@dataclass(frozen=True)
class Place:
    """A source of the simulated company: what its webhook looks like, how it signs, what it calls a customer."""

    source: str
    payload: Callable[[Said], Json]
    customer: Callable[[int], str]
    sign: Sign | None = None
    """None: it signs nothing, so the secret stands in the URL."""
    own: str = ""
    """The company's own account there."""
    answers: bool = False
    """Whether what the company answers there names the customer."""

    @property
    def connection(self) -> str:
        """The development connection's id."""
        return f"demo-{self.source}"

    def request(self, said: Said, secret: str) -> Webhook:
        """What the source sends."""
        if self.source == "mailgun":
            body, headers = payloads.mailgun_form(said, secret), {"Content-Type": FORM}
        else:
            body, headers = json.dumps(self.payload(said), ensure_ascii=False).encode(), {"Content-Type": JSON}
        if self.sign:
            headers |= self.sign(secret, body, said)
        query = "" if self.sign else f"?secret={secret}"
        path = f"/v1/webhooks/{self.connection}{query}"
        return Webhook(path, body, headers, f"{self.source}:{self.customer(said.number)}")


def webhook(happening: Happening, number: int, occurred_at: datetime, secrets: Mapping[str, str]) -> Webhook | None:
    """The request that brings a happening; None when it happens where no source of ours is.

    `number`: the customer's own; `secrets`: by connection.
    """
    said = Said(number, happening.customer.name, happening.body, str(happening.body["id"]), occurred_at)
    place = _place(said)
    return place.request(said, secrets[place.connection]) if place and place.connection in secrets else None


def connections(tenant: str, secrets: Mapping[str, str]) -> list[Json]:
    """The development connections, as the connections file has them."""
    return [
        {
            "id": place.connection,
            "tenant": tenant,
            "source": place.source,
            "secrets": [secrets[place.connection]],
            "own": [place.own] if place.own else [],
        }
        for place in PLACES
    ]


def _place(said: Said) -> Place | None:
    """Where it happens. A customer who chats does so on one service: which, their number says."""
    if said.body.get("transaction", {}).get("type") in ("refund", "return"):
        return None  # what follows an order names no customer there
    kind = next((kind for kind in _BY_KIND if kind in said.body), None)
    places = _BY_KIND[kind] if kind else _BY_CHANNEL.get(said.body["channel"], ())
    if said.outbound:
        places = tuple(place for place in places if place.answers)
    return places[said.number % len(places)] if places else None


def _hub(secret: str, body: bytes, _: Said) -> Mapping[str, str]:
    return {"X-Hub-Signature-256": f"sha256={payloads.hex_hmac(secret, body)}"}


def _telegram(secret: str, _: bytes, __: Said) -> Mapping[str, str]:
    return {"X-Telegram-Bot-Api-Secret-Token": secret}


def _discourse(secret: str, body: bytes, _: Said) -> Mapping[str, str]:
    signature = f"sha256={payloads.hex_hmac(secret, body)}"
    return {
        "X-Discourse-Event-Signature": signature,
        "X-Discourse-Event-Type": "post",
        "X-Discourse-Event": "post_created",
    }


def _shopify(secret: str, body: bytes, said: Said) -> Mapping[str, str]:
    topic = payloads.SHOPIFY_TOPICS[said.body["transaction"]["type"]]
    return {
        "X-Shopify-Hmac-Sha256": payloads.base64_hmac(secret, body),
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": "nimbo.example",
    }


def _stripe(secret: str, body: bytes, said: Said) -> Mapping[str, str]:
    signed = f"{said.seconds}.".encode() + body
    return {"Stripe-Signature": f"t={said.seconds},v1={payloads.hex_hmac(secret, signed)}"}


def _zendesk(secret: str, body: bytes, said: Said) -> Mapping[str, str]:
    return {
        "X-Zendesk-Webhook-Signature-Timestamp": said.iso,
        "X-Zendesk-Webhook-Signature": payloads.base64_hmac(secret, said.iso.encode() + body),
    }


def _inside(_: str, __: bytes, ___: Said) -> Mapping[str, str]:
    """Mailgun's signature is a part of the body."""
    return {}


_WHATSAPP = Place("whatsapp", payloads.whatsapp, payloads.phone, _hub, payloads.OWN_PHONE, answers=True)
_TELEGRAM_PLACE = Place("telegram", payloads.telegram, str, _telegram, payloads.OWN_BOT, answers=True)
_FACEBOOK = Place("facebook", payloads.facebook, str, _hub, payloads.OWN_PAGE)
_DISCOURSE_PLACE = Place("discourse", payloads.discourse, "c{}".format, _discourse)
_TRUSTPILOT = Place("trustpilot", payloads.trustpilot, "c{}".format)
_DELIGHTED = Place("delighted", payloads.delighted, str)
_MAILGUN = Place("mailgun", payloads.mailgun, payloads.address, _inside, payloads.OWN_ADDRESS, answers=True)
_SHOPIFY_PLACE = Place("shopify", payloads.shopify, str, _shopify)
_STRIPE_PLACE = Place("stripe", payloads.stripe, "cus_{}".format, _stripe)
_ZENDESK_PLACE = Place("zendesk", payloads.zendesk, str, _zendesk)

_BY_KIND: Mapping[str, tuple[Place, ...]] = {
    "survey": (_DELIGHTED,),
    "transaction": (_SHOPIFY_PLACE,),
    "subscription": (_STRIPE_PLACE,),
    "ticket": (_ZENDESK_PLACE,),
    "behaviour": (),
}
_BY_CHANNEL: Mapping[str, tuple[Place, ...]] = {
    "chat": (_WHATSAPP, _TELEGRAM_PLACE),
    "social": (_FACEBOOK,),
    "community": (_DISCOURSE_PLACE,),
    "review": (_TRUSTPILOT,),
    "email": (_MAILGUN,),
}
PLACES: tuple[Place, ...] = tuple(place for places in (*_BY_CHANNEL.values(), *_BY_KIND.values()) for place in places)
"""Those that the simulated company has."""
SOURCES: tuple[str, ...] = (SOURCE, *(place.source for place in PLACES))
