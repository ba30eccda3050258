"""Discourse: posts and chat messages of a community, their edits, deletions and recoveries.

https://meta.discourse.org/t/configure-webhooks-that-trigger-on-discourse-events-to-integrate-with-external-services/49045
https://github.com/discourse/discourse/blob/main/app/serializers/web_hook_post_serializer.rb
https://github.com/discourse/discourse/blob/main/plugins/chat/plugin.rb

A post is named by its topic and its number in it, as its answers name it. A payload knows the one who is answered only
by their username, so people are known by it in all events. Staff (administrators, moderators) are the company.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from voz_ingest.adapters.inbound.formats import drafts, html, ids, people, signatures, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, decode_object
from voz_ingest.domain.draft import Draft

_OTHERS_WORDS = frozenset({"aside.quote", "aside.onebox", "details.elided", "div.meta", "div.chat-transcript"})
"""What the author did not write: quotes, previews of links, old mail, names and sizes of pictures."""
_QUOTE = re.compile(r"\[(quote|chat)\b[^\]]*\].*?\[/\1\]", re.DOTALL | re.IGNORECASE)
_EMOJI = re.compile(
    ":[a-z+-][a-z0-9_+-]*:(?:t[2-6]:)?"  # a name
    "|[0-9#*]\ufe0f?\u20e3|[\U0001f1e6-\U0001f1ff]{2}"  # keys, flags
    "|[\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934-\u2b55\U0001f000-\U0001faff]"
    "[\ufe0f\U0001f3fb-\U0001f3ff]*(?:\u200d[\u2600-\u27bf\U0001f300-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*)*"
)
"""An emoji, or the name that Discourse shows instead of it."""
_REGULAR, _BY_MODERATOR = 1, 2
"""Types of posts that are messages; 3 is a topic's small action (closed, pinned), 4 a whisper among staff."""


def parse(payload: Payload) -> list[Draft]:
    """The event of a post or of a chat message; topics, users, likes and the rest are none."""
    document, name = decode_object(payload), payload.headers.get("x-discourse-event", "")
    post, chat = walk.fields(document, "post"), walk.fields(document, "chat_message")
    if post and (not name or name.startswith("post_")):
        return drafts.once(_post(payload, name, post))
    if chat and (not name or name.startswith("chat_message_")):
        return drafts.once(_chat(payload, name, walk.fields(chat, "message") or chat, walk.fields(chat, "channel")))
    return []


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether the forum signed the body."""
    expected = ["sha256=" + signatures.hex_hmac(secret, payload.body) for secret in secrets]
    return signatures.matches([payload.headers.get("x-discourse-event-signature", "").strip()], expected)


def _post(payload: Payload, name: str, post: Fields) -> Iterator[Fields]:
    if walk.at(post, "post_type") not in (None, _REGULAR, _BY_MODERATOR) or walk.string(post, "action_code"):
        return
    topic, number = walk.identifier(post, "topic_id"), walk.identifier(post, "post_number")
    instance = payload.headers.get("x-discourse-instance", "").rstrip("/")
    event = walk.some(
        source="discourse",
        id=ids.compose(topic, number),
        channel="community",
        **_sides(payload, post, walk.identifier(post, "user_id"), walk.fields(post, "reply_to_user")),
        conversation=walk.some(id=topic, reply_to=ids.compose(topic, walk.identifier(post, "reply_to_post_number"))),
        text=_text(post, "raw"),
        language=walk.language(post, "locale"),
        occurred_at=times.iso(post.get("created_at")),
        attributes=drafts.attributes(
            subject=walk.string(post, "topic_title"),
            category=walk.string(post, "category_slug"),
            visibility=_visibility(walk.string(post, "topic_archetype") == "private_message"),
            user_id=walk.identifier(post, "user_id"),
            url=f"{instance}/t/{topic}/{number}" if instance else None,
        ),
    )
    version, deleted_at = walk.string(post, "updated_at"), walk.string(post, "deleted_at")
    if walk.flag(post, "user_deleted"):
        deleted_at = deleted_at or version
    kind = name.removeprefix("post_") or ("edited" if walk.count(post, "version") > 1 else "created")
    if deleted_at and kind != "recovered":
        kind = "destroyed"
    yield from _versions(kind, event, version, deleted_at)


def _chat(payload: Payload, name: str, message: Fields, channel: Fields) -> Iterator[Fields]:
    """A message of the chat; what another program puts into it by a webhook is none of a customer's."""
    user = walk.fields(message, "user")
    if walk.fields(message, "chat_webhook_event"):
        return
    place = walk.identifier(message, "chat_channel_id") or walk.identifier(channel, "id")
    answered = walk.fields(message, "in_reply_to")
    event = walk.some(
        source="discourse",
        id=ids.compose("chat", walk.identifier(message, "id")),
        channel="community",
        **_sides(payload, user, walk.identifier(user, "id"), walk.fields(answered, "user")),
        conversation=walk.some(
            id=ids.compose("chat", place), reply_to=ids.compose("chat", walk.identifier(answered, "id"))
        ),
        text=_text(message, "message"),
        occurred_at=times.iso(message.get("created_at")),
        attributes=drafts.attributes(
            subject=walk.string(channel, "title"),
            visibility=_visibility(walk.string(channel, "chatable_type") == "DirectMessage"),
            user_id=walk.identifier(user, "id"),
        ),
    )
    deleted_at = walk.string(message, "deleted_at")
    kind = name.removeprefix("chat_message_") or ("edited" if walk.flag(message, "edited") else "created")
    kind = {"trashed": "destroyed", "restored": "recovered"}.get("trashed" if deleted_at else kind, kind)
    version = walk.string(message, "updated_at") or ids.digest(event.get("text", ""))[:16]
    yield from _versions(kind, event, version, deleted_at)


