"""Intercom: conversations, tickets, ratings and contacts.

https://developers.intercom.com/docs/references/webhooks/webhook-models
https://developers.intercom.com/docs/webhooks
https://developers.intercom.com/docs/references/rest-api/api.intercom.io/conversations/conversation

One message comes under several topics, each time as another notification: its part names it, the first one its source.
The first message stands in every later notification, too, and is told once only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from voz_ingest.adapters.inbound.formats import (
    drafts,
    html,
    ids,
    people,
    placeholders,
    reply,
    signatures,
    tickets,
    times,
    walk,
)
from voz_ingest.adapters.inbound.formats.labels import labels
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, decode_object
from voz_ingest.domain.draft import Draft

_CUSTOMERS = frozenset({"user", "lead", "contact", "visitor"})
_CHANNELS = {"email": "email", "phone_call": "phone", "phone_switch": "phone"}
_STATES = frozenset({"closed", "opened", "snoozed", "unsnoozed", "assigned", "updated"})
_TICKET_STATES = frozenset(
    (
        *("created", "state.updated", "admin.assigned", "team.assigned"),
        *("admin.snoozed", "admin.unsnoozed", "closed", "resolved"),
    )
)
_PROFILES = frozenset({"created", "updated", "signed_up", "added_email", "merged"})
_NOBODY = "0"
_PERSONAL = ("email", "mail", "phone", "mobile")
_MARKUP = re.compile(r"</[a-z]|<(br|hr|img)\b|&(#\d+|#x[\da-f]+|[a-z]+\d*);", re.IGNORECASE)


def parse(payload: Payload) -> list[Draft]:
    """The events of a notification."""
    document = decode_object(payload)
    about, _, what = walk.string(document, "topic").partition(".")
    item = walk.fields(document, "data", "item")
    tell = _ABOUT.get(about)
    found = tell(_Told(payload.own, document, item, what)) if tell and item else iter(())
    return drafts.once(event for event in found if event.get("id"))


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether Intercom signed the body with the app's client secret."""
    expected = ["sha1=" + signatures.hex_hmac(secret, payload.body, "sha1") for secret in secrets]
    return signatures.matches([payload.headers.get("x-hub-signature", "").strip()], expected)


