"""X (Twitter): posts, deletions and direct messages from Account Activity, the X Activity API and filtered streams.

https://docs.x.com/x-api/account-activity/introduction
https://docs.x.com/x-api/activity/event-payloads
https://docs.x.com/x-api/webhooks/quickstart
https://docs.x.com/x-api/fundamentals/edit-posts

Ids are read where they are strings: the numbers beside them may have lost digits. X writes `&`, `<` and `>` escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import unescape

import orjson

from voz_ingest.adapters.inbound.formats import drafts, ids, people, signatures, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields, Json
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, Reply, decode_object
from voz_ingest.domain.draft import Draft

SUCCESS = 200  # what X wants to hear

_LEGACY_LANGUAGES = {"in": "id", "iw": "he", "ji": "yi"}
_NO_LANGUAGES = frozenset({"und", "zxx", "art", "qam", "qct", "qht", "qme", "qst"})
"""What X writes where a post has no words: only links, hashtags, mentions, media."""

_FIRST_VERSION = ("edit_history_tweet_ids", 0)

_Own = frozenset[str]


def parse(payload: Payload) -> list[Draft]:
    """The posts, deletions and direct messages of a delivery; likes, follows, receipts and reposts are none."""
    document = decode_object(payload)
    if "data" in document:
        return drafts.once(_version_2(payload.own, document))
    account = walk.identifier(document, "for_user_id")
    return drafts.once(_account_activity(payload.own | {account} if account else payload.own, document))


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether X signed the body with the app's secret (consumer secret)."""
    expected = ["sha256=" + signatures.base64_hmac(secret, payload.body) for secret in secrets]
    return signatures.matches([payload.headers.get("x-twitter-webhooks-signature", "").strip()], expected)


def challenge(payload: Payload, secrets: Sequence[str]) -> Reply:
    """The answer to X's challenge-response check, by the first secret."""
    token = payload.query.get("crc_token", "")
    if not token:
        raise PayloadError("/crc_token", "is required")
    if not secrets:
        raise PayloadError("", "the connection has no secret to answer with")
    answer = {"response_token": "sha256=" + signatures.base64_hmac(secrets[0], token.encode(errors="replace"))}
    return Reply(orjson.dumps(answer).decode(), "application/json")


def _account_activity(own: _Own, document: Fields) -> Iterator[Fields]:
    for tweet in walk.objects(document, "tweet_create_events"):
        yield from _tweet(own, tweet)
    for deleted in walk.objects(document, "tweet_delete_events"):
        status = walk.fields(deleted, "status")
        author, at = walk.identifier(status, "user_id"), times.milliseconds(deleted.get("timestamp_ms"))
        yield from _deleted(own, _id(status), {"id": author} if author else {}, at)
    yield from _direct_messages(own, document)


def _version_2(own: _Own, document: Fields) -> Iterator[Fields]:
    """An activity (whose `data` is an envelope with a payload), or posts as API v2 gives them."""
    data = document["data"]
    kind, inner = walk.string(data, "event_type"), walk.fields(data, "payload")
    account, users = walk.identifier(data, "filter", "user_id"), _users(data, "includes", "users")
    if kind in ("dm.received", "dm.sent"):
        yield from _direct_messages(own | {account} if account else own, inner)
    elif kind == "post.delete":
        author = walk.identifier(inner, "author_id") or account
        customer = _person(users.get(author, {}), author) if author else {}
        yield from _deleted(own or frozenset({account}), _id(inner), customer, None)
    elif kind.startswith("post."):
        yield from _post(own or frozenset({account}), inner, users)
    elif kind == "broadcast.chat":
        yield from _broadcast_chat(own or frozenset({account}), inner)
    elif not kind:
        posts = [data] if isinstance(data, dict) else walk.objects(data)
        for post in posts:
            yield from _post(own, post, _users(document, "includes", "users"))


def _tweet(own: _Own, tweet: Fields) -> Iterator[Fields]:
    """A post in the form of API v1.1. A repost carries the other's post whole, and nothing of its own."""
    name, user, long = _id(tweet), walk.fields(tweet, "user"), walk.fields(tweet, "extended_tweet")
    text = walk.string(long, "full_text") or walk.string(tweet, "full_text") or walk.string(tweet, "text")
    if not name or not text or walk.fields(tweet, "retweeted_status"):
        return
    author, handle = _person(user, _id(user)), walk.string(user, "screen_name")
    answered = walk.identifier(tweet, "in_reply_to_status_id_str") or walk.identifier(tweet, "in_reply_to_status_id")
    asked = walk.identifier(tweet, "in_reply_to_user_id_str") or walk.identifier(tweet, "in_reply_to_user_id")
    mentions = [*walk.objects(long, "entities", "user_mentions")] or walk.objects(tweet, "entities", "user_mentions")
    quoted = walk.fields(tweet, "quoted_status", "user")
    others = [
        walk.some(id=asked, handle=walk.string(tweet, "in_reply_to_screen_name")),
        *(_person(mention, _id(mention)) for mention in mentions),
        _person(quoted, _id(quoted)),
    ]
    posted_at = times.milliseconds(tweet.get("timestamp_ms")) or times.mail(tweet.get("created_at"))
    history = (walk.identifier(tweet, *path) for path in (("edit_history", "initial_tweet_id"), _FIRST_VERSION))
    first = next(filter(None, history), name)
    thread = walk.identifier(tweet, "conversation_id_str") or ("" if answered else first)
    event = walk.some(
        source="x",
        id=name,
        channel="social",
        **_sides(own, author, [*others]),
        conversation=walk.some(id=thread, reply_to=answered),
        text=unescape(text),
        language=_language(tweet),
        occurred_at=posted_at,
        attributes=drafts.attributes(
            url=f"https://x.com/{handle}/status/{name}" if handle else None,
            quote_of=walk.identifier(tweet, "quoted_status_id_str"),
        ),
    )
    yield _edit(event, first)


