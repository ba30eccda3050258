"""WhatsApp Business Platform (Cloud API): messages, edits, revocations, echoes, chat history.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/smb_message_echoes
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/history
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids

A customer's id is WhatsApp's user id (BSUID) where the payload has one, for it is there whether or not the number is
shown; else the number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from voz_ingest.adapters.inbound.formats import drafts, ids, meta, people, times, walk, whatsapp
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, decode_object
from voz_ingest.domain.draft import Draft

PHONE_IDS = True
SUCCESS = 200  # Meta sends again what is answered otherwise

verify = meta.verify
challenge = meta.challenge


def parse(payload: Payload) -> list[Draft]:
    """The messages of a delivery, each once, however often the delivery holds it."""
    return drafts.once(
        event for value in _values(decode_object(payload)) for event in _change(payload.own, value) if event
    )


def _values(document: Fields) -> Iterator[Fields]:
    """What the changes of a delivery say; also of one without its envelope, as the dashboard's test button shows it and
    some providers pass it on."""
    for entry in walk.objects(document, "entry"):
        for change in walk.objects(entry, "changes"):
            yield walk.fields(change, "value")
    yield walk.fields(document, "value")
    yield {} if "entry" in document else document


_Who = tuple[str, str]
"""A person's number and user id; one may be empty."""


@dataclass(frozen=True, slots=True)
class _Side:
    """The business number that a change is about, and who talked with it."""

    own: frozenset[str]
    number: str
    number_id: str
    contacts: tuple[Fields, ...]
    only_one: bool
    """Whether there is one contact and one person: they are the same, even where the number is written otherwise."""


def _change(own: frozenset[str], value: Fields) -> Iterator[Fields]:
    """The events of one change, empty for what is none. Its field tells nothing that its content doesn't: `standby`
    holds messages and echoes as `messages` and `smb_message_echoes` do, and `history` has all three forms."""
    messages, echoes = [*walk.objects(value, "messages")], [*walk.objects(value, "message_echoes")]
    contacts = tuple(walk.objects(value, "contacts"))
    side = _Side(
        own=own,
        number=_digits(walk.identifier(value, "metadata", "display_phone_number")),
        number_id=walk.identifier(value, "metadata", "phone_number_id"),
        contacts=contacts,
        only_one=len(contacts) == 1 and len({*map(_sender, messages), *map(_recipient, echoes)}) == 1,
    )
    for message in messages:
        yield _message(side, message, _sender(message))
    for echo in echoes:
        yield _message(side, echo, _recipient(echo), sent=True)
    for update in walk.objects(value, "user_id_update"):
        yield _new_user_id(side, update)
    for history in walk.objects(value, "history"):
        for thread in walk.objects(history, "threads"):
            yield from _thread(side, thread)


def _sender(message: Fields) -> _Who:
    return walk.identifier(message, "from"), walk.identifier(message, "from_user_id")


def _recipient(message: Fields) -> _Who:
    return walk.identifier(message, "to"), walk.identifier(message, "to_user_id")


def _thread(side: _Side, thread: Fields) -> Iterator[Fields]:
    """Messages of the time before the number was connected: the thread names the customer, whoever wrote."""
    context = walk.fields(thread, "context")
    number = walk.identifier(thread, "id") or walk.identifier(context, "wa_id")
    who = (number, walk.identifier(context, "user_id"))
    for message in walk.objects(thread, "messages"):
        writer = walk.identifier(message, "from")
        sent = _is_business(side, writer) or walk.flag(message, "history_context", "from_me")
        if not side.number and writer and number:
            sent = _digits(writer) != _digits(number)
        yield _message(side, message, who, sent=sent, username=walk.string(context, "username"))


def _message(side: _Side, message: Fields, who: _Who, *, sent: bool = False, username: str = "") -> Fields:
    """One message; empty for what is no event: media without words, reactions, types that nobody knows."""
    if not sent and _is_business(side, who[0]):  # an echo among the messages
        sent, who = True, _recipient(message)
    customer = _customer(side, who, username)
    common = walk.some(
        source="whatsapp",
        channel="chat",
        direction="outbound" if sent else None,
        customer=customer,
        conversation=walk.some(
            id=walk.identifier(message, "group_id") or _chat(side, customer),
            reply_to=walk.identifier(message, "context", "id"),
        ),
        occurred_at=times.seconds(message.get("timestamp")),
    )
    kind = walk.string(message, "type")
    if kind == "revoke":
        original = walk.identifier(message, "revoke", "original_message_id")
        return drafts.deletion({**common, "id": ids.compose(original)}) if original else {}
    if kind == "system":
        return _profile(common, message)
    if kind == "edit":
        return _edit(common, message)
    return _event(common, message, whatsapp.content(message))


