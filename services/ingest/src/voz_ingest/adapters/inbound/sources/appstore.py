"""App Store: reviews and responses (App Store Connect API, the public RSS feed as JSON), server notifications (V2).

https://developer.apple.com/documentation/appstoreconnectapi/customer-reviews
https://developer.apple.com/documentation/appstoreservernotifications/notificationtype
https://developer.apple.com/documentation/appstoreservernotifications/responsebodyv2decodedpayload

A review that is edited keeps its id and gets a new date, and nothing says which version is the first. So every version
has its own id, `<id>:<date>`, and `attributes.edit_of` names the review: the newest one counts.

What Apple signs (JWS) is read, but its chain of certificates isn't verified: the secret stands in the URL.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from voz_ingest.adapters.inbound.formats import ids, jwt, money, people, pulling, times, walk
from voz_ingest.adapters.inbound.formats.drafts import attributes, once
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Advance, Payload, PayloadError, Pull, PullState, decode, decode_object
from voz_ingest.domain.draft import Draft

_REVIEW, _RESPONSE = "customerReviews", "customerReviewResponses"
_PERSON = re.compile(r"/id(\d+)")
_COUNTRY = re.compile(r"/([a-z]{2})/rss/")
_STATUSES = {
    "SUBSCRIBED": "started",
    "DID_RENEW": "renewed",
    "DID_CHANGE_RENEWAL_STATUS:AUTO_RENEW_DISABLED": "cancelled",
    "DID_CHANGE_RENEWAL_STATUS:AUTO_RENEW_ENABLED": "renewed",
    "DID_CHANGE_RENEWAL_PREF:UPGRADE": "upgraded",
    "DID_CHANGE_RENEWAL_PREF:DOWNGRADE": "downgraded",
    "OFFER_REDEEMED:INITIAL_BUY": "started",
    "OFFER_REDEEMED:RESUBSCRIBE": "started",
    "OFFER_REDEEMED:UPGRADE": "upgraded",
    "OFFER_REDEEMED:DOWNGRADE": "downgraded",
    "EXPIRED": "ended",
    "REVOKE": "ended",
}
_BEHAVIOURS = {"DID_FAIL_TO_RENEW": "payment_failed", "CONSUMPTION_REQUEST": "refund_requested"}
_TRANSACTIONS = {"ONE_TIME_CHARGE": "order_paid", "REFUND": "refund"}
_MILLIUNITS = 3


def parse(payload: Payload) -> list[Draft]:
    """Events of an answer of the API, of the feed, or of a server notification."""
    document = decode_object(payload)
    signed = document.get("signedPayload")
    if isinstance(signed, str):
        return once(_notification(_opened(signed, "/signedPayload")))
    if walk.fields(document, "feed"):
        return once(_feed(document["feed"]))
    return once(_api(document, walk.identifier(payload.options, "app")))


def _api(document: Fields, app: str) -> Iterator[Fields]:
    data = document.get("data")
    resources = [data] if isinstance(data, dict) else [*walk.objects(document, "data")]
    reviews = [resource for resource in resources if resource.get("type") == _REVIEW]
    responses = [each for each in (*resources, *walk.objects(document, "included")) if each.get("type") == _RESPONSE]
    authors: dict[str, Fields] = {}
    answered: dict[str, str] = {}
    for review in reviews:
        said = walk.fields(review, "attributes")
        number = walk.identifier(review, "id")
        if not number:
            continue
        nickname = walk.string(said, "reviewerNickname")[:255]
        authors[number] = walk.some(handle=nickname) or {"id": ids.compose(number)}
        answered[walk.identifier(review, "relationships", "response", "data", "id")] = number
        yield from _opinion(
            _version(number, said.get("createdDate"), authors[number], said.get("title"), said.get("body")),
            title=walk.string(said, "title"),
            body=walk.string(said, "body"),
            rating=said.get("rating"),
            about=attributes(country=walk.string(said, "territory"), app=app),
        )
    for response in responses:
        number = walk.identifier(response, "id")
        said = walk.fields(response, "attributes")
        text = walk.string(said, "responseBody")
        review_id = walk.identifier(response, "relationships", "review", "data", "id") or answered.get(number, "")
        if number and text:
            event = _version(number, said.get("lastModifiedDate"), authors.get(review_id, people.NOBODY), text)
            review_id = ids.compose(review_id)
            conversation = walk.some(id=review_id, reply_to=review_id)
            yield event | walk.some(direction="outbound", text=text, conversation=conversation)


def _feed(feed: Fields) -> Iterator[Fields]:
    """The reviews of the public feed; its first entry may be the app itself."""
    entries = feed.get("entry")
    links = [walk.string(link, "attributes", "href") for link in walk.objects(feed, "link")]
    where = _COUNTRY.search(" ".join([walk.string(feed, "id", "label"), *links]))
    for entry in [entries] if isinstance(entries, dict) else [*walk.objects(feed, "entry")]:
        rating = walk.string(entry, "im:rating", "label")
        number = walk.identifier(entry, "id", "label")
        if not rating or not number:
            continue
        person = _PERSON.search(walk.string(entry, "author", "uri", "label"))
        nickname = walk.string(entry, "author", "name", "label")[:255]
        customer = walk.some(id=person[1][:255] if person else None, handle=nickname) or {"id": ids.compose(number)}
        yield from _opinion(
            _version(number, walk.string(entry, "updated", "label"), customer, walk.string(entry, "content", "label")),
            title=walk.string(entry, "title", "label"),
            body=walk.string(entry, "content", "label"),
            rating=rating,
            about=attributes(
                country=where[1].upper() if where else None, app_version=walk.string(entry, "im:version", "label")
            ),
        )


def _version(number: str, dated: Any, customer: Fields, *words: Any) -> Fields:
    """A review or a response as it reads now."""
    moment = times.iso(dated)
    event = {
        "id": ids.compose(number, moment or ids.digest(*map(walk.string, words))),
        "source": "appstore",
        "channel": "review",
        "customer": customer,
        "attributes": {"edit_of": ids.compose(number)},
    }
    return event | walk.some(occurred_at=moment)


def _opinion(event: Fields, *, title: str, body: str, rating: Any, about: Fields) -> Iterator[Fields]:
    stars = walk.number(rating)
    text = "\n".join(part for part in (title, body) if part)
    if not text and stars is None:
        return
    known = walk.some(rating=None if stars is None else int(stars), rating_max=None if stars is None else 5)
    yield {
        **event,
        **({"text": text} if text else {"behaviour": {"type": "rating"}}),
        "conversation": {"id": event["attributes"]["edit_of"]},
        "attributes": {**event["attributes"], **known, **about},
    }


def _notification(notification: Fields) -> Iterator[Fields]:
    """What happened to a purchase, whose customer is the company's account token, else the original transaction."""
    kind, subtype = walk.string(notification, "notificationType"), walk.string(notification, "subtype")
    data = walk.fields(notification, "data")
    bought = _read(data.get("signedTransactionInfo"))
    renewal = _read(data.get("signedRenewalInfo"))
    original = walk.identifier(bought, "originalTransactionId") or walk.identifier(renewal, "originalTransactionId")
    number = walk.identifier(notification, "notificationUUID")
    plan = walk.string(bought, "productId") or walk.string(renewal, "productId")
    status = _STATUSES.get(f"{kind}:{subtype}") or _STATUSES.get(kind)
    if status in ("upgraded", "downgraded"):
        plan = walk.string(renewal, "autoRenewProductId") or plan
    what: Fields = {}
    if status:
        what = {"subscription": walk.some(status=status, plan=plan[:255])}
    elif kind in _TRANSACTIONS:
        order = walk.identifier(bought, "transactionId")[:255]
        paid = money.minor_worth(bought.get("price"), bought.get("currency"), _MILLIUNITS)
        what = {"transaction": walk.some(type=_TRANSACTIONS[kind], order_id=order, **_shortened(paid))}
    elif kind in _BEHAVIOURS:
        what = {"behaviour": {"type": _BEHAVIOURS[kind]}}
    account = walk.identifier(bought, "appAccountToken") or walk.identifier(renewal, "appAccountToken")
    if what and number and (account or original):
        yield {
            "id": ids.compose(number),
            "source": "appstore",
            "channel": "app",
            "customer": {"id": ids.compose(account or original)},
            **walk.some(occurred_at=_happened(kind, subtype, notification, bought)),
            **what,
            "attributes": attributes(
                app=walk.string(data, "bundleId"),
                product=plan,
                reason=subtype.lower(),
                country=walk.string(bought, "storefront"),
                environment=walk.string(data, "environment"),
                original_transaction=original,
            ),
        }