def _post(own: _Own, post: Fields, users: dict[str, Fields]) -> Iterator[Fields]:
    """A post in the form of API v2."""
    name = _id(post)
    text = walk.string(post, "note_tweet", "text") or walk.string(post, "text")
    references = {walk.string(each, "type"): _id(each) for each in walk.objects(post, "referenced_tweets")}
    if not name or not text or "retweeted" in references:
        return
    author_id, asked = walk.identifier(post, "author_id"), walk.identifier(post, "in_reply_to_user_id")
    author = _person(users.get(author_id, {}), author_id)
    mentions = [*walk.objects(post, "entities", "mentions")]
    mentioned = [_person({**mention, **users.get(_id(mention), {})}, _id(mention)) for mention in mentions]
    known = next((person for person in mentioned if person.get("id") == asked), {})
    answered = references.get("replied_to") or walk.identifier(post, "in_reply_to_tweet_id")
    event = walk.some(
        source="x",
        id=name,
        channel="social",
        **_sides(own, author, [known or _person(users.get(asked, {}), asked), *mentioned]),
        conversation=walk.some(id=walk.identifier(post, "conversation_id"), reply_to=answered),
        text=unescape(text),
        language=_language(post),
        occurred_at=times.iso(post.get("created_at")),
        attributes=drafts.attributes(
            url=f"https://x.com/{author.get('handle', 'i/web')}/status/{name}", quote_of=references.get("quoted")
        ),
    )
    yield _edit(event, walk.identifier(post, *_FIRST_VERSION) or name)


def _broadcast_chat(own: _Own, message: Fields) -> Iterator[Fields]:
    """What a viewer writes during a live broadcast."""
    name, text = ids.compose(walk.identifier(message, "message_id")), walk.string(message, "message")
    user = _unwrapped(message.get("author"))
    if name and text:
        yield walk.some(
            source="x",
            id=name,
            channel="social",
            **_sides(own, _person(user, _id(user)), []),
            conversation=walk.some(id=ids.compose(walk.identifier(message, "broadcast_id"))),
            text=unescape(text),
            attributes={"live": True},
        )


def _direct_messages(own: _Own, document: Fields) -> Iterator[Fields]:
    users = walk.fields(document, "users")
    for message in walk.objects(document, "direct_message_events"):
        content = walk.fields(message, "message_create")
        sender, recipient = walk.identifier(content, "sender_id"), walk.identifier(content, "target", "recipient_id")
        name, text = _id(message), walk.string(content, "message_data", "text")
        if not name or not sender or not text:
            continue
        outbound = people.is_own(own, sender)
        customer = recipient if outbound and recipient else sender
        yield walk.some(
            source="x",
            id=name,
            channel="chat",
            direction="outbound" if outbound else None,
            customer=_person(_unwrapped(users.get(customer)), customer),
            conversation=walk.some(id=_conversation(sender, recipient)),
            text=unescape(text),
            occurred_at=times.milliseconds(message.get("created_timestamp")),
        )


def _conversation(*participants: str) -> str:
    """A conversation of two is named by both, the lower id first."""
    return "-".join(sorted(participants, key=lambda each: (len(each), each))) if all(participants) else ""


def _deleted(own: _Own, name: str, author: Fields, at: str | None) -> Iterator[Fields]:
    if name:
        yield drafts.deletion(
            walk.some(
                source="x",
                id=name,
                channel="social",
                direction="outbound" if _is_own(own, author) else None,
                customer=author or people.NOBODY,
                occurred_at=at,
            )
        )


def _edit(event: Fields, first: str) -> Fields:
    """Every version of a post is a post with an id of its own, which knows the first one's."""
    version = event["id"]
    return drafts.edit({**event, "id": first}, version) if first != version else event


def _sides(own: _Own, author: Fields, others: list[Fields]) -> Fields:
    """Direction and customer: the author; or of what the company wrote to whom it did, else to everybody, itself."""
    if not _is_own(own, author):
        return {"customer": author or people.NOBODY}
    return {"direction": "outbound", "customer": next((who for who in others if who and not _is_own(own, who)), author)}


def _is_own(own: _Own, person: Fields) -> bool:
    return people.is_own(own, person.get("id", ""), person.get("handle", ""))


def _person(user: Fields, user_id: str) -> Fields:
    """Somebody, in the form of API v1.1 or v2; empty without an id and a name."""
    followers = walk.count(user, "followers_count") or walk.count(user, "public_metrics", "followers_count")
    return walk.some(
        id=user_id,
        handle=walk.string(user, "screen_name") or walk.string(user, "username"),
        name=people.full_name(walk.string(user, "name")),
        reach=followers or None,
    )


def _users(document: Json, *path: str) -> dict[str, Fields]:
    """The users beside posts by their id; some deliveries wrap each in `data`."""
    return {_id(user): user for user in map(_unwrapped, walk.objects(document, *path))}


def _unwrapped(user: Json) -> Fields:
    return walk.fields(user, "data") or walk.fields(user)


def _language(post: Fields) -> str:
    said = walk.language(post, "lang")
    return "" if said in _NO_LANGUAGES else _LEGACY_LANGUAGES.get(said, said)


def _id(document: Fields) -> str:
    return ids.compose(walk.identifier(document, "id_str") or walk.identifier(document, "id"))