def _event(common: Fields, message: Fields, content: Fields) -> Fields:
    if not content:
        return {}
    number = walk.identifier(message, "id") or ids.digest(str(common), str(content))
    attributes = {**content.get("attributes", {}), **whatsapp.origin(message)}
    return {**common, "id": ids.compose(number), **content, **walk.some(attributes=attributes)}


def _edit(common: Fields, message: Fields) -> Fields:
    """A new version of a message, as a customer can make within 15 minutes of it."""
    edited = walk.fields(message, "edit", "message")
    content = whatsapp.content(edited)
    original = walk.identifier(message, "edit", "original_message_id")
    if not original or not content:
        return _event(common, message, content)
    reply_to = walk.identifier(edited, "context", "id")
    version = walk.identifier(message, "timestamp") or walk.identifier(message, "id") or "1"
    conversation = {**common.get("conversation", {}), **walk.some(reply_to=reply_to)}
    return drafts.edit({**common, **content, "id": ids.compose(original), "conversation": conversation}, version)


def _profile(common: Fields, message: Fields) -> Fields:
    """A new number, or a new user id, of the same person: said of who they were, so that both are joined.

    `new_wa_id` was the new number until 2021, `wa_id` is since; `previous_user_id` comes since August 2026.
    """
    system = walk.fields(message, "system")
    if not walk.string(system, "type").endswith(("changed_number", "changed_user_id")):
        return {}
    old_number = walk.identifier(message, "from") or walk.identifier(system, "customer")
    new_number = walk.identifier(system, "new_wa_id") or walk.identifier(system, "wa_id")
    old_id = walk.identifier(system, "previous_user_id") or walk.identifier(message, "from_user_id")
    new_id = walk.identifier(system, "user_id")
    known = old_id or new_id or old_number
    if not known or not (new_number or new_id):
        return {}
    now = new_id or new_number
    profile = {
        "id.whatsapp": now if now != known else "",
        "id.phone": new_number,
        "id.previous_phone": old_number if old_number != new_number else "",
    }
    if not any(profile.values()):
        return {}
    number = walk.identifier(message, "id") or ids.digest(known, new_number, new_id)
    customer = walk.some(id=known, handle=new_number or old_number)
    return {**common, "id": ids.compose(number), "customer": customer, "profile": walk.some(**profile)}


def _new_user_id(side: _Side, update: Fields) -> Fields:
    """The same as it was announced first, on a field of its own, which some providers still pass on."""
    system = walk.some(
        type="user_changed_user_id",
        user_id=walk.identifier(update, "user_id", "current"),
        previous_user_id=walk.identifier(update, "user_id", "previous"),
    )
    who = {"from": update.get("wa_id"), "timestamp": update.get("timestamp")}
    return _message(side, {**who, "type": "system", "system": system}, _sender(who))


def _chat(side: _Side, customer: Fields) -> str:
    """An id for the chat of a number with a customer, which WhatsApp gives none; a hash, for it would hold a number."""
    return ids.digest(side.number_id, customer["id"]) if "id" in customer else ""


def _customer(side: _Side, who: _Who, username: str) -> Fields:
    number, user_id = who
    contact = _contact(side, who)
    number, user_id = number or walk.identifier(contact, "wa_id"), user_id or walk.identifier(contact, "user_id")
    username = username or walk.string(contact, "profile", "username")
    if number == user_id and username:  # of who hides the number the user id may stand in its place
        number = ""
    found = walk.some(
        id=user_id or number,
        handle=number or username,
        name=people.full_name(walk.string(contact, "profile", "name")),
    )
    return found if "id" in found or "handle" in found else {**found, **people.NOBODY}


def _contact(side: _Side, who: _Who) -> Fields:
    """The contact that a message is from or to: contacts stand beside the messages, not in them."""
    number, user_id = who
    for contact in side.contacts:
        if user_id and walk.identifier(contact, "user_id") == user_id:
            return contact
        if number and walk.identifier(contact, "wa_id") == number:
            return contact
    return side.contacts[0] if side.only_one else {}


def _is_business(side: _Side, number: str) -> bool:
    digits = _digits(number)
    return bool(digits) and (digits == side.number or digits in map(_digits, side.own))


def _digits(number: str) -> str:
    return "".join(filter(str.isdecimal, number))
