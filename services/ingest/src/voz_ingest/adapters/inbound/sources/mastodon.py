"""Mastodon: posts, mentions, edits and deletions, from its streaming API, its REST API and its webhooks.

https://docs.joinmastodon.org/methods/streaming/
https://docs.joinmastodon.org/entities/Status/
https://docs.joinmastodon.org/entities/Notification/
https://docs.joinmastodon.org/admin/webhooks/

A post is named by its `id` at the server that we listen to, and not by its `uri`: a deletion says nothing but that id.
Ids of people are the server's too: a tenant that listens to several servers sets the option `instance`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from voz_ingest.adapters.inbound.formats import drafts, html, ids, people, pulling, signatures, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields, Json
from voz_ingest.adapters.inbound.sources import Advance, Payload, PayloadError, Pull, PullState, decode
from voz_ingest.domain.connector import Position
from voz_ingest.domain.draft import Draft

_STATUS_EVENTS = frozenset({"update", "status.update", "status.created", "status.updated"})
_NOTIFICATIONS = frozenset({"mention", "status", "update", "quote"})
"""Notifications of what somebody wrote; the others tell of boosts, favourites, follows, moderation."""
_QUOTE_LINK = frozenset({"p.quote-inline"})
"""The paragraph that links to the quoted post, for readers that don't know quotes."""
_HOST = re.compile(r"https?://([^/?#]+)")
_SERVER_SENT = re.compile(rb"\s*(event|data)?:")


