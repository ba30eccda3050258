"""Zendesk: comments, ticket changes, ratings, messaging and users, by event webhooks or by triggers' own JSON.

https://developer.zendesk.com/api-reference/webhooks/event-types/ticket-events/
https://developer.zendesk.com/api-reference/webhooks/event-types/messaging-events/
https://developer.zendesk.com/api-reference/webhooks/event-types/user-events/
https://developer.zendesk.com/documentation/webhooks/verifying/
https://support.zendesk.com/hc/en-us/articles/4408886858138-Zendesk-Support-placeholders-reference

The customer is the ticket's requester, whoever acts. A ticket's description is its first comment, of which Zendesk
tells once more: both have the id of the description.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from voz_ingest.adapters.inbound.formats import (
    drafts,
    ids,
    people,
    placeholders,
    reply,
    signatures,
    tickets,
    times,
    walk,
)
from voz_ingest.adapters.inbound.formats.placeholders import Written, bare
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, decode_object
from voz_ingest.domain.draft import Draft

_EVENT = re.compile(r"zen:event-type[:/](?P<about>[a-z_]+)\.(?P<what>[a-z_]+)")
_TRANSCRIBED = ("chat", "native_messaging", "messaging", "sunshine_conversations", "whatsapp", "business_messaging")
"""Channels whose tickets begin with a title of Zendesk's making (`Conversation with Ana`)."""
_STATUS_EVENTS = frozenset({"status_changed", "custom_status_changed", "priority_changed", "agent_assignment_changed"})
_STAFF = frozenset({"agent", "admin"})
_GOOD = re.compile(r"\s*(good|buen[ao]?|bien|bo[am]|bon(ne)?|gut|buon[ao]|bene)\b", re.IGNORECASE)
_BAD = re.compile(r"\s*(bad|mal[ao]?|mauvaise?|schlecht|cattiv[ao]|ruim|má|mau)\b", re.IGNORECASE)
_RATINGS = ("satisfaction_score", "satisfaction_rating", "satisfaction", "csat", "rating", "survey_response", "current")