def _happened(kind: str, subtype: str, notification: Fields, bought: Fields) -> str | None:
    """When it happened: Apple may sign long after that, and renew a day before the period begins."""
    signed = walk.number(notification, "signedDate")
    dated = {"SUBSCRIBED": "purchaseDate", "DID_RENEW": "purchaseDate", "ONE_TIME_CHARGE": "purchaseDate"}
    dated |= {"REFUND": "revocationDate", "REVOKE": "revocationDate", "EXPIRED:VOLUNTARY": "expiresDate"}
    found = walk.number(bought, dated.get(f"{kind}:{subtype}") or dated.get(kind, ""))
    known = [moment for moment in (signed, found) if moment is not None]
    return times.milliseconds(min(known)) if known else None


def _shortened(paid: Fields) -> Fields:
    """An amount of milliunits with as many decimals as its currency has."""
    return money.worth(paid["amount"].rstrip("0").rstrip("."), paid["currency"]) if paid else {}


def _read(token: Any) -> Fields:
    try:
        return _opened(token, "") if isinstance(token, str) else {}
    except PayloadError:
        return {}


def _opened(token: str, at: str) -> Fields:
    """What a JWS says. Raises PayloadError."""
    parts = token.split(".")
    if len(parts) != 3:
        raise PayloadError(at, "must be a JWS")
    try:
        document = decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        raise PayloadError(at, "must be a JWS, whose parts are base64") from None
    return walk.fields(document)