@dataclass(frozen=True)
class _Told:
    """A notification, and what its item tells of a conversation or a ticket."""

    own: frozenset[str]
    document: Fields
    item: Fields
    what: str

    @cached_property
    def last(self) -> str:
        return self.what.rpartition(".")[2]

    @cached_property
    def source(self) -> Fields:
        return walk.fields(self.item, "source") or walk.fields(self.item, "conversation_message")

    @cached_property
    def parts(self) -> list[Fields]:
        for name in ("conversation_parts", "ticket_parts"):
            inner = self.item.get(name)
            found = [*walk.objects(inner, name)] or [*walk.objects(inner)]
            if found:
                return found
        return [part] if (part := walk.fields(self.document, "data", "item", "ticket_part")) else []

    @cached_property
    def customers(self) -> list[Fields]:
        """Who takes part, those first of whom Intercom says that they are the contacts."""
        listed = [*walk.objects(self.item, "contacts", "contacts"), *walk.objects(self.item, "contacts")]
        authors = [walk.fields(said, "author") for said in (self.source, *self.parts)]
        alone = [walk.fields(self.item, name) for name in ("user", "contact", "customer")]
        found = [*listed, *alone, *(author for author in authors if walk.string(author, "type") in _CUSTOMERS)]
        return [person for person in found if walk.identifier(person, "id") or walk.string(person, "email")]

    def customer(self, author: Fields) -> Fields:
        """The author if they are a contact, else the first contact; with what is known of the same person elsewhere."""
        first = author if walk.string(author, "type") in _CUSTOMERS and walk.identifier(author, "id") else {}
        first = first or next(iter(self.customers), {})
        number = walk.identifier(first, "id")
        same = [first, *(person for person in self.customers if number and walk.identifier(person, "id") == number)]
        handles = [walk.string(person, name) for name in ("email", "phone") for person in same]
        name = next(filter(None, (walk.string(person, "name") for person in same)), "")
        handle = next(filter(None, handles), "")[:255]
        return walk.some(id=ids.compose(number), handle=handle, name=people.full_name(name)) or people.NOBODY

    def about(self, author: Fields, channel: str) -> Fields:
        number = walk.identifier(self.item, "conversation_id") or walk.identifier(self.item, "conversation", "id")
        if walk.string(self.item, "type") != "conversation_part":
            number = walk.identifier(self.item, "id") or number
        return walk.some(
            source="intercom",
            channel=channel,
            customer=self.customer(author),
            conversation=walk.some(id=ids.compose(number)),
            attributes=drafts.attributes(
                subject=html.to_text(walk.string(self.source, "subject"))
                or walk.string(self.item, "title")
                or walk.string(self.item, "ticket_attributes", "_default_title_"),
                url=walk.string(self.source, "url"),
                ticket_type=walk.string(self.item, "ticket_type", "name"),
            ),
        )

    def message(self, said: Fields, channel: str, moment: object) -> Fields:
        """What was said, if there are words, and they haven't been taken back."""
        author = walk.fields(said, "author")
        text = "" if walk.flag(said, "redacted") else _words(walk.string(said, "body"), channel)
        kind, number = walk.string(author, "type"), walk.identifier(author, "id")
        by_company = kind not in _CUSTOMERS if kind else not self.what.startswith(("user", "contact"))
        if people.is_own(self.own, number, walk.string(author, "email")):
            by_company, author = True, {}
        about = self.about(author, channel)
        known = about.get("attributes", {})
        name = walk.string(said, "author", "name") if by_company else ""
        return {
            **about,
            **walk.some(
                id=ids.compose(walk.identifier(said, "id")),
                direction="outbound" if by_company else None,
                text=text,
                occurred_at=times.moment(moment),
                attributes={**known, **drafts.attributes(author=name)},
            ),
        }

    def status(self, now: str, channel: str, before: str = "") -> Fields:
        """Where it stands since it was changed."""
        changed_at = times.moment(self.item.get("updated_at")) or times.moment(self.document.get("created_at"))
        number = walk.identifier(self.item, "id")
        priority = walk.string(self.item, "priority").removeprefix("not_priority")
        assigned = walk.identifier(self.item, "admin_assignee_id") or walk.identifier(self.item, "assignee", "id")
        assignee = "" if assigned == _NOBODY else assigned
        told = tickets.changed(before, now)
        about = self.about({}, channel)
        if not told:
            return {}
        event = tickets.event(about, number, told, changed_at or "", priority=priority, assignee=assignee)
        return {**event, **walk.some(occurred_at=changed_at)}


def _conversation(told: _Told) -> Iterator[Fields]:
    item, what = told.item, told.what
    channel = _CHANNELS.get(walk.string(told.source, "type"), "chat")
    if what == "deleted":
        yield _deleted(told)
    elif told.last == "created" and "contact" not in what:
        first = told.message(told.source, channel, item.get("created_at"))
        yield first if "text" in first else {}
    elif told.last == "replied":
        yield from _parts(told, channel)
    elif "rating" in what:
        yield from _rating(told, channel)
    elif told.last in _STATES:
        yield from _parts(told, channel)  # one may assign, close or open with an answer
        state = walk.string(item, "state") or ("open" if walk.flag(item, "open") else "")
        by_topic = {"closed": "closed", "opened": "reopened", "snoozed": "pending"}
        yield told.status(by_topic.get(told.last) or tickets.status(state), channel)


def _parts(told: _Told, channel: str) -> Iterator[Fields]:
    """What was answered; notes are the company's own."""
    for part in told.parts:
        if "note" not in walk.string(part, "part_type"):
            event = told.message(part, channel, part.get("created_at"))
            yield event if "text" in event else {}


