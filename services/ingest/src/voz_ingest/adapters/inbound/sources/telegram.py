"""Telegram bots: messages, edits and deletions in chats, groups, channels and business accounts, and buttons pressed.

https://core.telegram.org/bots/api#update
https://core.telegram.org/bots/api#setwebhook (the secret token)

A message's number is only unique in its chat, and in a business account's chats only for that account; a chat where the
bot is only a guest may bear the number of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voz_ingest.adapters.inbound.formats import drafts, ids, money, people, signatures, telegram, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode
from voz_ingest.domain.draft import Draft

_MESSAGES = ("message", "channel_post", "business_message", "guest_message")
_EDITS = ("edited_message", "edited_channel_post", "edited_business_message")
_MEDIA = ("photo", "video", "animation", "document", "audio", "voice", "video_note", "paid_media", "poll")


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether the request carries the token that `setWebhook` was given."""
    return signatures.matches([payload.headers.get("x-telegram-bot-api-secret-token", "")], secrets)


def parse(payload: Payload) -> list[Draft]:
    """The events of an update, or of several as `getUpdates` answers them."""
    document = decode(payload.body)
    if isinstance(document, dict):
        document = [*walk.objects(document, "result")] if "result" in document else [document]
    if not isinstance(document, list):
        raise PayloadError("", "must be an update or a list of updates")
    return drafts.once(event for update in walk.objects(document) for event in _update(payload.own, update) if event)


def _update(own: frozenset[str], update: Fields) -> Iterator[Fields]:
    for name in _MESSAGES:
        yield _message(own, walk.fields(update, name))
    for name in _EDITS:
        message = walk.fields(update, name)
        event = _message(own, {**message, "date": message.get("edit_date")})
        version = walk.identifier(message, "edit_date") or walk.identifier(update, "update_id") or "1"
        yield drafts.edit(event, version) if event else {}
    yield _press(own, walk.fields(update, "callback_query"))
    yield from _deletions(walk.fields(update, "deleted_business_messages"))


def _message(own: frozenset[str], message: Fields) -> Fields:
    """A message; empty for what has no words: stickers, places, who came and went."""
    number = _id(message)
    content = _content(message)
    if not number or not content:
        return {}
    sent = _is_sent(own, message)
    return walk.some(
        id=number,
        source="telegram",
        channel="chat",
        direction="outbound" if sent else None,
        customer=_customer(own, message, sent),
        conversation=_conversation(message),
        occurred_at=times.seconds(message.get("date")),
        **content,
    )


def _content(message: Fields) -> Fields:
    text = walk.string(message, "text") or walk.string(message, "caption") or walk.string(message, "poll", "question")
    text = text or telegram.rich_text(message)
    if text:
        return walk.some(text=text, attributes=_attributes(message))
    contact = walk.fields(message, "contact")  # a customer may give the bot their own number, at a button
    if contact and walk.identifier(contact, "user_id") == walk.identifier(message, "from", "id") != "":
        return walk.some(profile=walk.some(**{"id.phone": walk.identifier(contact, "phone_number")}))
    return _payment(message)


def _payment(message: Fields) -> Fields:
    """An invoice of the bot, paid or refunded; the payload is what the company calls the order."""
    for name, happened in (("successful_payment", "order_paid"), ("refunded_payment", "refund")):
        paid = walk.fields(message, name)
        if paid:
            currency = walk.string(paid, "currency")
            digits = 0 if currency == "XTR" else money.decimals(currency)  # Telegram's stars have no smaller unit
            order = walk.string(paid, "invoice_payload")[:255] or walk.identifier(paid, "telegram_payment_charge_id")
            worth = money.minor_worth(paid.get("total_amount"), currency, digits)
            return {"transaction": walk.some(type=happened, **worth, order_id=order)}
    return {}


def _attributes(message: Fields) -> Fields:
    kind = walk.string(message, "chat", "type")
    first = next(walk.objects(message, "entities"), {})
    is_command = walk.string(first, "type") == "bot_command" and walk.at(first, "offset") == 0
    return drafts.attributes(
        chat_type=kind if kind != "private" else None,
        chat_title=walk.string(message, "chat", "title"),
        forwarded=True if "forward_origin" in message or "forward_date" in message else None,
        media=next((name for name in _MEDIA if message.get(name)), None),
        command=walk.string(message, "text").split()[0] if is_command and walk.string(message, "text") else None,
        locale=walk.string(message, "from", "language_code"),
    )


def _is_sent(own: frozenset[str], message: Fields) -> bool:
    """Whether the company wrote it: a bot, an account of its own, the channel itself, a group's anonymous
    administrator, or in a business account's chat whoever isn't the customer whose chat it is."""
    sender, as_chat = walk.fields(message, "from"), walk.fields(message, "sender_chat")
    if any(people.is_own(own, walk.identifier(who, "id"), walk.string(who, "username")) for who in (sender, as_chat)):
        return True
    chat = walk.identifier(message, "chat", "id")
    customer = walk.identifier(message, "direct_messages_topic", "user", "id")  # who writes to a channel
    if walk.identifier(message, "business_connection_id"):
        customer = chat
    if customer:
        return bool(as_chat) or (bool(sender) and walk.identifier(sender, "id") != customer)
    if as_chat:
        return walk.identifier(as_chat, "id") == chat or walk.flag(message, "is_automatic_forward")
    return walk.flag(sender, "is_bot") or walk.string(message, "chat", "type") == "channel"


