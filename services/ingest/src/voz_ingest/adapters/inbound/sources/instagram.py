"""Instagram: comments, comments on live broadcasts, mentions, and direct messages.

https://developers.facebook.com/docs/instagram-platform/webhooks
https://developers.facebook.com/docs/instagram-platform/webhooks/examples
https://developers.facebook.com/docs/graph-api/webhooks/reference/instagram
https://developers.facebook.com/docs/instagram-platform/instagram-api-with-facebook-login/mentions

Comments carry no time of their own, so it is when Meta told of them. Mentions are announced without their text: with
the option `access_token` it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlencode

from voz_ingest.adapters.inbound.formats import drafts, ids, messenger, meta, people, walk
from voz_ingest.adapters.inbound.formats.messenger import Entry
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, Pull
from voz_ingest.domain.draft import Draft

SUCCESS = 200  # Meta sends again what is answered otherwise
HOSTS = frozenset({"graph.facebook.com"})

verify = meta.verify
challenge = meta.challenge

_GRAPH = "https://graph.facebook.com/v23.0"
_COMMENT = "mentioned_comment.comment_id(%s){id,text,timestamp,media{id}}"
_MEDIA = "mentioned_media.media_id(%s){id,caption,username,timestamp,permalink}"


def parse(payload: Payload) -> list[Draft]:
    """The comments and messages of a delivery, or the mention that was asked for."""
    return drafts.once(_events(payload))


def announced(payload: Payload, secrets: Sequence[str]) -> list[Pull]:
    """The questions for the texts of the mentions that a delivery announces."""
    token = payload.options.get("access_token")
    if not isinstance(token, str):
        return []
    asked = []
    for entry in messenger.entries(payload, "instagram", "instagram"):
        for field, value in messenger.changes(entry):
            comment, media = walk.identifier(value, "comment_id"), walk.identifier(value, "media_id")
            if field == "mentions" and all(each.isdecimal() for each in (entry.account, comment or media)):
                query = urlencode({"fields": _COMMENT % comment if comment else _MEDIA % media})
                asked.append(Pull(f"{_GRAPH}/{entry.account}?{query}", {"Authorization": f"Bearer {token}"}))
    return asked


def _events(payload: Payload) -> Iterator[Fields]:
    for entry in messenger.entries(payload, "instagram", "instagram"):
        yield from messenger.messages(entry)
        for field, value in messenger.changes(entry):
            if field in ("comments", "live_comments"):
                yield from _comment(entry, value, live=field == "live_comments")
        yield from _comment(entry, walk.fields(entry.fields, "mentioned_comment"))
        yield from _post(entry, walk.fields(entry.fields, "mentioned_media"))


def _comment(entry: Entry, value: Fields, *, live: bool = False) -> Iterator[Fields]:
    text, name = walk.string(value, "text"), walk.identifier(value, "id") or walk.identifier(value, "comment_id")
    if not text or not name:
        return
    author, handle = walk.identifier(value, "from", "id"), walk.string(value, "from", "username")
    itself = walk.identifier(value, "from", "self_ig_scoped_id")  # only where the account comments on its own media
    yield walk.some(
        source=entry.source,
        id=ids.compose(name),
        channel="social",
        direction="outbound" if itself or people.is_own(entry.own, author, handle) else None,
        customer=walk.some(id=author, handle=handle) or people.NOBODY,
        conversation=walk.some(
            id=ids.compose(walk.identifier(value, "media", "id")),
            reply_to=ids.compose(walk.identifier(value, "parent_id")),
        ),
        text=text,
        occurred_at=messenger.moment(value.get("timestamp")) or entry.sent_at,
        attributes=drafts.attributes(
            account=entry.account,
            live=live or None,
            surface=walk.string(value, "media", "media_product_type").lower(),
            ad=walk.identifier(value, "media", "ad_id"),
        ),
    )


def _post(entry: Entry, media: Fields) -> Iterator[Fields]:
    """A post that names the account in its caption. Meta tells its author's name and no id."""
    text, name, author = walk.string(media, "caption"), walk.identifier(media, "id"), walk.string(media, "username")
    if text and name:
        yield walk.some(
            source=entry.source,
            id=ids.compose(name),
            channel="social",
            direction="outbound" if people.is_own(entry.own, author) else None,
            customer=walk.some(handle=author) or people.NOBODY,
            conversation={"id": ids.compose(name)},
            text=text,
            occurred_at=messenger.moment(media.get("timestamp")),
            attributes=drafts.attributes(account=entry.account, url=walk.string(media, "permalink")),
        )