def parse(payload: Payload) -> list[Draft]:
    """The posts of streaming events, of a webhook, or of one entity or an array of them as the REST API gives them."""
    return drafts.once(event for entry in _entries(payload.body) for event in _events(payload, entry))


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether the server signed its webhook; what carries no signature must have the secret in the URL."""
    given = payload.headers.get("x-hub-signature", "").strip()
    if not given:
        return signatures.secret_in_url(payload, secrets)
    return signatures.matches([given], ["sha256=" + signatures.hex_hmac(secret, payload.body) for secret in secrets])


def _entries(body: bytes) -> Iterator[Fields]:
    """What a payload holds. A stream over HTTP has its events in blocks of lines, which name and content each are."""
    if _SERVER_SENT.match(body):
        for block in body.decode(errors="replace").replace("\r\n", "\n").split("\n\n"):
            lines = dict(line.partition(":")[::2] for line in block.split("\n"))
            yield {"event": lines.get("event", "").strip(), "payload": lines.get("data", "").strip()}
        return
    document = decode(body)
    if not isinstance(document, (dict, list)):
        raise PayloadError("", "must be a JSON object or an array")
    yield from walk.objects(document if isinstance(document, list) else [document])


def _events(payload: Payload, entry: Fields) -> Iterator[Fields]:
    name = walk.string(entry, "event")
    if name == "delete":
        yield from _deleted(walk.identifier(entry, "payload").strip('"'))
    elif name in _STATUS_EVENTS:
        yield from _status(payload, _content(entry))
    elif name in ("notification", "conversation"):
        yield from _entity(payload, _content(entry))
    elif not name:
        yield from _entity(payload, entry)


def _content(entry: Fields) -> Fields:
    """What an event is about: JSON in a string when streamed, an object in a webhook."""
    content: Json = entry.get("payload", entry.get("object"))
    if isinstance(content, str):
        try:
            content = decode(content.encode(errors="surrogatepass"))
        except PayloadError as error:
            raise PayloadError("/payload", error.detail) from None
    return walk.fields(content)


def _entity(payload: Payload, entity: Fields) -> Iterator[Fields]:
    """A post, whether it stands alone, in a notification or in a conversation."""
    if "last_status" in entity:
        yield from _status(payload, walk.fields(entity, "last_status"))
    elif "content" in entity:
        yield from _status(payload, entity)
    elif walk.string(entity, "type") in _NOTIFICATIONS:
        status = walk.fields(entity, "status")
        author = walk.fields(status, "account") or walk.fields(entity, "account")
        yield from _status(payload, {**status, "account": author})


def _status(payload: Payload, status: Fields) -> Iterator[Fields]:
    name, text = ids.compose(walk.identifier(status, "id")), _text(status)
    if not name or not text or walk.fields(status, "reblog"):
        return
    account = walk.fields(status, "account")
    outbound = people.is_own(payload.own, *_names(account))
    event = walk.some(
        source="mastodon",
        id=name,
        channel="social",
        direction="outbound" if outbound else None,
        customer=_person(_recipient(payload, status, account) if outbound else account),
        conversation=walk.some(reply_to=ids.compose(walk.identifier(status, "in_reply_to_id"))),
        text=text,
        language=walk.language(status, "language"),
        occurred_at=times.iso(walk.at(status, "created_at")),
        attributes=drafts.attributes(
            url=walk.string(status, "url") or walk.string(status, "uri"),
            visibility=walk.string(status, "visibility"),
            bot=walk.flag(account, "bot") or None,
        ),
    )
    edited_at = walk.string(status, "edited_at")
    yield {**drafts.edit(event, edited_at), "occurred_at": times.iso(edited_at)} if edited_at else event


def _deleted(status_id: str) -> Iterator[Fields]:
    name = ids.compose(status_id)
    if name:
        yield drafts.deletion({"source": "mastodon", "id": name, "channel": "social", "customer": people.NOBODY})


def _text(status: Fields) -> str:
    """The warning that its author put in front of a post, and the post."""
    warning = walk.string(status, "spoiler_text")
    return "\n\n".join(filter(None, (warning, html.to_text(walk.string(status, "content"), without=_QUOTE_LINK))))


def _recipient(payload: Payload, status: Fields, author: Fields) -> Fields:
    """To whom the company writes: whom it answers, else whom it names, else everybody, which is itself."""
    mentions = [who for who in walk.objects(status, "mentions") if not people.is_own(payload.own, *_names(who))]
    answered = walk.identifier(status, "in_reply_to_account_id")
    if answered and answered != walk.identifier(author, "id") and not people.is_own(payload.own, answered):
        return next((who for who in mentions if walk.identifier(who, "id") == answered), {"id": answered})
    return mentions[0] if mentions else author


def _person(account: Fields) -> Fields:
    person = walk.some(
        id=walk.identifier(account, "id"),
        handle=walk.string(account, "acct"),
        name=people.full_name(walk.string(account, "display_name")),
        reach=walk.count(account, "followers_count") or None,
    )
    return person if "id" in person or "handle" in person else people.NOBODY


def _names(account: Fields) -> Iterator[str]:
    """All that an account may be called by: a person of the server itself has no server in `acct`."""
    handle, url = walk.string(account, "acct"), walk.string(account, "url")
    yield from (walk.identifier(account, "id"), handle, url, walk.string(account, "uri"))
    host = _HOST.match(url)
    if handle and host and "@" not in handle:
        yield f"{handle}@{host[1]}"


# How it is asked: the REST API says what came since the last time, page by page from the oldest on; the streams say it
# sooner, and what was edited and deleted, but may leave something out. So only the REST API moves the position.
_MENTIONS = "notifications"
_MAX_AHEAD = timedelta(days=1)
_TIME_BITS = 16
"""A post's id is its time in milliseconds, and so many bits more (Mastodon's Snowflake)."""


def pull(state: PullState) -> Pull:
    """The oldest page of what is new: notifications, then posts of hashtags and accounts."""
    name, at = pulling.feed(state, _feeds(state))
    base, least = pulling.option(state, "base_url"), walk.identifier(dict(at), "id")
    kind, _, what = name.partition("/")
    query = [("limit", "40"), ("min_id", _clamped(state, kind, least) or _first(state, kind, at))]
    if kind == _MENTIONS:
        types = [("types[]", each) for each in sorted(_NOTIFICATIONS)]
        return Pull(pulling.url(base, "api", "v1", "notifications", query=[*query, *types]), _headers(state))
    if kind == "tag":
        return Pull(pulling.url(base, "api", "v1", "timelines", "tag", what, query=query), _headers(state))
    query.append(("exclude_reblogs", "true"))
    return Pull(pulling.url(base, "api", "v1", "accounts", what, "statuses", query=query), _headers(state))


def streams(state: PullState) -> list[Pull]:
    """The same, live. Posts of an account have no stream."""
    if state.options.get("stream") is False:
        return []
    said = walk.string(dict(state.options), "streaming_url") or pulling.option(state, "base_url")
    base = re.sub("^ws", "http", said)  # as servers write it of themselves, who think of WebSockets
    found = []
    for kind, _, what in (name.partition("/") for name in _feeds(state)):
        if kind == _MENTIONS:
            address = pulling.url(base, "api", "v1", "streaming", "user", "notification")
            found.append(Pull(address, _headers(state), transport="sse"))
        elif kind == "tag":
            address = pulling.url(base, "api", "v1", "streaming", "hashtag", query=[("tag", what)])
            found.append(Pull(address, _headers(state), transport="sse"))
    return found


def begins(state: PullState) -> datetime:
    """When the feed was first asked, less what it looks back."""
    return pulling.begins(state, _feeds(state))


def advance(state: PullState, payload: Payload) -> Advance:
    """Behind the newest of a page. Raises PayloadError for a page that is none."""
    document = decode(payload.body)
    if isinstance(document, dict) and "event" in document:
        return Advance(state.position)
    if not isinstance(document, list):
        raise PayloadError("", "must be an array")
    feeds = _feeds(state)
    name, at = pulling.feed(state, feeds)
    found = [walk.identifier(entry, "id") for entry in document if isinstance(entry, dict)]
    newest = max((walk.identifier(dict(at), "id"), *found), key=_order)
    if not newest and name == _MENTIONS:  # all are still to come, and more than a page may have come by the next time
        newest = "0"
    begun = pulling.begins(state, feeds).isoformat()
    return pulling.moved(state, feeds, walk.some(id=newest, begun=begun), more=bool(found))


def _feeds(state: PullState) -> list[str]:
    """What the options ask for. Raises MissingOptionError."""
    pulling.option(state, "base_url")
    mentions = [_MENTIONS] if state.options.get("notifications", True) is not False else []
    if mentions:
        pulling.credential(state, "access_token")
    tags = [f"tag/{tag.lstrip('#')}" for tag in pulling.listed(state, "hashtags")]
    accounts = [f"account/{account}" for account in pulling.listed(state, "accounts")]
    found = [*mentions, *tags, *accounts]
    return found or [pulling.option(state, "hashtags")]


def _headers(state: PullState) -> dict[str, str]:
    token = walk.string(dict(state.options), "access_token") or next(iter(state.secrets), "")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _first(state: PullState, kind: str, at: Position) -> str:
    """Where posts begin that are new enough. Notifications are only numbered: the newest page is the first one, unless
    a moment is asked for; then all of them are gone through."""
    if kind == _MENTIONS:
        return "1" if at.get("since") or state.options.get("since") else ""
    begun = pulling.moment(at.get("begun")) or pulling.since(state, at)
    return str(int(begun.timestamp() * 1000) << _TIME_BITS)


def _clamped(state: PullState, kind: str, least: str) -> str:
    """A position from the future (a server that was set back) would hide all that comes until then."""
    if kind == _MENTIONS or not least.isdecimal():
        return least
    latest = int((state.now + _MAX_AHEAD).timestamp() * 1000) << _TIME_BITS
    return least if int(least) <= latest else str(int(state.now.timestamp() * 1000) << _TIME_BITS)


def _order(name: str) -> tuple[int, str]:
    return len(name), name
