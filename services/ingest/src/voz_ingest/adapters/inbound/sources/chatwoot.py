"""Chatwoot: messages, conversations, ratings and contacts.

https://www.chatwoot.com/hc/user-guide/articles/1677693021-how-to-use-webhooks
https://github.com/chatwoot/chatwoot (app/listeners/webhook_listener.rb, lib/webhooks/trigger.rb)

The customer is the contact, who stands in `conversation.meta.sender` when an agent writes. Times are ISO or Unix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from voz_ingest.adapters.inbound.formats import drafts, ids, people, reply, signatures, tickets, times, walk
from voz_ingest.adapters.inbound.formats.labels import labels
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, decode_object
from voz_ingest.domain.draft import Draft

_TYPES = {"0": "incoming", "1": "outgoing", "2": "activity", "3": "template"}
_CHANNELS = {"Channel::Email": "email", "Channel::Voice": "phone"}
_CONVERSATION_EVENTS = frozenset(
    {"conversation_created", "conversation_status_changed", "conversation_opened", "conversation_resolved"}
)
_TOLD_CHANGES = frozenset({"status", "assignee_id", "team_id", "priority"})
_OWN_RULE = "automation_event."
_NOT_PROFILE = frozenset({"email", "phone", "phone_number", "created_at_ip", "updated_at_ip", "ip", "avatar_url"})
_NO_WORDS = "-"


def parse(payload: Payload) -> list[Draft]:
    """The events of a webhook, or of an automation rule's."""
    document = decode_object(payload)
    happened = walk.string(document, "event")
    return drafts.once(event for event in _events(payload, document, happened) if event.get("id"))


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether Chatwoot signed the time and the body, within five minutes. Versions that sign nothing need the secret in
    the URL."""
    given, moment = (payload.headers.get(f"x-chatwoot-{name}", "").strip() for name in ("signature", "timestamp"))
    if not given:
        return signatures.secret_in_url(payload, secrets)
    signed = moment.encode(errors="replace") + b"." + payload.body
    expected = ["sha256=" + signatures.hex_hmac(secret, signed) for secret in secrets]
    return signatures.matches([given], expected) and signatures.is_recent(walk.number(moment), payload.received_at)


def _events(payload: Payload, document: Fields, happened: str) -> Iterator[Fields]:
    if happened == "message_created":
        yield from _message(payload, document)
    elif happened == "message_updated":
        yield from _changed(payload, document)
    elif happened == f"{_OWN_RULE}message_created":
        for message in walk.objects(document, "messages"):
            yield from _message(payload, {**message, "conversation": document})
    elif happened.removeprefix(_OWN_RULE) in _CONVERSATION_EVENTS:
        yield from _conversation(document, created=happened.endswith("_created"))
    elif happened == "conversation_updated" and _changes(document).keys() & _TOLD_CHANGES:
        yield from _conversation(document, created=False)
    elif happened == "webwidget_triggered":
        yield _opened(document)
    elif happened in ("contact_created", "contact_updated"):
        yield from _contact(document)


def _message(payload: Payload, message: Fields) -> Iterator[Fields]:
    """Something said; not a note, nor what the system tells of the conversation."""
    kind = _kind(message)
    if kind not in ("incoming", "outgoing", "template") or message.get("private") is True:
        return
    conversation, sender = walk.fields(message, "conversation"), walk.fields(message, "sender")
    contact = _contact_of(message, kind)
    by_company = kind != "incoming" or people.is_own(payload.own, walk.string(contact, "email"), _phone(contact))
    text, name = _text(message), walk.string(sender, "name") if kind != "incoming" else ""
    about = _about(conversation, contact, _channel(message), author=name, subject=_subject(message))
    answered = ids.compose(walk.identifier(message, "content_attributes", "in_reply_to"))
    if text:
        yield {
            **about,
            **walk.some(
                id=ids.compose(walk.identifier(message, "id")),
                conversation={**about.get("conversation", {}), **walk.some(reply_to=answered)},
                direction="outbound" if by_company else None,
                text=text,
                occurred_at=_moment(message.get("created_at")),
            ),
        }


def _changed(payload: Payload, message: Fields) -> Iterator[Fields]:
    """An update of a message, which also tells of receipts: a deletion, an edit, or what a form was answered."""
    about = walk.fields(message, "content_attributes")
    said = next(_message(payload, {**message, "content": walk.string(message, "content") or _NO_WORDS}), None)
    if said is None or "id" not in said:
        return
    answers = walk.at(about, "submitted_values") or message.get("submitted_values")
    if about.get("deleted") is True:
        yield {name: value for name, value in drafts.deletion(said).items() if name != "occurred_at"}
    elif walk.string(message, "content_type") == "input_csat":
        yield from _rating(said, walk.fields(answers, "csat_survey_response"), walk.string(message, "content"))
    elif isinstance(answers, list) and answers and walk.string(message, "content_type") != "input_email":
        yield from _answered(said, answers)
    elif (walk.flag(about, "is_edited") or walk.identifier(about, "edited_at")) and said["text"] != _NO_WORDS:
        yield drafts.edit(said, walk.identifier(about, "edited_at") or ids.digest(said["text"])[:16])


def _rating(asked: Fields, rating: Fields, question: str) -> Iterator[Fields]:
    """A rating from 1 to 5. Chatwoot tells of it at once, and again when words are added."""
    score, comment = walk.number(rating, "rating"), walk.string(rating, "feedback_message")
    if score is None or not 1 <= score <= 5:
        return
    kept = {name: value for name, value in asked.items() if name not in ("text", "direction", "occurred_at")}
    scale = {"min": 1, "max": 5}
    survey = walk.some(metric="csat", score=int(score), scale=scale, question=question[:2000], comment=comment)
    event = {**kept, "id": ids.compose(asked["id"], "csat"), "survey": survey}
    yield drafts.edit(event, ids.digest(str(score), comment)[:16]) if comment else event


def _answered(asked: Fields, answers: list[Any]) -> Iterator[Fields]:
    """What a customer chose or typed into a form."""
    said = [walk.string(answer, "title") or walk.identifier(answer, "value") for answer in answers]
    text = "\n".join(filter(None, said))
    if text:
        kept = {name: value for name, value in asked.items() if name not in ("direction", "occurred_at")}
        conversation = {**asked.get("conversation", {}), "reply_to": asked["id"]}
        yield {**kept, "id": ids.compose(asked["id"], "submitted"), "conversation": conversation, "text": text}


def _conversation(document: Fields, *, created: bool) -> Iterator[Fields]:
    """Where a conversation stands; of a new one also who its contact is, if the company's own signature says so."""
    contact, number = _contact_of({"conversation": document}, ""), _number(document)
    about = _about(document, contact, _channel({"conversation": document}))
    moments = (document.get("created_at") if created else document.get("updated_at"), document.get("timestamp"))
    happened_at = next(filter(None, map(_moment, moments)), "")
    now = tickets.status(walk.string(document, "status"))
    before = walk.at(_changes(document), "status", "previous_value")
    now = "new" if created and now == "open" else tickets.changed(tickets.status(walk.identifier(before)), now)
    assignee = walk.fields(document, "meta", "assignee") or walk.fields(document, "assignee")
    if now:
        named = walk.string(assignee, "name") or walk.identifier(assignee, "id")
        priority = walk.string(document, "priority")
        event = tickets.event(about, number, now, happened_at, priority=priority, assignee=named)
        yield {**event, **walk.some(occurred_at=happened_at)}
    identifier = walk.identifier(contact, "identifier")[:255]
    verified = (walk.at(document, "meta", "hmac_verified"), walk.at(document, "contact_inbox", "hmac_verified"))
    if created and identifier and True in verified and "id" in about["customer"]:
        yield {
            **about,
            "id": ids.compose("contact", about["customer"]["id"], "verified", identifier),
            "channel": "crm",
            "profile": {"id.company": identifier},
            **walk.some(occurred_at=happened_at),
        }