def _part(told: _Told) -> Iterator[Fields]:
    """What was taken back: a part, or the first message. That one was tagged is nothing."""
    if told.what != "redacted":
        return
    alone = [told.item] if walk.string(told.item, "type") == "conversation_part" else []
    flagged = [said for said in (told.source, *told.parts, *alone) if walk.flag(said, "redacted")]
    unsaid = [part for part in (*told.parts, *alone) if "redacted" not in part]  # versions 1
    for said in flagged or unsaid:
        moment = said.get("updated_at") or told.item.get("updated_at")
        event = told.message(said, _CHANNELS.get(walk.string(told.source, "type"), "chat"), moment)
        yield drafts.deletion(event) if "id" in event else {}


def _deleted(told: _Told) -> Fields:
    """A conversation is gone; Intercom tells its id only."""
    number = walk.identifier(told.item, "conversation_id") or walk.identifier(told.item, "id")
    return {
        **told.about({}, "chat"),
        "id": ids.compose("conversation", number, "deleted"),
        "behaviour": {"type": "conversation_deleted"},
        **walk.some(occurred_at=times.moment(told.document.get("created_at"))),
    }


def _rating(told: _Told, channel: str) -> Iterator[Fields]:
    """A rating from 1 to 5, and once more when words are added to it."""
    names = ("conversation_rating", "ticket_rating", "rating")
    rating = next((found for name in names if (found := walk.fields(told.item, name))), {})
    score, moment = walk.number(rating, "rating"), times.moment(rating.get("created_at"))
    if score is None or not 1 <= score <= 5:
        return
    rated_by = walk.fields(rating, "contact") or walk.fields(rating, "customer")
    comment, scale = walk.string(rating, "remark") or walk.string(rating, "comment"), {"min": 1, "max": 5}
    event = {
        **told.about({**rated_by, "type": "contact"}, channel),
        "id": ids.compose("rating", walk.identifier(told.item, "id"), moment or "added"),
        "survey": walk.some(metric="csat", score=int(score), scale=scale, comment=comment),
        **walk.some(occurred_at=moment),
    }
    yield drafts.edit(event, ids.digest(comment)[:16]) if told.last.startswith("remark") else event


def _ticket(told: _Told) -> Iterator[Fields]:
    """Something said in a ticket, or where it stands."""
    ticket = walk.fields(told.item, "ticket")
    part = walk.fields(told.item, "ticket_part")
    if ticket:
        told = _Told(told.own, told.document, {**ticket, "ticket_parts": [part] if part else []}, told.what)
    if told.what in ("contact.replied", "admin.replied"):
        yield from _parts(told, "ticket")
    elif told.what == "rating.provided":
        yield from _rating(told, "ticket")
    elif told.what in _TICKET_STATES:
        if told.what == "created":
            yield from _description(told)
        now, before = (_state(told.item, part, name) for name in ("ticket_state", "previous_ticket_state"))
        by_topic = {"closed": "closed", "snoozed": "pending"}
        yield told.status(by_topic.get(told.last) or now, "ticket", before)


def _state(ticket: Fields, part: Fields, name: str) -> str:
    """A state: a word, or an object with its category; those of the company's own have one of Intercom's, too."""
    for document in (ticket, part):
        said = document.get(name)
        category = walk.string(said, "category") or walk.string(said, "internal_label")
        found = category or (said if isinstance(said, str) else "")
        if found:
            return tickets.status(found)
    return ""


def _description(told: _Told) -> Iterator[Fields]:
    """What a contact opened a ticket with; what a teammate or a bot wrote down is not theirs."""
    body = walk.string(told.item, "ticket_attributes", "_default_description_")
    authors = {walk.string(part, "author", "type") for part in told.parts} - {""}
    if body and authors <= _CUSTOMERS:
        created_at = times.moment(told.item.get("created_at"))
        number = placeholders.description_id(walk.identifier(told.item, "id"))
        text = _words(body, "ticket")
        yield {**told.about({}, "ticket"), "id": number, "text": text, **walk.some(occurred_at=created_at)}


