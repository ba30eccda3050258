"""What sources send when something happens there: the payloads of their webhooks, and their signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

OWN_PHONE, OWN_PAGE, OWN_BOT, OWN_ADDRESS = "34910000000", "100200300", "7000000001", "help@nimbo.example"
"""The company's own accounts at WhatsApp, Facebook and Telegram, and its mailbox."""
Json = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One event of a customer, as a source needs it."""

    number: int
    """The customer's, unique over runs."""
    name: str
    body: Json
    id: str
    occurred_at: datetime

    @property
    def outbound(self) -> bool:
        return self.body.get("direction") == "outbound"

    @property
    def seconds(self) -> int:
        return int(self.occurred_at.timestamp())

    @property
    def milliseconds(self) -> int:
        return int(self.occurred_at.timestamp() * 1000)

    @property
    def iso(self) -> str:
        return self.occurred_at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    @property
    def unique(self) -> int:
        """A number of this event's own."""
        return int.from_bytes(hashlib.sha256(self.id.encode()).digest()[:6], "big")


def hex_hmac(secret: str, body: bytes) -> str:
    """HMAC-SHA256 in hexadecimal."""
    return hmac.new(secret.encode(), body, "sha256").hexdigest()


def base64_hmac(secret: str, body: bytes) -> str:
    """HMAC-SHA256 in base64."""
    return base64.b64encode(hmac.new(secret.encode(), body, "sha256").digest()).decode()


def phone(number: int) -> str:
    return f"34{number}"


def address(number: int) -> str:
    return f"customer{number}@people.example"