# How it is asked: with a key the API, newest first; without one the public feed, which ends after ten pages.
# https://developer.apple.com/documentation/appstoreconnectapi/generating-tokens-for-api-requests
HOSTS = frozenset({"api.appstoreconnect.apple.com", "itunes.apple.com"})
POLL_SECONDS = 900.0
_API_URL, _FEED_URL = "https://api.appstoreconnect.apple.com", "https://itunes.apple.com"
_TOKEN_SECONDS = 900
"""Apple takes no token that is valid for more than twenty minutes."""
_LAST_PAGE = 10
_LETTERS = re.compile(r"[A-Za-z]{2}")


def pull(state: PullState) -> Pull:
    """The next page of an app's reviews."""
    feeds = _feeds(state)
    app, following = _app(state), pulling.next_page(state, feeds)
    base = walk.string(dict(state.options), "base_url")
    if _has_key(state):
        query = [("sort", "-createdDate"), ("limit", "200"), ("include", "response")]
        first = pulling.url(base or _API_URL, "v1", "apps", app, "customerReviews", query=query)
        return Pull(following or first, {"Authorization": f"Bearer {_token(state)}"})
    country, page = pulling.feed(state, feeds)[0], following or "1"
    where = (country, "rss", "customerreviews", f"page={page}", f"id={app}", "sortby=mostrecent", "json")
    return Pull("/".join(((base or _FEED_URL).rstrip("/"), *where)))


def begins(state: PullState) -> datetime:
    """When the feed was first asked, less what it looks back."""
    return pulling.begins(state, _feeds(state))


def advance(state: PullState, payload: Payload) -> Advance:
    """Behind a page. Raises PayloadError."""
    page, feeds = decode_object(payload), _feeds(state)
    if _has_key(state):
        if not isinstance(page.get("data"), list):
            raise PayloadError("/data", "must be an array")
        dates = [walk.string(review, "attributes", "createdDate") for review in walk.objects(page, "data")]
        return pulling.walked(state, feeds, dates, walk.string(page, "links", "next"))
    if not isinstance(page.get("feed"), dict):
        raise PayloadError("/feed", "must be an object")
    entries = page["feed"].get("entry")
    reviews = [
        entry for entry in ([entries] if isinstance(entries, dict) else walk.objects(entries)) if "im:rating" in entry
    ]
    dates = [walk.string(review, "updated", "label") for review in reviews]
    number = int(pulling.next_page(state, feeds) or 1) + 1
    return pulling.walked(state, feeds, dates, str(number) if dates and number <= _LAST_PAGE else "")


def refused(state: PullState, status: int, payload: Payload) -> Advance | None:
    """A page that isn't known any more: the first one."""
    return pulling.rescanned(state, _feeds(state)) if status in (400, 404, 410) else None


def _feeds(state: PullState) -> list[str]:
    """Of the API the app, of the public feed the app in each country. Raises MissingOptionError."""
    app = _app(state)
    if _has_key(state):
        return [f"app/{app}"]
    countries = [country.lower() for country in pulling.listed(state, "countries") if _LETTERS.fullmatch(country)]
    if not countries or not app.isdecimal():
        pulling.option(state, "key_id")
    return countries


def _app(state: PullState) -> str:
    """Apple's number of the app; the option `app` may be a name of the company's own."""
    return walk.identifier(dict(state.options), "app_id") or pulling.option(state, "app")


def _has_key(state: PullState) -> bool:
    return bool(walk.string(dict(state.options), "key_id"))


def _token(state: PullState) -> str:
    """Who asks, for a quarter of an hour. The key is the one that App Store Connect gives once, a `.p8` file."""
    issued = int(state.now.timestamp())
    claims = {"iss": walk.string(dict(state.options), "issuer"), "iat": issued, "exp": issued + _TOKEN_SECONDS}
    if not claims["iss"]:  # an individual key
        claims = {"sub": "user", "iat": issued, "exp": issued + _TOKEN_SECONDS}
    header = {"kid": pulling.option(state, "key_id")}
    return jwt.signed(header, {**claims, "aud": "appstoreconnect-v1"}, pulling.credential(state, "private_key"))