def parse(payload: Payload) -> list[Draft]:
    """The events of an event webhook, or of a trigger's body."""
    document = decode_object(payload)
    kind = _EVENT.match(walk.string(document, "type"))
    if kind is None:
        found = placeholders.events(payload.own, document, "zendesk", _rating_in)
    else:
        tell = _ABOUT.get(kind["about"])
        found = tell(payload, document, kind["what"]) if tell else iter(())
    return drafts.once(event for event in found if event.get("id"))


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether Zendesk signed the body, with the time before it, within five minutes."""
    moment = payload.headers.get("x-zendesk-webhook-signature-timestamp", "")
    given = payload.headers.get("x-zendesk-webhook-signature", "").strip()
    expected = [signatures.base64_hmac(secret, moment.encode() + payload.body) for secret in secrets]
    return signatures.matches([given], expected) and signatures.is_recent(times.unix(moment), payload.received_at)


def _ticket(payload: Payload, document: Fields, what: str) -> Iterator[Fields]:
    ticket, event = walk.fields(document, "detail"), walk.fields(document, "event")
    number = walk.identifier(ticket, "id") or walk.string(document, "subject").removeprefix("zen:ticket:")
    about = _about(document, ticket, number)
    if what == "created":
        yield from _description(payload, ticket, number, about)
        yield _status(document, ticket, number, about)
    elif what in ("comment_added", "comment_created"):
        yield from _comment(payload, ticket, number, about, walk.fields(event, "comment"))
    elif what == "comment_redacted":
        for said in _comment(payload, ticket, number, about, walk.fields(event, "comment")):
            yield drafts.edit(said, about["occurred_at"]) if "occurred_at" in about else said
    elif what in _STATUS_EVENTS:
        current = walk.string(event, "current") if what == "status_changed" else ""
        yield _status(document, ticket, number, about, current, walk.string(event, "previous"))
    elif what == "csat_received":
        name, rated = ids.compose("ticket", number, "rating", _event_id(document)), _rating(event)
        yield {**about, "id": name, "survey": rated} if rated else {}


def _about(document: Fields, ticket: Fields, number: str) -> Fields:
    requester = walk.identifier(ticket, "requester_id")
    return walk.some(
        source="zendesk",
        channel="ticket",
        customer={"id": ids.compose(requester)} if requester else people.NOBODY,
        conversation=walk.some(id=ids.compose(number)),
        occurred_at=times.iso(document.get("time")),
        attributes=drafts.attributes(
            subject=walk.string(ticket, "subject"),
            via=walk.string(ticket, "via", "channel") or walk.string(ticket, "via"),
            ticket_type=walk.string(ticket, "type").lower(),
            tags=", ".join(walk.strings(ticket, "tags")),
            organization=walk.identifier(ticket, "organization_id"),
            brand=walk.identifier(ticket, "brand_id"),
        ),
    )


def _description(payload: Payload, ticket: Fields, number: str, about: Fields) -> Iterator[Fields]:
    """The first comment, which the submitter wrote."""
    text, via = walk.string(ticket, "description"), walk.string(ticket, "via", "channel")
    if text and ticket.get("is_public") is not False and not via.startswith(_TRANSCRIBED):
        author = {"id": walk.identifier(ticket, "submitter_id")}
        event = _said(payload, ticket, about, author, text)
        moment = walk.some(occurred_at=times.iso(ticket.get("created_at")))
        yield {**event, "id": placeholders.description_id(number), **moment}


def _comment(payload: Payload, ticket: Fields, number: str, about: Fields, comment: Fields) -> Iterator[Fields]:
    """A public comment; the first one is the description."""
    text = walk.string(comment, "body") or walk.string(comment, "plain_body")
    text = text or tickets.words(walk.string(comment, "html_body"))
    if text and comment.get("is_public", comment.get("public")) is not False:
        first = bare(text) == bare(walk.string(ticket, "description"))
        author = {"id": walk.identifier(comment, "author_id"), **walk.fields(comment, "author")}
        name = ids.compose("comment", walk.identifier(comment, "id"))
        event = _said(payload, ticket, about, author, text)
        yield {**event, "id": placeholders.description_id(number) if first else name}


def _said(payload: Payload, ticket: Fields, about: Fields, author: Fields, text: str) -> Fields:
    """A message. Who is staff Zendesk says; else whoever isn't the requester is. Somebody in copy speaks in the
    requester's place."""
    writer, requester = walk.identifier(author, "id"), walk.identifier(ticket, "requester_id")
    name, known = people.full_name(walk.string(author, "name")), about.get("attributes", {})
    somebody_else = bool(writer and requester) and writer != requester
    staff = walk.flag(author, "is_staff") if "is_staff" in author else somebody_else
    outbound = people.is_own(payload.own, writer, name) or staff
    customer = about["customer"]
    if not outbound and writer and (not requester or writer == requester):
        customer = walk.some(id=ids.compose(writer), name=name)
    elif name:
        known = {**known, **drafts.attributes(author=name)}
    direction = walk.some(direction="outbound" if outbound else None, attributes=known)
    return {**about, "customer": customer, "text": reply.cut(text).text, **direction}


def _status(document: Fields, ticket: Fields, number: str, about: Fields, now: str = "", before: str = "") -> Fields:
    told = tickets.status(now or walk.string(ticket, "status"))
    version = times.iso(ticket.get("updated_at")) or times.iso(document.get("time")) or _event_id(document)
    if now:
        told = tickets.changed(tickets.status(before), told)
    if not told:
        return {}
    priority = walk.string(ticket, "priority").lower()
    assignee = walk.identifier(ticket, "assignee_id")
    return tickets.event(about, number, told, version, priority=priority, assignee=assignee)


def _rating(event: Fields) -> Fields:
    """What a customer answered to the question of satisfaction, wherever it stands."""
    for name in _RATINGS:
        value = event.get(name)
        if not isinstance(value, dict):
            found = _score(value, walk.string(event, "comment"))
        else:
            answers = [*walk.objects(value, "answers")]
            rated = next((answer for answer in answers if "rating" in answer), value)
            words = next((answer for answer in answers if walk.string(answer, "type") == "open_ended"), {})
            score = rated.get("rating") if "rating" in rated else rated.get("score")
            found = _score(score, walk.string(value, "comment") or walk.string(words, "value"))
        if found:
            return found
    return {}