def _opened(document: Fields) -> Fields:
    """Somebody opened the chat on a page."""
    contact, told = walk.fields(document, "contact"), walk.fields(document, "event_info")
    person = walk.identifier(contact, "id") or walk.identifier(document, "contact_id")
    said = walk.at(told, "initiated_at", "timestamp") or told.get("initiated_at")
    visit = walk.identifier(document, "source_id") or person or walk.identifier(document, "id")
    page = walk.string(told, "referer")[:2048]
    return walk.some(
        source="chatwoot",
        id=ids.compose("widget", visit, ids.digest(walk.identifier(said), page)[:16]),
        channel="chat",
        customer=walk.some(id=ids.compose(person), **_person(contact)) or people.NOBODY,
        conversation=walk.some(id=ids.compose(walk.identifier(document, "current_conversation", "id"))),
        behaviour=walk.some(type="chat_opened", url=page),
        language=walk.language(told, "browser_language"),
        occurred_at=_moment(said),
        attributes=drafts.attributes(inbox=walk.string(document, "inbox", "name")),
    )


def _contact(contact: Fields) -> Iterator[Fields]:
    """What is known of a contact. Addresses and ids that visitors may have typed don't link them to anybody."""
    known = {**walk.fields(contact, "additional_attributes"), **walk.fields(contact, "custom_attributes")}
    person = walk.identifier(contact, "id")
    plain = labels(known, without=_NOT_PROFILE).items()
    profile = {name: value for name, value in plain if not name.startswith("social_")}  # names on other networks
    if profile and person:
        version = ids.digest(*(f"{name}={value}" for name, value in sorted(profile.items())))[:16]
        yield walk.some(
            source="chatwoot",
            id=ids.compose("contact", person, version),
            channel="crm",
            customer=walk.some(id=ids.compose(person), **_person(contact)),
            profile=profile,
        )


