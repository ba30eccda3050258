"""YouTube: comments and replies as the Data API lists them.

https://developers.google.com/youtube/v3/docs/commentThreads/list
https://developers.google.com/youtube/v3/docs/comments/list
https://developers.google.com/youtube/v3/docs/comments
https://developers.google.com/youtube/v3/guides/push_notifications

What the owner of the channel writes is the company's, unless the connection says which accounts are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from voz_ingest.adapters.inbound.formats import drafts, html, ids, people, pulling, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import (
    Advance,
    MissingOptionError,
    Payload,
    PayloadError,
    Pull,
    PullState,
    decode,
    decode_object,
)
from voz_ingest.domain.draft import Draft

_MARKUP = re.compile(r"<(br|a|b|i|s)\b|&(#\d+|#x[\da-f]+|\w+);", re.IGNORECASE)


def parse(payload: Payload) -> list[Draft]:
    """The comments of a list, a thread or a comment; the Atom feed that tells of new videos has none."""
    if payload.body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return []
    document = decode(payload.body)
    if not isinstance(document, (dict, list)):
        raise PayloadError("", "must be a JSON object or an array")
    lists = document if isinstance(document, list) else [document]
    return drafts.once(event for each in lists if isinstance(each, dict) for event in _events(payload, each))


def _events(payload: Payload, document: Fields) -> Iterator[Fields]:
    items = [*walk.objects(document, "items")] or [document]
    comments = {walk.identifier(item, "id"): item for item in items}
    for item in items:
        thread = walk.fields(item, "snippet")
        top = walk.fields(thread, "topLevelComment")
        if not top:
            yield from _comment(payload, item, comments.get(walk.identifier(thread, "parentId"), {}), {})
            continue
        yield from _comment(payload, top, {}, thread)
        for reply in walk.objects(item, "replies", "comments"):
            yield from _comment(payload, reply, top, thread)


def _comment(payload: Payload, comment: Fields, parent: Fields, thread: Fields) -> Iterator[Fields]:
    """A comment: what is known of the one that it answers, and of the thread that it is in."""
    snippet = walk.fields(comment, "snippet")
    name, text = ids.compose(walk.identifier(comment, "id")), _text(snippet)
    if not name or not text:
        return
    channel = walk.string(snippet, "channelId") or walk.string(thread, "channelId")
    answered = ids.compose(walk.identifier(snippet, "parentId") or walk.identifier(parent, "id"))
    author, asked = _person(snippet), _person(walk.fields(parent, "snippet"))
    own = payload.own or frozenset({channel})
    outbound = _is_own(own, author)
    video = walk.string(snippet, "videoId") or walk.string(thread, "videoId")
    event = walk.some(
        source="youtube",
        id=name,
        channel="social",
        direction="outbound" if outbound else None,
        customer=(asked if outbound and asked and not _is_own(own, asked) else author) or people.NOBODY,
        conversation=walk.some(id=answered or name, reply_to=answered),
        text=text,
        occurred_at=times.iso(snippet.get("publishedAt")),
        attributes=drafts.attributes(
            video=video,
            url=f"https://www.youtube.com/watch?v={video}&lc={name}" if video else None,
            account=channel,
            likes=walk.count(snippet, "likeCount") or None,
            moderation=walk.string(snippet, "moderationStatus"),
        ),
    )
    updated_at = times.iso(snippet.get("updatedAt"))
    edited = updated_at and updated_at != event.get("occurred_at")
    yield {**drafts.edit(event, str(updated_at)), "occurred_at": updated_at} if edited else event


def _text(snippet: Fields) -> str:
    """As it was written, else as it is shown, which is HTML unless plain text was asked for."""
    shown = walk.string(snippet, "textDisplay")
    return walk.string(snippet, "textOriginal") or (html.to_text(shown) if _MARKUP.search(shown) else shown)


def _person(snippet: Fields) -> Fields:
    """An author. The displayed name has been the handle since channels have handles; before, it was a name."""
    shown = walk.string(snippet, "authorDisplayName")
    return walk.some(
        id=walk.identifier(snippet, "authorChannelId", "value"),
        handle=shown if shown.startswith("@") or not walk.fields(snippet, "authorChannelId") else None,
        name=None if shown.startswith("@") else people.full_name(shown),
    )


def _is_own(own: frozenset[str], person: Fields) -> bool:
    return people.is_own(own, person.get("id", ""), person.get("handle", ""))


# How it is asked: threads newest first, once an hour some days further back, for answers and edits in older ones.
HOSTS = frozenset({"www.googleapis.com"})
POLL_SECONDS = 300.0
_BASE = "https://www.googleapis.com"
_OVERLAP_HOURS = 48.0
_QUOTA, _CLOSED = frozenset({"quotaExceeded", "dailyLimitExceeded"}), frozenset({"commentsDisabled", "videoNotFound"})
_QUOTA_ZONE = ZoneInfo("America/Los_Angeles")
"""Where the day of a quota ends: https://developers.google.com/youtube/v3/getting-started#quota"""
_CLOSED_SECONDS = 3600.0


