"""What Facebook Pages and Instagram accounts share: entries with changes, and the messages of the Messenger Platform.

https://developers.facebook.com/docs/messenger-platform/reference/webhook-events
https://developers.facebook.com/docs/instagram-platform/webhooks/examples
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from voz_ingest.adapters.inbound.formats import drafts, ids, people, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode

_LEAST_MILLISECONDS = 1e11
"""As seconds it would lie in the year 5138, as milliseconds in 1973."""

_MAX_ELEMENT_CHARS = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """What a delivery says of one page or account."""

    source: str
    own: frozenset[str]
    """The company's accounts; this one is among them."""
    account: str
    sent_at: str | None
    fields: Fields


def entries(payload: Payload, source: str, kind: str) -> Iterator[Entry]:
    """What a delivery says of each page or account, if it is about the `kind` of object that the source is about.

    A change without its envelope, as the dashboard's test button shows it, is an entry of nobody's.
    """
    document = decode(payload.body)
    if not isinstance(document, (dict, list)):
        raise PayloadError("", "must be a JSON object")
    for delivery in document if isinstance(document, list) else [document]:
        if walk.string(delivery, "object") in ("", kind):
            for fields in [*walk.objects(delivery, "entry")] or [walk.fields(delivery)]:
                account = walk.identifier(fields, "id")
                own = payload.own | {account} if account else payload.own
                yield Entry(source, own, account, moment(fields.get("time")), fields)


def changes(entry: Entry) -> Iterator[tuple[str, Fields]]:
    """Name and value of each field that changed; messages that come as changes are not among them."""
    for changed in _changed(entry):
        value = walk.fields(changed, "value")
        if not _is_message(value):
            yield walk.string(changed, "field"), value


def messages(entry: Entry) -> Iterator[Fields]:
    """Events of the messages of an entry, in whichever of its shapes they come."""
    for name in ("messaging", "standby"):  # standby: another app of the company holds the conversation
        for item in walk.objects(entry.fields, name):
            yield from _message(entry, item)
    for changed in _changed(entry):
        value = walk.fields(changed, "value")
        if _is_message(value):
            yield from _message(entry, value)


def moment(value: Any) -> str | None:
    """A time in whichever form Meta gives it: seconds, milliseconds (both in one delivery), a string of them, ISO."""
    found = walk.number(value)
    if found is None:
        return times.iso(value)
    if found <= 0:
        return None
    return times.milliseconds(value) if found >= _LEAST_MILLISECONDS else times.seconds(value)


def _changed(entry: Entry) -> list[Fields]:
    return [*walk.objects(entry.fields, "changes")] or [entry.fields]


def _is_message(value: Fields) -> bool:
    return "sender" in value and "recipient" in value


def _message(entry: Entry, item: Fields) -> Iterator[Fields]:
    """A message, its edit or deletion, or the button that was pressed; receipts, reactions and the like are none."""
    message, edit, postback = (walk.fields(item, name) for name in ("message", "message_edit", "postback"))
    said = message or edit or postback
    sender, recipient = _party(item, "sender"), _party(item, "recipient")
    outbound = walk.flag(message, "is_echo") or walk.flag(item, "is_self") or people.is_own(entry.own, sender)
    customer = recipient if outbound and (sender in entry.own or recipient not in entry.own) else sender
    name = ids.compose(walk.identifier(said, "mid"))
    if postback and not name:  # older ones have no id: it is the press of a button at a moment by a person
        pressed = ids.digest(walk.string(postback, "payload"), walk.string(postback, "title"))[:16]
        name = ids.compose("postback", customer, walk.identifier(item, "timestamp"), pressed)
    if not name:
        return
    text = walk.string(said, "title" if postback else "text")
    event = walk.some(
        source=entry.source,
        id=name,
        channel="chat",
        direction="outbound" if outbound else None,
        customer={"id": customer} if customer else people.NOBODY,
        conversation=walk.some(
            id=ids.compose(entry.account, customer), reply_to=ids.compose(walk.identifier(said, "reply_to", "mid"))
        ),
        text=text,
        behaviour=_press(postback) if postback and not text else None,
        occurred_at=moment(item.get("timestamp")) or entry.sent_at,
        attributes=_attributes(entry, said),
    )
    if walk.flag(message, "is_deleted"):
        yield drafts.deletion(event)
    elif edit and text:
        yield drafts.edit(event, walk.identifier(edit, "num_edit") or ids.digest(text)[:16])
    elif text or postback:
        yield event


def _press(postback: Fields) -> Fields:
    """A button whose words are not told, only what the company calls it."""
    return walk.some(type="click", element=walk.string(postback, "payload")[:_MAX_ELEMENT_CHARS])


def _attributes(entry: Entry, said: Fields) -> Fields:
    referral = walk.fields(said, "referral")
    return drafts.attributes(
        account=entry.account,
        payload=walk.string(said, "quick_reply", "payload") or walk.string(said, "payload"),
        story=walk.identifier(said, "reply_to", "story", "id"),
        ref=walk.string(referral, "ref"),
        ad=walk.identifier(referral, "ad_id"),
    )


def _party(item: Fields, name: str) -> str:
    """Somebody's id; who wrote from a web site's plugin has a reference instead."""
    return walk.identifier(item, name, "id") or walk.identifier(item, name, "user_ref")