def whatsapp(said: Said) -> Json:
    number = phone(said.number)
    message = {
        "id": f"wamid.{said.id}",
        "timestamp": str(said.seconds),
        "type": "text",
        "text": {"body": said.body["text"]},
    }
    value: Json = {"messaging_product": "whatsapp"}
    value["metadata"] = {"display_phone_number": OWN_PHONE, "phone_number_id": "106540352242922"}
    value["contacts"] = [{"profile": {"name": said.name}, "wa_id": number}]
    if said.outbound:
        value["message_echoes"] = [{"from": OWN_PHONE, "to": number, **message}]
    else:
        value["messages"] = [{"from": number, **message}]
    field = "smb_message_echoes" if said.outbound else "messages"
    change = {"value": value, "field": field}
    return {"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [change]}]}


def telegram(said: Said) -> Json:
    chat = {"id": said.number, "type": "private", "first_name": said.name}
    person = {"id": said.number, "is_bot": False, "first_name": said.name}
    bot = {"id": int(OWN_BOT), "is_bot": True, "first_name": "Nimbo", "username": "NimboBot"}
    message = {
        "message_id": said.unique % (1 << 31),
        "from": bot if said.outbound else person,
        "chat": chat,
        "date": said.seconds,
        "text": said.body["text"],
    }
    return {"update_id": said.unique % (1 << 31), "message": message}


def facebook(said: Said) -> Json:
    person = {"id": OWN_PAGE, "name": "Nimbo"} if said.outbound else {"id": str(said.number), "name": said.name}
    value = {
        "from": person,
        "item": "comment",
        "verb": "add",
        "post_id": f"{OWN_PAGE}_{said.number}",
        "comment_id": f"{said.number}_{said.unique}",
        "parent_id": f"{OWN_PAGE}_{said.number}",
        "created_time": said.seconds,
        "message": said.body["text"],
    }
    change = {"field": "feed", "value": value}
    return {"object": "page", "entry": [{"id": OWN_PAGE, "time": said.seconds, "changes": [change]}]}


def discourse(said: Said) -> Json:
    post = {
        "id": said.unique,
        "username": f"c{said.number}",
        "user_id": said.number,
        "name": said.name,
        "created_at": said.iso,
        "updated_at": said.iso,
        "cooked": f"<p>{_escaped(said.body['text'])}</p>",
        "raw": said.body["text"],
        "post_number": 1 + said.unique % 1_000_000,
        "post_type": 1,
        "topic_id": said.number,
        "topic_slug": "nimbo",
        "topic_title": "Nimbo",
        "version": 1,
    }
    return {"post": post}


def trustpilot(said: Said) -> Json:
    review = {
        "id": f"{said.unique:024x}",
        "stars": 1 + said.unique % 5,
        "title": "",
        "text": said.body["text"],
        "createdAt": said.iso,
        "isVerified": True,
        "consumer": {"id": f"c{said.number}", "name": said.name},
    }
    return {"events": [{"eventName": "service-review-created", "version": "1.0", "eventData": review}]}


def delighted(said: Said) -> Json:
    survey = said.body["survey"]
    response = {
        "id": str(said.unique),
        "person": {"id": str(said.number), "email": address(said.number), "name": said.name},
        "survey_type": survey["metric"],
        "score": survey["score"],
        "comment": survey.get("comment"),
        "created_at": said.seconds,
        "updated_at": said.seconds,
    }
    return {"event_type": "survey_response.created", "event_id": f"evt-{said.id}", "event_data": response}


def mailgun(said: Said) -> Json:
    person, company = f"{said.name} <{address(said.number)}>", f"Nimbo <{OWN_ADDRESS}>"
    sender, recipient = (company, person) if said.outbound else (person, company)
    return {
        "sender": sender.rpartition("<")[2].rstrip(">"),
        "recipient": recipient.rpartition("<")[2].rstrip(">"),
        "from": sender,
        "To": recipient,
        "subject": "Nimbo",
        "body-plain": said.body["text"],
        "stripped-text": said.body["text"],
        "Message-Id": f"<{said.id}@people.example>",
        "References": f"<{said.number}@people.example>",
        "Date": said.occurred_at.strftime("%a, %d %b %Y %H:%M:%S +0000"),
    }


def mailgun_form(said: Said, secret: str) -> bytes:
    """The form that Mailgun posts, with its signature."""
    sent, token = str(said.seconds), hashlib.sha256(said.id.encode()).hexdigest()[:50]
    signature = hex_hmac(secret, f"{sent}{token}".encode())
    return urlencode({**mailgun(said), "timestamp": sent, "token": token, "signature": signature}).encode()


SHOPIFY_TOPICS = {
    "order_placed": "orders/create",
    "order_paid": "orders/paid",
    "order_delivered": "orders/fulfilled",
}


def shopify(said: Said) -> Json:
    done = said.body["transaction"]
    order = {
        "id": said.number,
        "name": f"#{said.number}",
        "currency": done["currency"],
        "total_price": done["amount"],
        "created_at": said.iso,
        "processed_at": said.iso,
        "updated_at": said.iso,
        "source_name": "web",
        "customer": {"id": said.number, "first_name": said.name},
    }
    if done["type"] == "order_delivered":
        order["fulfillments"] = [{"id": said.unique, "shipment_status": "delivered"}]
    return order


def stripe(said: Said) -> Json:
    subscription = said.body["subscription"]
    status, plan = subscription["status"], subscription["plan"]
    item: Json = {"price": {"id": plan, "nickname": plan, "unit_amount": 2000, "recurring": {"interval": "month"}}}
    thing: Json = {
        "id": f"sub_{said.number}",
        "object": "subscription",
        "customer": f"cus_{said.number}",
        "status": "active",
        "created": said.seconds,
        "items": {"object": "list", "data": [item]},
    }
    kind = "created"
    before: Json = {}
    if status == "ended":
        kind = "deleted"
        thing |= {"status": "canceled", "ended_at": said.seconds, "canceled_at": said.seconds}
    elif status == "cancelled":
        kind, before = "updated", {"cancel_at_period_end": False, "canceled_at": None}
        thing |= {"cancel_at_period_end": True, "canceled_at": said.seconds}
    elif status in ("upgraded", "downgraded"):
        cost = 1000 if status == "upgraded" else 3000
        kind, before = "updated", {"items": {"data": [{"price": {**item["price"], "unit_amount": cost}}]}}
    elif status == "renewed":
        return _stripe_event(said, "invoice.paid", _invoice(said, plan), {})
    return _stripe_event(said, f"customer.subscription.{kind}", thing, before)


def _invoice(said: Said, plan: str) -> Json:
    return {
        "id": f"in_{said.unique}",
        "object": "invoice",
        "customer": f"cus_{said.number}",
        "billing_reason": "subscription_cycle",
        "subscription": f"sub_{said.number}",
        "amount_paid": 2000,
        "currency": "eur",
        "status_transitions": {"paid_at": said.seconds},
        "lines": {"object": "list", "data": [{"price": {"id": plan, "nickname": plan}}]},
    }


def _stripe_event(said: Said, kind: str, thing: Json, before: Json) -> Json:
    data: Json = {"object": thing} | ({"previous_attributes": before} if before else {})
    return {"id": f"evt_{said.unique}", "object": "event", "type": kind, "created": said.seconds, "data": data}


def zendesk(said: Said) -> Json:
    ticket = said.body["ticket"]
    return {
        "type": "zen:event-type:ticket.status_changed",
        "account_id": 12514403,
        "id": f"{said.unique:032x}",
        "time": said.iso,
        "zendesk_event_version": "2022-11-06",
        "subject": f"zen:ticket:{said.number}",
        "detail": {
            "id": str(said.number),
            "requester_id": str(said.number),
            "status": ticket["status"].upper(),
            "priority": str(ticket.get("priority") or "normal").upper(),
            "updated_at": said.iso,
        },
        "event": {"current": ticket["status"].upper(), "previous": "NEW"},
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