def _versions(kind: str, event: Fields, version: str, deleted_at: str) -> Iterator[Fields]:
    """What became of a message. One that is back after its deletion is a new version of it. A deletion may be told with
    the message as it was before, and so without its time."""
    if "id" not in event:
        return
    if kind == "destroyed":
        yield drafts.deletion(walk.some(**{**event, "occurred_at": times.iso(deleted_at)}))
    elif "text" not in event:
        return
    elif kind == "created":
        yield event
    elif kind in ("edited", "recovered"):
        said = version if kind == "edited" else f"{kind}-{version}"
        yield drafts.edit({**event, **walk.some(occurred_at=times.iso(version))}, said)


def _sides(payload: Payload, author: Fields, author_id: str, answered: Fields) -> Fields:
    """Direction and customer: the author; of what the company wrote whom it answers, else everybody, so itself."""
    writer, other = _person(author), _person(answered)
    handle = walk.string(author, "username")
    staff = any(walk.flag(author, role) for role in ("staff", "admin", "moderator"))
    outbound = staff or author_id.startswith("-") or people.is_own(payload.own, handle, author_id)
    if not outbound:
        return {"customer": writer or people.NOBODY}
    to_other = other and not people.is_own(payload.own, other.get("handle", ""))
    return {"direction": "outbound", "customer": (other if to_other else writer) or people.NOBODY}


def _person(user: Fields) -> Fields:
    return walk.some(handle=walk.string(user, "username"), name=people.full_name(walk.string(user, "name")))


def _visibility(private: bool) -> str | None:
    return "private" if private else None


def _text(message: Fields, source: str) -> str:
    """What its author wrote. Of a post that is nothing but the preview of a link, that link."""
    words = html.to_text(walk.string(message, "cooked"), without=_OTHERS_WORDS)
    written = _QUOTE.sub("", walk.string(message, source)).strip()
    return _with_emoji(words, written) or written


def _with_emoji(shown: str, written: str) -> str:
    """The text as it is shown, with the emoji that were written instead of their names, if each can be told."""
    emoji = _EMOJI.findall(written)
    if len(emoji) != len(_EMOJI.findall(shown)):
        return shown
    return _EMOJI.sub(lambda _: emoji.pop(0), shown)