def _about(conversation: Fields, contact: Fields, channel: str, **more: str) -> Fields:
    person = walk.identifier(contact, "id") or walk.identifier(conversation, "contact_inbox", "contact_id")
    return walk.some(
        source="chatwoot",
        channel=channel,
        customer=walk.some(id=ids.compose(person), **_person(contact)) or people.NOBODY,
        conversation=walk.some(id=ids.compose(_number(conversation))),
        attributes=drafts.attributes(
            inbox_channel=walk.string(conversation, "channel").removeprefix("Channel::"),
            labels=", ".join(walk.strings(conversation, "labels")),
            url=walk.string(conversation, "additional_attributes", "referer"),
            **more,
        ),
    )


def _number(conversation: Fields) -> str:
    """The number that a conversation has in its account: everybody sees it."""
    return walk.identifier(conversation, "display_id") or walk.identifier(conversation, "id")


def _contact_of(message: Fields, kind: str) -> Fields:
    sender, contact = walk.fields(message, "sender"), walk.fields(message, "contact")
    if kind == "incoming" and "id" in contact:
        return contact  # older versions, whose sender is the agent
    if kind == "incoming" and walk.string(sender, "type").lower() in ("", "contact") and sender:
        return sender
    return walk.fields(message, "conversation", "meta", "sender") or contact


def _person(contact: Fields) -> Fields:
    handle = walk.string(contact, "email") or _phone(contact)
    return walk.some(handle=handle[:255], name=people.full_name(walk.string(contact, "name")))


def _phone(contact: Fields) -> str:
    return walk.identifier(contact, "phone_number")


def _kind(message: Fields) -> str:
    said = walk.identifier(message, "message_type")
    return _TYPES.get(said, said)


def _channel(message: Fields) -> str:
    if walk.string(message, "content_type") == "incoming_email":
        return "email"
    return _CHANNELS.get(walk.string(message, "conversation", "channel"), "chat")


def _text(message: Fields) -> str:
    """What was said; of a mail without what it quotes."""
    content, mail = walk.string(message, "content"), walk.fields(message, "content_attributes", "email")
    if _channel(message) != "email":
        return content
    for plain in (walk.string(mail, "text_content", "reply"), content, walk.string(mail, "text_content", "full")):
        if plain:
            return reply.cut(plain).text
    markup = walk.string(mail, "html_content", "reply") or walk.string(mail, "html_content", "full")
    return tickets.words(markup)


def _subject(message: Fields) -> str:
    return walk.string(message, "content_attributes", "email", "subject") or walk.string(
        message, "conversation", "additional_attributes", "mail_subject"
    )


def _changes(document: Fields) -> Fields:
    """What has changed, by attribute: Chatwoot has a list of objects with one attribute each."""
    changed = document.get("changed_attributes")
    listed = changed if isinstance(changed, list) else [changed]
    return {name: value for item in listed if isinstance(item, dict) for name, value in item.items()}


def _moment(said: Any) -> str | None:
    """ISO, Unix time, or as browsers write it (`Fri Nov 20 2026 11:00:00 GMT+0100 (CET)`)."""
    found = times.moment(said)
    if found or not isinstance(said, str):
        return found
    try:
        return times.rfc3339(datetime.strptime(said.partition(" (")[0], "%a %b %d %Y %H:%M:%S GMT%z"))
    except ValueError:
        return None
