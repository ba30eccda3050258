"""Freshdesk: replies, ticket changes and ratings, by automations' webhooks or in the shape of its apps' events.

https://support.freshdesk.com/support/solutions/articles/132589-using-webhooks-in-automation-rules
https://developers.freshworks.com/docs/app-sdk/v2.3/freshdesk/serverless-apps/product-events/onconversation/
https://developers.freshdesk.com/api/#conversations, #satisfaction-ratings

Automations' bodies have neither ids nor times, and tell the description again with every update: ids come of the ticket
and the words. Freshdesk signs nothing; it can send a name and password.
"""

from __future__ import annotations

import base64
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
from voz_ingest.adapters.inbound.formats.labels import labels
from voz_ingest.adapters.inbound.formats.placeholders import PRIORITIES, STATUSES, Written
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, decode_object
from voz_ingest.domain.draft import Draft

_MAX_OWN_FIELDS = 20
_SOURCES = {"1": "email", "2": "portal", "3": "phone", "7": "chat", "9": "feedback_widget", "10": "outbound_email"}
_FORWARDED = "8"
"""The source of a conversation that an agent passed on to somebody else."""
_RATINGS = {-103: 1, -102: 2, -101: 3, 100: 4, 101: 5, 102: 6, 103: 7}
"""Freshdesk's numbers, from extremely unhappy to extremely happy, on a scale with equal steps."""
_RATING_WORDS = {
    **{"extremely unhappy": -103, "very unhappy": -102, "unhappy": -101, "not good": -103, "neutral": 100},
    **{"just okay": 100, "happy": 101, "very happy": 102, "extremely happy": 103, "awesome": 103},
}
_RATED = re.compile(r"(?:feedback|survey|satisfaction|rating)\w*\W+(-?10[0-3])\b", re.IGNORECASE)


