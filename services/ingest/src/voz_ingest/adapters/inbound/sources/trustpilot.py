"""Trustpilot: service and product reviews and the company's replies, by webhook or as its API answers.

https://support.trustpilot.com/hc/en-us/articles/115015822068-Manage-your-webhook-notifications
https://developers.trustpilot.com/business-units-api
https://developers.trustpilot.com/product-reviews-api
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from voz_ingest.adapters.inbound.formats import drafts, ids, people, pulling, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Advance, Payload, PayloadError, Pull, PullState, decode_object
from voz_ingest.domain.draft import Draft

_LISTS = {"reviews": "service", "productReviews": "product"}
_MAX_TAGS = 20


def parse(payload: Payload) -> list[Draft]:
    """Events of a webhook's events, of a list of reviews, or of one review."""
    document = decode_object(payload)
    found: list[Fields] = []
    for event in walk.objects(document, "events"):
        kind, _, what = walk.string(event, "eventName").rpartition("-review-")
        if kind:
            found += _told(kind, what, walk.fields(event, "eventData"))
    for name, kind in _LISTS.items():
        for review in walk.objects(document, name):
            found += _listed(kind, review)
    if "stars" in document:
        found += _listed("product" if "product" in document else "service", document)
    return drafts.once(found)


def _told(kind: str, what: str, review: Fields) -> Iterator[Fields]:
    """What became of a review."""
    event = _event(kind, review)
    if not event:
        return
    if what == "deleted":
        deleted = {name: value for name, value in event.items() if name not in ("behaviour", "occurred_at")}
        deleted["attributes"] = {}
        yield drafts.deletion(deleted) | walk.some(occurred_at=times.iso(review.get("deletedAt")))
    elif what == "updated" and _says_something(event):
        yield _edited(event, review)
    elif what == "created" and _says_something(event):
        yield event


def _listed(kind: str, review: Fields) -> Iterator[Fields]:
    """A review as it stands, and the answer to it. `updatedAt` is that of its author."""
    event = _event(kind, review)
    if not event:
        return
    if _says_something(event):
        yield _edited(event, review) if _later(review) else event
    for reply in (walk.fields(review, "companyReply"), walk.fields(review, "firstCompanyComment")):
        text = walk.string(reply, "text") or walk.string(reply, "comment")
        if text:
            yield _reply(event, reply, text)


def _reply(event: Fields, reply: Fields, text: str) -> Fields:
    answer = {
        "id": ids.compose(event["id"], "reply"),
        "source": "trustpilot",
        "channel": "review",
        "direction": "outbound",
        "customer": event["customer"],
        "conversation": {"id": event["id"], "reply_to": event["id"]},
        "text": text,
    } | walk.some(occurred_at=times.iso(reply.get("createdAt")))
    return _edited(answer, reply) if _later(reply) else answer


def _event(kind: str, review: Fields) -> Fields:
    """A review in its first version; empty where it has no id."""
    number = walk.identifier(review, "id")
    if not number:
        return {}
    consumer = walk.fields(review, "consumer")
    name = people.full_name(walk.string(consumer, "displayName") or walk.string(consumer, "name"))
    person = ids.compose(walk.identifier(consumer, "id"))
    text, stars = _text(review), walk.number(review, "stars")
    product = walk.fields(review, "product")
    tags = [walk.string(tag, "value") for tag in walk.objects(review, "tags")]
    about = drafts.attributes(
        rating=None if stars is None else int(stars),
        rating_max=None if stars is None else 5,
        review_type=kind,
        order_id=walk.identifier(review, "referenceId"),
        product=walk.string(product, "name"),
        sku=walk.identifier(product, "sku"),
        location=walk.identifier(review, "locationId"),
        url=walk.string(review, "link"),
        verified=review.get("isVerified") if isinstance(review.get("isVerified"), bool) else None,
        tags=", ".join(filter(None, tags[:_MAX_TAGS])),
    )
    return walk.some(
        id=ids.compose(number),
        source="trustpilot",
        channel="review",
        customer=walk.some(id=person, **(people.NOBODY if not person else {}), name=name),
        conversation={"id": ids.compose(number)},
        text=text,
        behaviour={"type": "rating"} if not text and stars is not None else None,
        language=walk.language(review, "language") if text else None,
        occurred_at=times.iso(review.get("createdAt")),
        attributes=about,
    )


def _text(review: Fields) -> str:
    """Title and text; a title that Trustpilot made of the text's beginning says nothing more."""
    title = walk.string(review, "title")
    text = walk.string(review, "text") or walk.string(review, "content")
    beginning = title.removesuffix("…").removesuffix("...").strip()
    return text if not title or text.startswith(beginning) else "\n".join(filter(None, (title, text)))


def _says_something(event: Fields) -> bool:
    return "text" in event or "behaviour" in event


def _later(thing: Fields) -> bool:
    """Whether it was changed after it was made."""
    created, updated = times.iso(thing.get("createdAt")), times.iso(thing.get("updatedAt"))
    return bool(created and updated and updated > created)


def _edited(event: Fields, thing: Fields) -> Fields:
    """A new version, named by the time of the change, or by what it says where no time is told."""
    moment = times.iso(thing.get("updatedAt")) if _later(thing) else None
    about = event.get("attributes", {})
    version = moment or ids.digest(event.get("text", ""), str(about.get("rating")), walk.string(thing, "title"))[:12]
    edited = drafts.edit(event, version)
    edited.pop("occurred_at", None)
    return edited | walk.some(occurred_at=moment)


# How it is asked: a business unit's service reviews, newest first, once an hour some days further back, for edits and
# answers.
HOSTS = frozenset({"api.trustpilot.com"})
POLL_SECONDS = 300.0
_BASE, _PER_PAGE = "https://api.trustpilot.com", 100
_OVERLAP_HOURS = 168.0


def pull(state: PullState) -> Pull:
    """The next page of a business unit's reviews."""
    feeds = _feeds(state)
    unit, base = pulling.feed(state, feeds)[0], walk.string(dict(state.options), "base_url") or _BASE
    page = pulling.next_page(state, feeds) or "1"
    query = [("orderBy", "createdat.desc"), ("perPage", str(_PER_PAGE)), ("page", page)]
    address = pulling.url(base, "v1", "business-units", unit, "reviews", query=query)
    return Pull(address, {"apikey": pulling.credential(state, "api_key"), "Accept": "application/json"})


def begins(state: PullState) -> datetime:
    """When the feed was first asked, less what it looks back."""
    return pulling.begins(state, _feeds(state))


def advance(state: PullState, payload: Payload) -> Advance:
    """Behind a page. Raises PayloadError."""
    page, feeds = decode_object(payload), _feeds(state)
    if not isinstance(page.get("reviews"), list):
        raise PayloadError("/reviews", "must be an array")
    dates = [walk.string(review, "createdAt") for review in walk.objects(page, "reviews")]
    number = int(pulling.next_page(state, feeds) or 1) + 1
    hours, following = pulling.overlap_hours(state, _OVERLAP_HOURS), str(number) if len(dates) >= _PER_PAGE else ""
    return pulling.walked(state, feeds, dates, following, overlap_hours=hours)


def _feeds(state: PullState) -> list[str]:
    """The business unit. Raises MissingOptionError."""
    unit = pulling.option(state, "business_unit")
    pulling.credential(state, "api_key")
    return [unit]