def _customer(own: frozenset[str], message: Fields, sent: bool) -> Fields:
    """Who it is about: the author; of what the company wrote, the person whose private chat it is or whom it answers;
    the company itself where it speaks to everybody."""
    chat = walk.fields(message, "chat")
    author = walk.fields(message, "sender_chat") or walk.fields(message, "from") or chat
    if not sent:
        return _person(author)
    if not walk.identifier(chat, "id").startswith("-"):  # a private chat has its person's id; others are negative
        return _person(chat)
    asked = walk.fields(message, "reply_to_message")
    if walk.fields(asked, "from") and not _is_sent(own, {"chat": chat, **asked}):
        return _person(walk.fields(asked, "sender_chat") or walk.fields(asked, "from"))
    return _person(walk.fields(message, "direct_messages_topic", "user") or author)


def _person(fields: Fields) -> Fields:
    name = people.full_name(walk.string(fields, "first_name"), walk.string(fields, "last_name"))
    return walk.some(
        id=walk.identifier(fields, "id"),
        handle=walk.string(fields, "username"),
        name=name or people.full_name(walk.string(fields, "title")),
    ) or {**people.NOBODY}


def _press(own: frozenset[str], query: Fields) -> Fields:
    """A button pressed under a message: its words where the message has them, else what the bot is told. Telegram says
    no time."""
    message, sender = walk.fields(query, "message"), walk.fields(query, "from")
    data = walk.string(query, "data")
    text = _label(message, data) or data
    number = ids.compose("callback", walk.identifier(query, "id"))
    if not text or not number:
        return {}
    sent = people.is_own(own, walk.identifier(sender, "id"), walk.string(sender, "username"))
    return walk.some(
        id=number,
        source="telegram",
        channel="chat",
        direction="outbound" if sent else None,
        customer=_person(sender),
        conversation=walk.some(id=_conversation(message).get("id"), reply_to=_id(message)),
        text=text,
        attributes=drafts.attributes(callback_data=data, locale=walk.string(sender, "language_code")),
    )


def _label(message: Fields, data: str) -> str:
    rows = walk.at(message, "reply_markup", "inline_keyboard")
    for row in rows if isinstance(rows, list) else ():
        for button in walk.objects(row):
            if data and walk.string(button, "callback_data") == data:
                return walk.string(button, "text")
    return ""


def _deletions(deleted: Fields) -> Iterator[Fields]:
    """Messages taken back in a business account's chat; Telegram doesn't say by whom, nor when."""
    numbers = walk.at(deleted, "message_ids")
    for number in numbers if isinstance(numbers, list) else ():
        original = walk.some(
            id=_id({**deleted, "message_id": number}),
            source="telegram",
            channel="chat",
            customer=_person(walk.fields(deleted, "chat")),
            conversation=_conversation(deleted),
        )
        yield drafts.deletion(original) if "id" in original else {}


def _conversation(message: Fields) -> Fields:
    """The chat, or the topic of a forum; what stands at a topic's head is not what is answered."""
    place, topic = _place(message), walk.identifier(message, "direct_messages_topic", "topic_id")
    answered = walk.fields(message, "reply_to_message")
    if walk.flag(message, "is_topic_message"):
        topic = walk.identifier(message, "message_thread_id")
        if walk.identifier(answered, "message_id") == topic:
            answered = {}
    reply_to = _id({**message, "is_automatic_forward": None, **answered}) if answered else ""
    return walk.some(id=ids.compose(*place, *filter(None, [topic])), reply_to=reply_to)


def _id(message: Fields) -> str:
    """A message's id. A channel's post in the group where it is discussed is the same post."""
    if walk.flag(message, "is_automatic_forward"):
        origin = walk.fields(message, "forward_origin")
        chat = walk.identifier(origin, "chat", "id") or walk.identifier(message, "forward_from_chat", "id")
        number = walk.identifier(origin, "message_id") or walk.identifier(message, "forward_from_message_id")
        if chat and number:
            return ids.compose(chat, number)
    place, number = _place(message), walk.identifier(message, "message_id")
    if number == "0":  # only its reader sees it; its own number is used again later
        number = ids.compose(walk.identifier(message, "ephemeral_message_id"), walk.identifier(message, "date"))
    return ids.compose(*place, number) if place else ""


def _place(message: Fields) -> list[str]:
    chat, account = walk.identifier(message, "chat", "id"), walk.identifier(message, "business_connection_id")
    account = account or ("guest" if walk.identifier(message, "guest_query_id") else "")
    return [part for part in (account, chat) if part] if chat else []
