"""Google Play: reviews and the developer's replies (Android Publisher API), real-time developer notifications.

https://developers.google.com/android-publisher/api-ref/rest/v3/reviews
https://developers.google.com/android-publisher/reply-to-reviews
https://developer.android.com/google/play/billing/rtdn-reference
https://cloud.google.com/pubsub/docs/push

The API shows the present version of a review only, under the same id, and never says whether it is the first. So every
version has its own id, `<reviewId>:<lastModified>`, and `attributes.edit_of` names the review: the newest one counts.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlencode

from voz_ingest.adapters.inbound.formats import ids, jwt, people, pulling, times, walk
from voz_ingest.adapters.inbound.formats.drafts import attributes, once
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

_STATUSES = {1: "renewed", 2: "renewed", 3: "cancelled", 4: "started", 7: "renewed", 12: "ended", 13: "ended"}
_STATUSES |= {18: "cancelled"}
_REASONS = {1: "recovered", 7: "restarted", 12: "revoked", 13: "expired", 18: "cancellation_scheduled"}
_BEHAVIOURS = {5: "payment_failed", 6: "payment_failed", 10: "subscription_paused"}
_BOUGHT = 1
_NOTIFICATIONS = ("subscriptionNotification", "oneTimeProductNotification", "voidedPurchaseNotification")
_NO_NAMES = frozenset({"a google user", "google user", "anonymous"})


def parse(payload: Payload) -> list[Draft]:
    """Events of a list of reviews, of one review, or of a notification (in Pub/Sub's envelope or bare)."""
    document = decode_object(payload)
    if "message" in document:
        document = _unwrapped(document)
    reviews = [*walk.objects(document, "reviews")] or ([document] if "reviewId" in document else [])
    app = walk.identifier(payload.options, "app")
    events = [event for review in reviews for event in _review(review, app)]
    return once([*events, *_notification(document)])


def _unwrapped(envelope: Fields) -> Fields:
    """The notification in a Pub/Sub push. Raises PayloadError."""
    data = walk.string(envelope, "message", "data")
    if not data:
        return {}
    try:
        document = decode(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        raise PayloadError("/message/data", "must be base64") from None
    except PayloadError as error:
        raise PayloadError("/message/data", error.detail) from None
    return walk.fields(document)


def _review(review: Fields, app: str) -> Iterator[Fields]:
    number = walk.identifier(review, "reviewId")
    if not number:
        return
    name = walk.string(review, "authorName")
    common = {
        "source": "googleplay",
        "channel": "review",
        # Google names no person: but a person has one review of an app, so its id stands for theirs.
        "customer": walk.some(id=ids.compose(number), name=people.full_name("" if name.lower() in _NO_NAMES else name)),
    }
    for comment in walk.objects(review, "comments"):
        said = walk.fields(comment, "userComment")
        if said:
            yield from _opinion(_version(common, number, said), said, app)
        reply = walk.fields(comment, "developerComment")
        text = walk.string(reply, "text")
        if text:
            event = _version(common, ids.compose(number, "reply"), reply)
            conversation = {"id": ids.compose(number), "reply_to": ids.compose(number)}
            yield {**event, "direction": "outbound", "text": text, "conversation": conversation}


def _version(common: Fields, thing: str, comment: Fields) -> Fields:
    """A review or a reply as it reads now."""
    seconds = walk.identifier(comment, "lastModified", "seconds")
    nanos = walk.count(comment, "lastModified", "nanos")
    version = seconds or ids.digest(walk.string(comment, "text"), str(walk.number(comment, "starRating")))
    moment = times.seconds(f"{seconds}.{nanos:09d}" if nanos else seconds)
    event = {**common, "id": ids.compose(thing, version), "attributes": {"edit_of": ids.compose(thing)}}
    return event | walk.some(occurred_at=moment)


def _opinion(event: Fields, said: Fields, app: str) -> Iterator[Fields]:
    rating = walk.number(said, "starRating")
    about = attributes(
        rating=None if rating is None else int(rating),
        rating_max=None if rating is None else 5,
        app=app,
        app_version=walk.identifier(said, "appVersionName") or walk.identifier(said, "appVersionCode"),
        device=walk.string(said, "deviceMetadata", "productName") or walk.string(said, "device"),
        os_version=walk.identifier(said, "androidOsVersion"),
    )
    text = _text(said)
    if not text and rating is None:
        return
    yield {
        **event,
        **({"text": text} if text else {"behaviour": {"type": "rating"}}),
        **walk.some(language=walk.language(said, "reviewerLanguage") if text else None),
        "conversation": {"id": event["attributes"]["edit_of"]},
        "attributes": {**event["attributes"], **about},
    }


def _text(said: Fields) -> str:
    """What was written, not its translation: a title, if there is one, before a tab, then the text."""
    title, _, body = (walk.string(said, "originalText") or walk.string(said, "text")).partition("\t")
    return "\n".join(part.strip() for part in (title, body) if part.strip())


def _notification(document: Fields) -> Iterator[Fields]:
    """What happened to a purchase. Google names nobody, but the purchase token, which the company's app knows."""
    for name in _NOTIFICATIONS:
        notification = walk.fields(document, name)
        token = walk.identifier(notification, "purchaseToken")
        kind = walk.count(notification, "notificationType")
        what = _purchase(name, notification, kind) if token else {}
        if not what:
            continue
        moment = walk.identifier(document, "eventTimeMillis")
        yield {
            "id": ids.compose(ids.digest(token), name.removesuffix("Notification"), str(kind), moment or "0"),
            "source": "googleplay",
            "channel": "app",
            "customer": {"id": ids.compose(token)},
            **walk.some(occurred_at=times.milliseconds(moment)),
            "attributes": attributes(
                app=walk.string(document, "packageName"),
                product=walk.string(notification, "subscriptionId") or walk.string(notification, "sku"),
                reason=_REASONS.get(kind) if name == "subscriptionNotification" else None,
            ),
            **what,
        }


def _purchase(name: str, notification: Fields, kind: int) -> Fields:
    if name == "subscriptionNotification":
        if kind in _BEHAVIOURS:
            return {"behaviour": {"type": _BEHAVIOURS[kind]}}
        plan = walk.string(notification, "subscriptionId")[:255]
        return {"subscription": walk.some(status=_STATUSES[kind], plan=plan)} if kind in _STATUSES else {}
    if name == "oneTimeProductNotification":
        return {"transaction": {"type": "order_paid"}} if kind == _BOUGHT else {}
    order = walk.identifier(notification, "orderId")
    return {"transaction": walk.some(type="refund", order_id=order[:255])}


# How it is asked: reviews that were written or changed in the last week (the API shows no others), newest first.
# https://developers.google.com/identity/protocols/oauth2/service-account#httprest
HOSTS = frozenset({"androidpublisher.googleapis.com", "oauth2.googleapis.com"})
POLL_SECONDS = 900.0
_API, _TOKENS = "https://androidpublisher.googleapis.com", "https://oauth2.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/androidpublisher"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN_SECONDS = 3600


def authorise(state: PullState) -> Pull | None:
    """An access token for a service account's key; none where the options have one already."""
    account = _service_account(state)
    if not account:
        return None
    issued = int(state.now.timestamp())
    claims = {
        "iss": walk.string(account, "client_email"),
        "scope": _SCOPE,
        "aud": f"{_TOKENS}/token",
        "iat": issued,
        "exp": issued + _TOKEN_SECONDS,
    }
    key_id = {"kid": walk.string(account, "private_key_id")}
    assertion = jwt.signed(key_id, claims, walk.string(account, "private_key"))
    body = urlencode({"grant_type": _GRANT, "assertion": assertion}).encode()
    base = walk.string(dict(state.options), "base_url") or _TOKENS
    return Pull(f"{base}/token", {"Content-Type": "application/x-www-form-urlencoded"}, method="POST", body=body)


def pull(state: PullState) -> Pull:
    """The next page of an app's reviews."""
    feeds = _feeds(state)
    app = pulling.feed(state, feeds)[0]
    base = walk.string(dict(state.options), "base_url") or _API
    query = [("maxResults", "100"), ("token", pulling.next_page(state, feeds))]
    address = pulling.url(base, "androidpublisher", "v3", "applications", app, "reviews", query=query)
    token = walk.string(dict(state.options), "access_token") or state.token
    return Pull(address, {"Authorization": f"Bearer {token}"})


def begins(state: PullState) -> datetime:
    """When the feed was first asked, less what it looks back."""
    return pulling.begins(state, _feeds(state))


def advance(state: PullState, payload: Payload) -> Advance:
    """Behind a page; one without reviews has no `reviews`. Raises PayloadError."""
    page = decode_object(payload)
    written = [
        max(
            filter(None, (_when(walk.fields(comment, "userComment")) for comment in walk.objects(review, "comments"))),
            default=None,
        )
        for review in walk.objects(page, "reviews")
    ]
    following = walk.string(page, "tokenPagination", "nextPageToken")
    return pulling.walked(state, _feeds(state), written, following)


def refused(state: PullState, status: int, payload: Payload) -> Advance | None:
    """A page that isn't known any more: the first one."""
    return pulling.rescanned(state, _feeds(state)) if status in (400, 404) else None


def _feeds(state: PullState) -> list[str]:
    """The app. Raises MissingOptionError."""
    app = pulling.option(state, "app")
    if not walk.string(dict(state.options), "access_token") and not _service_account(state):
        raise MissingOptionError("the options `service_account` and `access_token` are missing, so it isn't asked")
    return [app]


def _service_account(state: PullState) -> Fields:
    """The key as Google gives it, JSON, in an option or in one of the secrets; those may be the webhook's, too."""
    for said in (state.options.get("service_account"), *state.secrets):
        found = said if isinstance(said, dict) else None
        if isinstance(said, str) and said.lstrip().startswith("{"):
            try:
                found = walk.fields(decode(said.encode()))
            except PayloadError:
                continue
        if found and walk.string(found, "private_key") and walk.string(found, "client_email"):
            return found
    return {}


def _when(comment: Fields) -> str | None:
    return times.seconds(walk.identifier(comment, "lastModified", "seconds"))