def pull(state: PullState) -> Pull:
    """The next page of the threads of a channel's videos, or of single videos."""
    feeds = _feeds(state)
    kind, _, what = pulling.feed(state, feeds)[0].partition("/")
    query = [
        ("part", "snippet,replies"),
        ("order", "time"),
        ("maxResults", "100"),
        ("textFormat", "plainText"),
        ("allThreadsRelatedToChannelId" if kind == "channel" else "videoId", what),
        ("pageToken", pulling.next_page(state, feeds)),
    ]
    base = walk.string(dict(state.options), "base_url") or _BASE
    address = pulling.url(base, "youtube", "v3", "commentThreads", query=query)
    return Pull(address, {"X-Goog-Api-Key": pulling.credential(state, "api_key")})


def begins(state: PullState) -> datetime:
    """When the feed was first asked, less what it looks back."""
    return pulling.begins(state, _feeds(state))


def advance(state: PullState, payload: Payload) -> Advance:
    """Behind a page. Raises PayloadError."""
    page = decode_object(payload)
    if not isinstance(page.get("items"), list):
        raise PayloadError("/items", "must be an array")
    began = [
        walk.string(thread, "snippet", "topLevelComment", "snippet", "publishedAt")
        for thread in walk.objects(page, "items")
    ]
    hours = pulling.overlap_hours(state, _OVERLAP_HOURS)
    return pulling.walked(state, _feeds(state), began, walk.string(page, "nextPageToken"), overlap_hours=hours)


def refused(state: PullState, status: int, payload: Payload) -> Advance | None:
    """A quota that is used up comes back at midnight in California; a page that isn't known any more is the first one;
    a video without comments is left alone for a while."""
    try:
        reasons = {walk.string(each, "reason") for each in walk.objects(decode_object(payload), "error", "errors")}
    except PayloadError:
        return None
    if reasons & _QUOTA:
        return Advance(state.position, wait_seconds=_until_midnight(state.now))
    if reasons & _CLOSED:
        _, at = pulling.feed(state, _feeds(state))
        passed = pulling.moved(state, _feeds(state), at, more=False)
        return passed if passed.again else Advance(passed.position, wait_seconds=_CLOSED_SECONDS)
    return pulling.rescanned(state, _feeds(state)) if status == 400 else None


def _feeds(state: PullState) -> list[str]:
    """What the options ask for. Raises MissingOptionError."""
    channels = [f"channel/{channel}" for channel in pulling.listed(state, "channel")]
    videos = [f"video/{video}" for video in pulling.listed(state, "videos")]
    if not channels and not videos:
        raise MissingOptionError("the options `channel` and `videos` are missing, so it isn't asked for anything")
    pulling.credential(state, "api_key")
    return [*channels, *videos]


def _until_midnight(now: datetime) -> float:
    here = now.astimezone(_QUOTA_ZONE)
    midnight = datetime.combine(here.date() + timedelta(days=1), time(), _QUOTA_ZONE)
    return (midnight - now).total_seconds()