def _rating_in(said: Written) -> Fields:
    names = ("satisfactioncurrent", "satisfaction", "current")
    score = said.get(*(f"{name}rating" for name in names), "satisfactionscore", "satisfactionratingscore")
    return _score(score, said.get(*(f"{name}comment" for name in names), "satisfactionratingcomment"))


def _score(said: object, comment: str) -> Fields:
    """Good or bad, or with newer surveys a number from 1 to 5; nothing for what was only offered."""
    number, word = walk.number(said), said if isinstance(said, str) else ""
    if number is not None and number.is_integer() and 1 <= number <= 5:
        score, scale = int(number), {"min": 1, "max": 5}
    elif _GOOD.match(word) or _BAD.match(word):
        score, scale = int(bool(_GOOD.match(word))), {"min": 0, "max": 1}
    else:
        return {}
    return walk.some(metric="csat", score=score, scale=scale, comment=comment)


def _messaging(payload: Payload, document: Fields, what: str) -> Iterator[Fields]:
    """A message of a chat. Of an agent's Zendesk doesn't say to whom it goes, beside the conversation."""
    event, actor = walk.fields(document, "event"), walk.fields(document, "event", "actor")
    message, person = walk.fields(event, "message"), walk.identifier(actor, "id")
    text, chat = walk.string(message, "body"), walk.identifier(event, "conversation_id")
    if what != "message_added" or not text:
        return
    by_customer = walk.string(actor, "type") in ("end_user", "user", "") and not people.is_own(payload.own, person)
    name = people.full_name(walk.string(actor, "name"))
    yield walk.some(
        source="zendesk",
        id=ids.compose("message", walk.identifier(message, "id") or _event_id(document)),
        channel="chat",
        direction=None if by_customer else "outbound",
        customer=walk.some(id=ids.compose(person), name=name) if by_customer and person else people.NOBODY,
        conversation=walk.some(id=ids.compose(walk.identifier(document, "detail", "id") or chat)),
        text=text,
        occurred_at=times.iso(document.get("time")),
        attributes=drafts.attributes(messaging_conversation=chat, author=None if by_customer else name),
    )


def _user(payload: Payload, document: Fields, what: str) -> Iterator[Fields]:
    """Who a customer is, and the ids under which others know them."""
    user, event = walk.fields(document, "detail"), walk.fields(document, "event")
    person, role = walk.identifier(user, "id"), walk.string(user, "role").lower().replace("_", "-")
    if role in _STAFF or not person:
        return
    about = walk.some(
        source="zendesk",
        id=ids.compose("user", person, what, _event_id(document)),
        channel="crm",
        customer=walk.some(
            id=ids.compose(person),
            handle=walk.string(user, "email")[:255],
            name=people.full_name(walk.string(user, "name")),
        ),
        occurred_at=times.iso(document.get("time")),
    )
    if what == "deleted":
        yield {**about, "behaviour": {"type": "contact_deleted"}}
        return
    identity = walk.fields(event, "identity") if what in ("identity_created", "identity_changed") else {}
    kind, value = walk.string(identity, "type"), walk.string(identity, "value")[:255]
    profile = walk.some(
        **{
            "id.email": walk.string(user, "email")[:255] or (value if kind == "email" else None),
            "id.company": walk.identifier(user, "external_id")[:255],
            "id.phone": value if kind in ("phone", "phone_number") else None,
            "id.zendesk": walk.identifier(event, "user", "id")[:255] if what == "merged" else None,
        },
        organization=(walk.identifier(user, "organization_id") or "0").removeprefix("0")[:255],
        **drafts.attributes(tags=", ".join(walk.strings(user, "tags")), time_zone=walk.string(user, "time_zone")),
    )
    yield {**about, "profile": profile} if profile else {}


def _event_id(document: Fields) -> str:
    return walk.identifier(document, "id") or ids.digest(walk.string(document, "type"), walk.string(document, "time"))


_ABOUT = {"ticket": _ticket, "messaging_ticket": _messaging, "user": _user}
