"""Zammad: what customers and agents write in tickets, and where the tickets stand, by webhooks of triggers.

https://admin-docs.zammad.org/en/latest/manage/webhook.html
https://admin-docs.zammad.org/en/latest/manage/webhook/payload.html

The customer is the ticket's, whoever acts; the article's sender says for whom it was written, for an agent may type
what a customer said on the telephone. Payloads of one's own have the same names, and text for numbers and booleans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from email.utils import parseaddr

from voz_ingest.adapters.inbound.formats import drafts, html, ids, people, reply, signatures, tickets, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, decode_object
from voz_ingest.domain.draft import Draft

_SENDERS = {"1": "agent", "2": "customer", "3": "system"}
_STATES = {"1": "new", "2": "open", "3": "pending", "4": "closed", "5": "closed", "6": "closed", "7": "pending"}
"""What a new Zammad calls new, open, pending reminder, closed, merged, removed and pending close."""
_STATE_TYPES = {"1": "new", "2": "open", "3": "pending", "4": "pending", "5": "closed", "6": "closed", "7": "closed"}
_NOT_SAID = re.compile(r"-|#\{.*\}", re.DOTALL)
"""How a payload of one's own says that there is nothing."""
_ZONE = re.compile(r" (UTC|[+-]\d{4})$")
_RANK = re.compile(r"\d+\s+")  # `2 normal`
_MADE_UP = re.compile(r"auto-[\d-]+")
_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
_SIGNATURE = {"span.js-signatureMarker": "-- "}
"""Where Zammad has found that a mail's signature, or the mail that it answers, begins."""


def parse(payload: Payload) -> list[Draft]:
    """The article, if it is public and says something, and where the ticket stands."""
    document = decode_object(payload)
    ticket, article = walk.fields(document, "ticket"), walk.fields(document, "article")
    number = _said(ticket, "id") or _said(article, "ticket_id")
    if not number:
        return []
    customer = _customer(document, ticket, article)
    about = walk.some(
        source="zammad",
        channel="ticket",
        customer=customer if customer.keys() & {"id", "handle"} else {**customer, **people.NOBODY},
        conversation=walk.some(id=ids.compose(number)),
        attributes=drafts.attributes(
            subject=_said(article, "subject") or _said(ticket, "title"),
            ticket_number=_said(ticket, "number"),
            group=_name(ticket, "group"),
            organization=_name(ticket, "organization"),
        ),
    )
    found = [*_message(payload, article, about), *_status(ticket, number, about, _said(article, "id"))]
    return drafts.once(event for event in found if event.get("id"))


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether `X-Hub-Signature` is that of the bytes received."""
    expected = [f"sha1={signatures.hex_hmac(secret, payload.body, 'sha1')}" for secret in secrets]
    return signatures.matches([payload.headers.get("x-hub-signature", "").strip()], expected)


def _message(payload: Payload, article: Fields, about: Fields) -> Iterator[Fields]:
    sender = _sender(article, about["customer"])
    via, text = _name(article, "type"), _text(article)
    if not text or _is_private(article, sender, via) or (sender == "system" and via in ("note", "")):
        return
    outbound = sender != "customer" or (via != "phone" and people.is_own(payload.own, _address(article)))
    author = _name(article, "created_by") or _said(article, "from")
    yield {
        **about,
        "id": ids.compose("article", _said(article, "id")),
        "text": text,
        **walk.some(
            direction="outbound" if outbound else None,
            language=walk.language(article, "detected_language"),
            occurred_at=_moment(article, "created_at"),
            attributes={
                **about.get("attributes", {}),
                **drafts.attributes(via=via, author=author if outbound else None),
            },
        ),
    }


def _status(ticket: Fields, number: str, about: Fields, article: str) -> Iterator[Fields]:
    """Where the ticket stands. Without a time its changes are told apart by the article that came with them."""
    state = walk.fields(ticket, "state")
    kind = _STATE_TYPES.get(_said(state, "state_type_id"), "") or tickets.status(_name(state, "state_type"))
    now = kind or tickets.status(_name(ticket, "state")) or _STATES.get(_said(ticket, "state_id"), "")
    moment = _moment(ticket, "updated_at") or _moment(ticket, "created_at")
    owner = "" if _said(ticket, "owner_id") == "1" else _name(ticket, "owner")  # the first user is nobody
    priority = _RANK.sub("", _name(ticket, "priority"), count=1).lower()
    if now:
        event = tickets.event(about, number, now, moment or article, priority=priority, assignee=owner)
        yield {**event, **walk.some(occurred_at=moment)}


def _sender(article: Fields, customer: Fields) -> str:
    """Who speaks: customer, agent or system; where the article doesn't say, whoever isn't the customer is an agent."""
    said = _name(article, "sender").lower() or _SENDERS.get(_said(article, "sender_id"), "")
    writer = _said(article, "created_by_id") or _said(article, "created_by", "id")
    address = _address(article) or _said(article, "created_by", "email")
    names = {customer.get("id", ""), customer.get("handle", "").lower()}
    is_customer = not (writer or address) or writer in names or address.lower() in names
    return said or ("customer" if is_customer else "agent")


def _customer(document: Fields, ticket: Fields, article: Fields) -> Fields:
    """The ticket's customer; where only the article says who it is, whoever it comes from."""
    person = walk.fields(ticket, "customer") or walk.fields(document, "customer")
    number = _said(person, "id") or _said(ticket, "customer_id")
    login = _said(person, "login") or _said(ticket, "customer")
    handles = (
        _said(person, "email"),
        _said(ticket, "customer_email"),
        _said(person, "mobile"),
        _said(person, "phone"),
        "" if _MADE_UP.fullmatch(login) else login,
    )
    handle, name = next(filter(None, handles), ""), _full_name(person)
    if not number and not handle and _sender(article, {}) == "customer":
        sender, handle = parseaddr(_said(article, "from"))
        name = name or people.full_name(sender)
    return walk.some(id=ids.compose(number), handle=handle[:255], name=name)


def _text(article: Fields) -> str:
    """What was written, without the mails that it answers."""
    body, kind = _said(article, "body"), _said(article, "content_type").lower()
    is_html = "html" in kind or (not kind and _TAG.search(body))
    return reply.cut(html.to_text(body, quote="> ", before=_SIGNATURE) if is_html else body).text


def _address(article: Fields) -> str:
    return parseaddr(_said(article, "from"))[1]


def _name(document: Fields, key: str) -> str:
    """What a state, a sender or a user is called: it stands there as an object, or as its name alone."""
    inner = walk.fields(document, key)
    return (_said(inner, "name") or _full_name(inner) or _said(inner, "login")) if inner else _said(document, key)


def _full_name(person: Fields) -> str:
    return people.full_name(_said(person, "firstname"), _said(person, "lastname"))


def _said(document: Fields, *path: str) -> str:
    found = walk.identifier(document, *path)
    return "" if _NOT_SAID.fullmatch(found) else found


def _is_private(article: Fields, sender: str, via: str) -> bool:
    """Whether only agents see it. Where it isn't said, for a payload of one's own may be unable to, notes are."""
    said = str(article.get("internal")).lower()
    return said == "true" or (said != "false" and via == "note" and sender != "customer")


def _moment(document: Fields, key: str) -> str | None:
    """A time; in payloads of one's own it is as Ruby writes it, `2026-11-20 10:00:00 UTC`."""
    return times.iso(_ZONE.sub(lambda zone: zone[1].replace("UTC", "Z"), _said(document, key)))
