"""Bluesky: posts, edits and deletions from Jetstream, the network's stream in JSON.

https://github.com/bluesky-social/jetstream-legacy
https://github.com/bluesky-social/jetstream/blob/main/docs/README.md
https://docs.bsky.app/docs/advanced-guides/timestamps

A post is named by its AT URI, which is also how replies and quotes name it. The stream knows no handles: people are
their DID. It can't be asked for mentions only, so with the option `terms` posts that contain none of them and concern
none of the company's accounts are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from voz_ingest.adapters.inbound.formats import drafts, ids, people, pulling, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import (
    Advance,
    MissingOptionError,
    Payload,
    PayloadError,
    Pull,
    PullState,
    decode,
)
from voz_ingest.domain.draft import Draft

_POST = "app.bsky.feed.post"
_COMMIT = "network.bsky.jetstream.subscribeEvents#commit"
_OPERATIONS = {"c": "create", "u": "update", "d": "delete"}
"""As the first version of Jetstream wrote them."""
_AUTHOR = re.compile(r"at://(did:[^/]+)/")
_EARLIEST = "1990"


def parse(payload: Payload) -> list[Draft]:
    """The post of a message of the stream, or of an array of them; identities, accounts and likes are no events."""
    document = decode(payload.body)
    if not isinstance(document, (dict, list)):
        raise PayloadError("", "must be a JSON object or an array")
    messages = document if isinstance(document, list) else [document]
    return drafts.once(event for message in messages if isinstance(message, dict) for event in _event(payload, message))


def check(options: Mapping[str, Any]) -> None:
    """Raises ValueError when `terms` isn't a list of words."""
    terms = options.get("terms", [])
    if not isinstance(terms, list) or len(walk.strings(terms)) < len(terms):
        raise ValueError("`terms` must be a list of words")


def _event(payload: Payload, message: Fields) -> Iterator[Fields]:
    """`/subscribe` has the commit in the message; `subscribeEvents` has it flat, in a frame's payload."""
    frame = walk.fields(message, "payload")
    if walk.string(frame, "$type") == _COMMIT:
        yield from _commit(payload, walk.string(frame, "did"), times.iso(frame.get("time")), frame)
    elif "commit" in message:
        seen_at = times.microseconds(message.get("time_us"))
        yield from _commit(payload, walk.string(message, "did"), seen_at, walk.fields(message, "commit"))


def _commit(payload: Payload, did: str, seen_at: str | None, commit: Fields) -> Iterator[Fields]:
    key, collection = walk.string(commit, "rkey"), walk.string(commit, "collection")
    operation = walk.string(commit, "operation") or _OPERATIONS.get(walk.string(commit, "type"))
    if not did or not key or collection != _POST:
        return
    outbound = people.is_own(payload.own, did)
    record = walk.fields(commit, "record")
    event = walk.some(
        source="bluesky",
        id=ids.compose(f"at://{did}/{collection}/{key}"),
        channel="social",
        direction="outbound" if outbound else None,
        customer={"id": _recipient(payload.own, record, did) if outbound else did},
        occurred_at=seen_at,
        attributes=drafts.attributes(url=f"https://bsky.app/profile/{did}/post/{key}"),
    )
    if operation == "delete":
        yield drafts.deletion(event)
    elif operation in ("create", "update") and walk.string(record, "text") and _concerns(payload, did, record):
        post = {**event, **_said(record, event["id"])}
        if operation == "create":
            yield {**post, **walk.some(occurred_at=_written_at(record, seen_at))}
        else:
            yield drafts.edit(post, walk.string(commit, "rev") or walk.string(commit, "cid") or seen_at or "")


def _said(record: Fields, name: str) -> Fields:
    """What a post says of itself; one that answers nothing begins a thread."""
    parent = walk.string(record, "reply", "parent", "uri")
    root = walk.string(record, "reply", "root", "uri") or parent or name
    return walk.some(
        conversation=walk.some(id=ids.compose(root), reply_to=ids.compose(parent)),
        text=walk.string(record, "text"),
        language=next(filter(None, (walk.language(tag) for tag in walk.strings(record, "langs"))), None),
    )


