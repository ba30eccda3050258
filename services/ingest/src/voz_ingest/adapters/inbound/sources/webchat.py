"""A company's own web chat, in Voz's own simple shape: a conversation, its visitor, its messages.

docs/sources/webchat.md describes it.

Nobody vouches for a visitor's id, so it is a handle; with the company's HMAC of it, it is the company's own id of the
customer, as Intercom's and Chatwoot's identity verification have it.
"""

from __future__ import annotations

from collections.abc import Iterator

from voz_ingest.adapters.inbound.formats import drafts, html, ids, labels, people, signatures, speakers, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.fields import FieldError

CUSTOMER_IDS = "company"

_MILLISECONDS_FROM = 1e11  # as seconds that would be the year 5138
_SENDER = ("from", "sender", "role", "author")
_TEXT = ("text", "content", "body")
_SENT = ("sent_at", "created_at", "occurred_at", "timestamp", "at")
_CONVERSATION = ("conversation", "conversation_id", "session_id", "chat_id")
_VISITOR = ("visitor", "customer", "user", "visitor_id")


def parse(payload: Payload) -> list[Draft]:
    """The messages of a conversation, or of a list of them; a sender of neither side is an error of that message."""
    document = decode(payload.body)
    if not isinstance(document, (dict, list)):
        raise PayloadError("", "must be a conversation, as a JSON object, or a list of them")
    chats = [("", document)] if isinstance(document, dict) else [(f"/{n}", chat) for n, chat in enumerate(document)]
    events: list[Fields] = []
    errors: list[FieldError] = []
    for pointer, chat in chats:
        if isinstance(chat, dict):
            customer = _customer(payload, chat)
            events += _identified(chat, customer)
            for where, message in _messages(chat):
                if _is_sent(payload, chat, message) is None and _text(message):
                    errors.append(FieldError(f"{pointer}{where}/from", "must be visitor, agent or bot"))
                else:
                    events += _message(payload, chat, message, customer)
    return [*drafts.once(events), *(Draft(None, errors=(error,)) for error in errors)]


def _messages(chat: Fields) -> Iterator[tuple[str, Fields]]:
    """Each message and where it stands: `messages`, one `message`, or the conversation itself."""
    several, one = chat.get("messages"), chat.get("message")
    if isinstance(several, list):
        yield from ((f"/messages/{n}", message) for n, message in enumerate(several) if isinstance(message, dict))
    elif isinstance(one, dict):
        yield "/message", one
    else:
        yield "", chat


def _message(payload: Payload, chat: Fields, message: Fields, customer: Fields) -> Iterator[Fields]:
    text, deleted = _text(message), message.get("deleted_at") or walk.flag(message, "deleted")
    if not (text or deleted) or walk.flag(message, "private") or walk.flag(message, "internal"):
        return
    conversation = _conversation(chat)
    sent = _is_sent(payload, chat, message)
    reply_to = walk.identifier(message, "reply_to")
    number = walk.identifier(message, "id") or (_derived(message, text) if text else "")
    event = walk.some(
        id=_id(conversation, number),
        source="webchat",
        channel="chat",
        direction="outbound" if sent else None,
        customer=customer,
        conversation=walk.some(id=ids.compose(conversation), reply_to=_id(conversation, reply_to)),
        text=text,
        language=walk.language(message, "language") or walk.language(chat, "language"),
        occurred_at=_time(message, *_SENT),
        attributes=_attributes(chat, message, sent),
    )
    if "id" not in event:
        return
    if deleted:
        when = _time(message, "deleted_at")
        yield drafts.deletion(walk.some(**{**event, "occurred_at": when or event.get("occurred_at")}))
    elif message.get("edited_at"):
        when = _time(message, "edited_at")
        yield drafts.edit(walk.some(**{**event, "occurred_at": when}), when or ids.digest(text))
    else:
        yield event