def parse(payload: Payload) -> list[Draft]:
    """The events of an automation's body, of an app's event, or of a document of the API."""
    document = decode_object(payload)
    data, happened = walk.fields(document, "data"), walk.string(document, "event")
    inner = walk.fields(document, "freshdesk_webhook") or document
    if data and happened.startswith("on"):
        found = _app_event(payload, data, happened)
    elif "ratings" in inner:
        found = _rating(inner)
    elif "incoming" in inner:
        found = _conversation(payload, {"conversation": inner}, "onConversationCreate")
    else:
        found = placeholders.events(payload.own, inner, "freshdesk", _rating_in, **_own_fields(inner))
    return drafts.once(event for event in found if event.get("id"))


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether the secret stands in the URL, or is the password (or the name, as API keys are) of the request."""
    kind, _, said = payload.headers.get("authorization", "").partition(" ")
    try:
        pair = base64.b64decode(said, validate=True).decode() if kind.lower() == "basic" else ""
    except ValueError:
        pair = ""
    name, _, password = pair.partition(":")
    return signatures.matches([payload.query.get("secret", ""), password, name], secrets)


def _own_fields(body: Fields) -> Fields:
    """The fields that the company has added to its tickets, and the group and company of one."""
    named = {key.removeprefix("ticket_"): value for key, value in body.items()}
    own = {key: value for key, value in labels(named).items() if key.startswith("cf_")}
    return {
        **dict(list(own.items())[:_MAX_OWN_FIELDS]),
        "group": walk.string(named, "group_name"),
        "company": walk.string(named, "company_name"),
    }


def _app_event(payload: Payload, data: Fields, happened: str) -> Iterator[Fields]:
    if happened in ("onTicketCreate", "onTicketUpdate"):
        return _ticket(payload, data, happened)
    if happened.startswith("onConversation"):
        return _conversation(payload, data, happened)
    if happened in ("onContactCreate", "onContactUpdate"):
        return _contact(data)
    return iter(())


def _ticket(payload: Payload, data: Fields, happened: str) -> Iterator[Fields]:
    """A new ticket is its description and its status; of a changed one only the status counts."""
    ticket = walk.fields(data, "ticket")
    number = walk.identifier(ticket, "id") or walk.identifier(ticket, "display_id")
    about, changes = _about(data, number), walk.fields(ticket, "changes") or walk.fields(data, "changes")
    if happened == "onTicketCreate":
        text = walk.string(ticket, "description_text") or tickets.words(walk.string(ticket, "description"))
        outbound = walk.identifier(ticket, "source") == "10" or people.is_own(payload.own, *_names(data, "actor"))
        if text:
            moment = times.iso(ticket.get("created_at"))
            direction = walk.some(direction="outbound" if outbound else None, occurred_at=moment)
            yield {**about, "id": placeholders.description_id(number), "text": reply.cut(text).text, **direction}
    elif changes and not changes.keys() & {"status", "priority", "responder_id", "model_changes"}:
        return
    now = _status(ticket.get("status_name") or ticket.get("status"))
    changed = walk.at(changes, "status") or walk.at(changes, "model_changes", "status")
    if isinstance(changed, list) and changed:
        now = tickets.changed(_status(changed[0]), now)
    version = times.iso(ticket.get("updated_at")) or times.iso(ticket.get("created_at")) or ""
    priority = PRIORITIES.get(walk.identifier(ticket, "priority"), walk.string(ticket, "priority").lower())
    assignee = walk.identifier(ticket, "responder_id")
    if now:
        event = tickets.event(about, number, now, version, priority=priority, assignee=assignee)
        yield {**event, **walk.some(occurred_at=version)}


def _status(said: object) -> str:
    word = walk.identifier(said)
    return tickets.status(STATUSES.get(word, word))


def _conversation(payload: Payload, data: Fields, happened: str) -> Iterator[Fields]:
    """A reply or a public note. `incoming`: a customer wrote it."""
    said, ticket = walk.fields(data, "conversation"), walk.fields(data, "ticket")
    number = walk.identifier(said, "ticket_id") or walk.identifier(ticket, "id")
    text = walk.string(said, "body_text") or tickets.words(walk.string(said, "body"))
    about, author = _about(data, number), walk.identifier(said, "user_id")
    if said.get("private") is True or walk.identifier(said, "source") == _FORWARDED:
        return
    outbound = said.get("incoming") is not True or people.is_own(payload.own, author, walk.string(said, "from_email"))
    if "id" not in about["customer"] and not outbound and author:
        about["customer"] = walk.some(id=ids.compose(author), **_reached(data, author))
    elif about["customer"] == people.NOBODY and outbound:
        about["customer"] = walk.some(handle=_addressee(said)) or people.NOBODY
    changed_at = times.iso(said.get("updated_at"))
    event = {
        **about,
        "id": ids.compose("conversation", walk.identifier(said, "id")),
        "text": reply.cut(text).text,
        **walk.some(
            direction="outbound" if outbound else None,
            occurred_at=times.iso(said.get("created_at")),
        ),
    }
    if happened == "onConversationDelete":
        yield drafts.deletion({**event, **walk.some(occurred_at=times.iso(said.get("deleted_at")) or changed_at)})
    elif text and happened == "onConversationUpdate":
        yield drafts.edit({**event, **walk.some(occurred_at=changed_at)}, changed_at or ids.digest(text)[:16])
    elif text:
        yield event


def _about(data: Fields, number: str) -> Fields:
    ticket = walk.fields(data, "ticket")
    requester = walk.fields(data, "requester") or walk.fields(ticket, "requester")
    person = walk.identifier(ticket, "requester_id") or walk.identifier(requester, "id")
    via = walk.identifier(ticket, "source")
    return walk.some(
        source="freshdesk",
        channel="ticket",
        customer=walk.some(id=ids.compose(person), **_person(requester)) or people.NOBODY,
        conversation=walk.some(id=ids.compose(number)),
        attributes=drafts.attributes(
            subject=walk.string(ticket, "subject"),
            via=_SOURCES.get(via, walk.string(ticket, "source_name") or via),
            ticket_type=walk.string(ticket, "type") or walk.string(ticket, "ticket_type"),
            tags=", ".join(walk.strings(ticket, "tags")),
        ),
    )


def _person(who: Fields) -> Fields:
    reach = (walk.string(who, "email"), walk.identifier(who, "mobile"), walk.identifier(who, "phone"))
    return walk.some(handle=next(filter(None, reach), "")[:255], name=people.full_name(walk.string(who, "name")))


def _reached(data: Fields, author: str) -> Fields:
    """What is known of an author beside the id: the actor is the one who wrote, if it is them."""
    actor = walk.fields(data, "actor")
    return _person(actor) if walk.identifier(actor, "id") == author else {}


def _names(data: Fields, who: str) -> tuple[str, ...]:
    person = walk.fields(data, who)
    return walk.identifier(person, "id"), walk.string(person, "email"), walk.string(person, "name")


def _addressee(said: Fields) -> str:
    """The first address that a reply goes to: `Ana <ana@example.com>`."""
    addresses = [*walk.strings(said, "to_emails"), *walk.strings(said, "to_email"), walk.string(said, "to_email")]
    found = next(filter(None, addresses), "")
    return found.rpartition("<")[2].rstrip("> ")[:255]


def _contact(data: Fields) -> Iterator[Fields]:
    """Who a customer is. Addresses and numbers link to other sources, and aren't told otherwise."""
    contact = walk.fields(data, "contact")
    person = walk.identifier(contact, "id")
    changed_at = times.iso(contact.get("updated_at")) or times.iso(contact.get("created_at"))
    profile = walk.some(
        **{
            "id.email": walk.string(contact, "email")[:255],
            "id.phone": (walk.identifier(contact, "mobile") or walk.identifier(contact, "phone"))[:255],
            "id.company": walk.identifier(contact, "unique_external_id")[:255],
        },
        **drafts.attributes(
            job_title=walk.string(contact, "job_title"),
            language=walk.string(contact, "language"),
            time_zone=walk.string(contact, "time_zone"),
            company=walk.identifier(contact, "company_id"),
            tags=", ".join(walk.strings(contact, "tags")),
        ),
    )
    if person and profile and contact.get("deleted") is not True:
        yield walk.some(
            source="freshdesk",
            id=ids.compose("contact", person, changed_at or ids.digest(*map(str, profile.values()))[:16]),
            channel="crm",
            customer=walk.some(id=ids.compose(person), **_person(contact)),
            profile=profile,
            occurred_at=changed_at,
        )