def _written_at(record: Fields, seen_at: str | None) -> str | None:
    """When its author says that it was written; what can't be true (after it was seen, before there was a network, and
    so for a clock that is wrong) gives way to when it was seen. To the second, as Bluesky itself sorts posts."""
    said = times.iso(record.get("createdAt")) or ""
    return said if _EARLIEST <= said[:19] <= (seen_at or said)[:19] else seen_at


def _recipient(own: Iterable[str], record: Fields, author: str) -> str:
    """To whom the company writes: whom it answers, else whom it names, else everybody, which is itself."""
    for did in (_author(record, "reply", "parent"), _author(record, "reply", "root"), *_mentioned(record)):
        if did and did != author and not people.is_own(own, did):
            return did
    return author


def _concerns(payload: Payload, author: str, record: Fields) -> bool:
    return not walk.strings(payload.options.get("terms")) or _is_about(payload, author, record)


def _is_about(payload: Payload, author: str, record: Fields) -> bool:
    quoted = _author(record, "embed", "record") or _author(record, "embed", "record", "record")
    concerned = (author, _author(record, "reply", "parent"), _author(record, "reply", "root"), quoted)
    if people.is_own(payload.own, *filter(None, concerned), *_mentioned(record)):
        return True
    text = walk.string(record, "text").casefold()
    return any(term.casefold() in text for term in walk.strings(payload.options.get("terms")))


def _author(record: Fields, *path: str) -> str:
    found = _AUTHOR.match(walk.string(record, *path, "uri"))
    return found[1] if found else ""


def _mentioned(record: Fields) -> Iterator[str]:
    for facet in walk.objects(record, "facets"):
        for feature in walk.objects(facet, "features"):
            if walk.string(feature, "$type").endswith("#mention"):
                yield walk.string(feature, "did")


# How it is asked: one stream, whose cursor is a time in microseconds.
HOSTS = frozenset({"*.bsky.network"})
_STREAM = "wss://jetstream2.us-east.bsky.network/subscribe"
_OVERLAP, _LOOKBACK = timedelta(seconds=5), timedelta(hours=36)
"""Cursors are times, so one goes back a little; what is older than Jetstream keeps is passed over by it in silence."""


def streams(state: PullState) -> list[Pull]:
    """Everybody's posts, from where we were, as far as Jetstream goes back; at the very beginning, from now on.

    A cursor from the future (a clock that was wrong) would bring nothing but the present, with a gap before it.
    """
    if not (state.own or state.options.get("terms") or state.options.get("everything") is True):
        detail = "neither `own` nor the option `terms` say which posts are wanted (`everything: true`: all of them)"
        raise MissingOptionError(detail)
    cursor, begun = walk.count(dict(state.position), "cursor"), pulling.moment(state.position.get("since"))
    start = begun or pulling.moment(str(state.options.get("since", "")))
    at = _microseconds(start) if start and not cursor else cursor
    query = [("wantedCollections", _POST)]
    if at:
        earliest, latest = _microseconds(state.now - _LOOKBACK), _microseconds(state.now)
        back = min(at, latest) - int(_OVERLAP.total_seconds() * 1_000_000)
        query.append(("cursor", str(max(back, earliest))))
    base = walk.string(dict(state.options), "base_url") or _STREAM
    return [Pull(pulling.url(base, query=query), transport="websocket")]


def wanted(payload: Payload) -> bool:
    """Whether a message of the stream is a post that concerns the company, or a deletion, which carries no text.
    Raises nothing: what can't be read is for `parse` to refuse."""
    if payload.options.get("everything") is True or payload.options.get("terms"):
        return True  # which `parse` looks at
    try:
        message = walk.fields(decode(payload.body))
    except PayloadError:
        return True
    frame = walk.fields(message, "payload")
    commit = frame or walk.fields(message, "commit")
    record, author = walk.fields(commit, "record"), walk.string(frame or message, "did")
    return not record or _is_about(payload, author, record)


def advance(state: PullState, payload: Payload) -> Advance:
    """Behind the message. Raises PayloadError."""
    message = walk.fields(decode(payload.body))
    seen_at = walk.count(message, "time_us")
    cursor = walk.count(dict(state.position), "cursor")
    known = cursor if cursor <= _microseconds(state.now) else 0
    return Advance({"cursor": max(seen_at, known)} if seen_at else state.position)


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
