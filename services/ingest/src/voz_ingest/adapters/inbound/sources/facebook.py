"""Facebook Pages: posts, comments, recommendations and mentions (feed), and Messenger's messages.

https://developers.facebook.com/docs/graph-api/webhooks/reference/page/
https://developers.facebook.com/docs/graph-api/webhooks/getting-started/webhooks-for-pages
https://developers.facebook.com/docs/messenger-platform/reference/webhook-events

Who comments and who writes in Messenger has the same page-scoped id, so it is the same person. Edits have no number and
no time of their own: the new text tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from voz_ingest.adapters.inbound.formats import drafts, ids, messenger, meta, people, walk
from voz_ingest.adapters.inbound.formats.messenger import Entry
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload
from voz_ingest.domain.draft import Draft

SUCCESS = 200  # Meta sends again what is answered otherwise

verify = meta.verify
challenge = meta.challenge

_FIELDS = frozenset({"feed", "mention", "ratings"})
_EDITED = frozenset({"edit", "edited", "update"})
_RATING_MAX = 5


def parse(payload: Payload) -> list[Draft]:
    """The posts, comments, recommendations and messages of a delivery."""
    return drafts.once(_events(payload))


def _events(payload: Payload) -> Iterator[Fields]:
    for entry in messenger.entries(payload, "facebook", "page"):
        yield from messenger.messages(entry)
        for field, value in messenger.changes(entry):
            yield from _change(entry, field, value)


def _change(entry: Entry, field: str, value: Fields) -> Iterator[Fields]:
    if walk.string(value, "item") == "rating":
        yield from _versions(value, _rating(entry, value))
    elif field in _FIELDS and walk.string(value, "item") not in ("reaction", "like"):
        yield from _versions(value, _post(entry, value))


def _versions(value: Fields, event: Fields) -> Iterator[Fields]:
    """The event, as what happened to the thing has it; hiding it is the page's doing and says nothing new."""
    verb, content = walk.string(value, "verb"), event.get("text") or event.get("behaviour")
    if not event.get("id") or walk.at(value, "published") in (0, False):  # what isn't published waits for its hour
        return
    if verb in ("remove", "delete"):
        yield drafts.deletion(event)
    elif verb in _EDITED and content:
        yield drafts.edit(event, ids.digest(str(content), str(walk.at(value, "rating")))[:16])
    elif verb in ("add", "") and content:
        yield event


def _post(entry: Entry, value: Fields) -> Fields:
    """A post or, where there is the id of one, a comment."""
    post, comment = walk.identifier(value, "post_id"), walk.identifier(value, "comment_id")
    author = walk.identifier(value, "from", "id") or walk.identifier(value, "sender_id")
    person = walk.some(
        id=author,
        name=people.full_name(walk.string(value, "from", "name") or walk.string(value, "sender_name")),
    )
    return walk.some(
        source=entry.source,
        id=ids.compose(comment or post),
        channel="social",
        direction="outbound" if people.is_own(entry.own, author) else None,
        customer=person if author else {**person, **people.NOBODY},
        conversation=walk.some(
            id=ids.compose(post), reply_to=ids.compose(walk.identifier(value, "parent_id") or post) if comment else None
        ),
        text=walk.string(value, "message"),
        occurred_at=_time(entry, value),
        attributes=drafts.attributes(
            account=entry.account,
            item=walk.string(value, "item"),
            url=walk.string(value, "permalink_url") or walk.string(value, "post", "permalink_url"),
        ),
    )


def _rating(entry: Entry, value: Fields) -> Fields:
    """A recommendation (formerly stars) of the page: the review is its text."""
    text, reviewer = walk.string(value, "review_text"), walk.identifier(value, "reviewer_id")
    stars, story = walk.number(value, "rating"), walk.identifier(value, "open_graph_story_id")
    person = walk.some(id=reviewer, name=people.full_name(walk.string(value, "reviewer_name")))
    return walk.some(
        source=entry.source,
        id=ids.compose(story and f"rating:{story}"),
        channel="review",
        customer=person if reviewer else {**person, **people.NOBODY},
        text=text,
        behaviour=None if text else {"type": "rating"},
        occurred_at=_time(entry, value),
        attributes=drafts.attributes(
            account=entry.account,
            recommendation=walk.string(value, "recommendation_type").lower(),
            rating=None if stars is None else f"{stars:g}",
            rating_max=None if stars is None else _RATING_MAX,
        ),
    )


def _time(entry: Entry, value: Fields) -> str | None:
    """When it happened. What tells of an edit or a removal has the time of the original or none, so for these it is
    when Meta told of it."""
    told = walk.string(value, "verb") not in ("add", "")
    return (entry.sent_at if told else None) or messenger.moment(value.get("created_time")) or entry.sent_at