def _words(body: str, channel: str) -> str:
    """HTML, or since version 2.15 of the API plain text; of mails without what they quote."""
    if _MARKUP.search(body):
        return tickets.words(body) if channel == "email" else html.to_text(body)
    return reply.cut(body).text if channel == "email" else body.strip()


def _contact(told: _Told) -> Iterator[Fields]:
    """Who somebody is. A user has been made known by the company; what a lead says of themselves links to nobody."""
    contact, person = told.item, walk.identifier(told.item, "id")
    changed_at = times.moment(contact.get("updated_at")) or times.moment(told.document.get("created_at"))
    external = walk.identifier(contact, "external_id") or walk.identifier(contact, "user_id")
    email, phone = walk.string(contact, "email")[:255], walk.identifier(contact, "phone")[:255]
    about = walk.some(
        source="intercom",
        channel="crm",
        customer=walk.some(
            id=ids.compose(person), handle=email or phone, name=people.full_name(walk.string(contact, "name"))
        ),
        occurred_at=changed_at,
    )
    if not person or "tag" in told.what.split("."):
        return
    if told.last == "deleted":
        moment = walk.some(occurred_at=times.moment(told.document.get("created_at")))
        yield {**about, "id": ids.compose("contact", person, "deleted"), "behaviour": _GONE, **moment}
    elif told.last in _PROFILES:
        role = walk.string(contact, "role") or walk.string(contact, "type")
        links = {"id.email": email, "id.phone": phone, "id.company": external[:255]} if role == "user" else {}
        profile = walk.some(
            **links,
            **{"id.intercom": walk.identifier(contact, "merged_from", "id")[:255]},
            **_traits(contact, role),
        )
        yield {**about, "id": ids.compose("contact", person, changed_at or told.what), "profile": profile}


def _traits(contact: Fields, role: str) -> Fields:
    place = walk.fields(contact, "location") or walk.fields(contact, "location_data")
    company = next(walk.objects(contact, "companies", "companies"), {})
    known = drafts.attributes(
        role=role,
        language=walk.string(contact, "language_override") or walk.string(contact, "browser_language"),
        country=walk.string(place, "country") or walk.string(place, "country_name"),
        city=walk.string(place, "city") or walk.string(place, "city_name"),
        company=walk.string(company, "name"),
    )
    own = labels(contact.get("custom_attributes")).items()
    return {**{name: value for name, value in own if not any(word in name.lower() for word in _PERSONAL)}, **known}


def _event(told: _Told) -> Iterator[Fields]:
    """Something that the company has told Intercom of a contact."""
    said = told.item
    name, person = walk.string(said, "event_name")[:64], walk.identifier(said, "intercom_user_id")
    moment = times.moment(said.get("created_at"))
    given = ids.compose("event", walk.identifier(said, "id"))
    if not name:
        return
    yield walk.some(
        source="intercom",
        id=given or ids.compose("event", ids.digest(person, walk.identifier(said, "user_id"), name, moment or "")),
        channel="app",
        customer=walk.some(id=ids.compose(person), handle=walk.string(said, "email")[:255]) or people.NOBODY,
        behaviour={"type": name},
        occurred_at=moment,
        attributes=labels({key: value for key, value in walk.fields(said, "metadata").items() if _is_plain(key)}),
    )


def _is_plain(name: Any) -> bool:
    return not any(word in str(name).lower() for word in _PERSONAL)


_GONE = {"type": "contact_deleted"}
_ABOUT = {
    **{"conversation": _conversation, "conversation_part": _part, "ticket": _ticket, "event": _event},
    **dict.fromkeys(("contact", "user", "visitor"), _contact),
}