def _rating(rating: Fields) -> Iterator[Fields]:
    """A rating as the API has it."""
    ticket, person = walk.identifier(rating, "ticket_id"), walk.identifier(rating, "user_id")
    score = _score(walk.at(rating, "ratings", "default_question"), walk.string(rating, "feedback"))
    if score:
        yield walk.some(
            source="freshdesk",
            id=ids.compose("rating", walk.identifier(rating, "id")),
            channel="ticket",
            customer=walk.some(id=ids.compose(person)) or people.NOBODY,
            conversation=walk.some(id=ids.compose(ticket)),
            survey=score,
            occurred_at=times.iso(rating.get("created_at")),
        )


def _rating_in(said: Written) -> Fields:
    """A rating in an automation's body: a number, its words, or what triggered it."""
    triggered = _RATED.search(said.get("triggeredevent"))
    names = ("satisfactionrating", "satisfactionscore", "surveyrating", "feedbackrating", "rating", "csat")
    score = said.get(*names) or (triggered[1] if triggered else "")
    return _score(score, said.get("satisfactioncomment", "surveycomment", "surveyfeedback", "feedback"))


def _score(said: object, comment: str) -> Fields:
    number = walk.number(said)
    if number is None:
        number = _RATING_WORDS.get(" ".join(said.lower().split())) if isinstance(said, str) else None
    step = _RATINGS.get(int(number)) if number is not None and float(number).is_integer() else None
    scale = {"min": 1, "max": 7}
    return walk.some(metric="csat", score=step, scale=scale, comment=comment) if step else {}