def _is_sent(payload: Payload, chat: Fields, message: Fields) -> bool | None:
    """Whether the company wrote it; None when its sender is on neither side. Without a sender it is the visitor's."""
    sender = next((message[name] for name in _SENDER if message.get(name)), None)
    names = [walk.identifier(sender)] if not isinstance(sender, dict) else []
    names += [walk.identifier(sender, name) for name in ("role", "type", "id", "email", "name")]
    names = [name for name in names if name]
    if any(people.is_own(payload.own, name) for name in names):
        return True
    direction = walk.string(message, "direction")
    if direction in ("inbound", "outbound"):
        return direction == "outbound"
    visitor = {walk.identifier(_visitor(chat), name) for name in ("id", "email", "name")}
    if not names or visitor & {*names}:
        return False
    side = next(filter(None, map(speakers.side, names)), None)
    return None if side is None else side == "company"


def _customer(payload: Payload, chat: Fields) -> Fields:
    """The visitor: by the company's id where its HMAC proves it, else by what the chat knows them by."""
    visitor = _visitor(chat)
    number, email = walk.identifier(visitor, "id"), walk.string(visitor, "email")
    verified = bool(number) and _is_verified(payload, number, walk.string(visitor, "verified_hash"))
    known = walk.some(
        id=number if verified else None,
        handle=email if verified else number or email or ids.compose(_conversation(chat)),
        name=people.full_name(walk.string(visitor, "name")),
    )
    return known if "id" in known or "handle" in known else {**known, **people.NOBODY}


def _visitor(chat: Fields) -> Fields:
    """An object, or the id alone."""
    said = next((chat[name] for name in _VISITOR if chat.get(name)), None)
    return said if isinstance(said, dict) else walk.some(id=walk.identifier(said))


def _is_verified(payload: Payload, visitor: str, given: str) -> bool:
    """Whether this is the HMAC-SHA256 (hex) of the visitor's id under one of `options.identity_secret`."""
    option = payload.options.get("identity_secret", ())
    secrets = [option] if isinstance(option, str) else walk.strings(option)
    return signatures.matches([given.lower()], [signatures.hex_hmac(secret, visitor.encode()) for secret in secrets])


def _identified(chat: Fields, customer: Fields) -> Iterator[Fields]:
    """A visitor who was anonymous until now, and is that customer."""
    before = walk.identifier(_visitor(chat), "anonymous_id")
    if before and "id" in customer:
        yield {
            "id": ids.compose(before, "identify", ids.digest(customer["id"])),
            "source": "webchat",
            "channel": "chat",
            "customer": customer,
            "profile": {"id.webchat": before},
        }


def _attributes(chat: Fields, message: Fields, sent: bool | None) -> Fields:
    return {
        **labels.labels({**walk.fields(chat, "attributes"), **walk.fields(message, "attributes")}),
        **drafts.attributes(
            url=walk.string(message, "page") or walk.string(chat, "page"),
            agent=walk.string(message, "name") if sent else None,
        ),
    }


def _conversation(chat: Fields) -> str:
    names = (walk.identifier(chat, name) for name in _CONVERSATION)
    return next(filter(None, names), "") or walk.identifier(chat, "conversation", "id")


def _id(conversation: str, message: str) -> str:
    """A message's id is only unique in its conversation."""
    return ids.compose(*filter(None, [conversation]), message) if message else ""


def _derived(message: Fields, text: str) -> str:
    return ids.digest(text, *(str(message.get(name)) for name in (*_SENDER, *_SENT)))


def _text(message: Fields) -> str:
    text = next(filter(None, (walk.string(message, name) for name in _TEXT)), "")
    return text or html.to_text(walk.string(message, "html"))


def _time(message: Fields, *names: str) -> str | None:
    for value in (message.get(name) for name in names):
        number = walk.number(value)
        unix = times.milliseconds if number is not None and number >= _MILLISECONDS_FROM else times.seconds
        found = times.iso(value) or unix(value)
        if found:
            return found
    return None
