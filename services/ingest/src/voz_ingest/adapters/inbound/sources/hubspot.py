"""HubSpot: contacts, tickets, conversations and surveys, by webhooks and the documents that they announce.

https://developers.hubspot.com/docs/api-reference/webhooks-webhooks-v3/guide
https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
https://developers.hubspot.com/docs/api-reference/conversations-conversations-inbox-&-messages-v3/guide

A webhook says what has changed, not what was said, nor whose a ticket is: that is asked for, with an access token.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from voz_ingest.adapters.inbound.formats import drafts, hubspot, ids, signatures, tickets, walk
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, Pull, decode
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.payloads import TICKET_STATUSES

HOSTS = frozenset({"api.hubapi.com"})

_API = "https://api.hubapi.com"
_OBJECTS = {"0-1": "contact", "0-5": "ticket", "0-19": "feedback_submission"}
"""Types of objects in `object.*` subscriptions."""
_NUMBER = re.compile(r"\d{1,20}")
_MESSAGE = re.compile(r"[A-Za-z0-9_-]{1,200}")
_SIGNED_DECODED = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
"""What of a URI HubSpot signs as the character itself: `:/?@!$'()*,;`."""


def check(options: Mapping[str, Any]) -> None:
    """Raises ValueError for `stages` that name no status."""
    stages = options.get("stages", {})
    if not isinstance(stages, dict) or not all(str(said) in TICKET_STATUSES for said in stages.values()):
        raise ValueError(f"stages must give each stage of a ticket one of {', '.join(TICKET_STATUSES)}")


def parse(payload: Payload) -> list[Draft]:
    """The events of a webhook, or of what was fetched."""
    document = decode(payload.body)
    if not isinstance(document, (dict, list)):
        raise PayloadError("", "must be a JSON array of events, or an object")
    found: list[Fields] = []
    for item in _items(document):
        if _type(item):
            found += _told(item, payload.options)
        else:
            found += hubspot.events(item, payload.own, payload.options)
    return drafts.once(event for event in found if event.get("id"))


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether HubSpot signed the request: with version 3 within five minutes, else with one of the older two."""
    body, headers = payload.body, payload.headers
    given = headers.get("x-hubspot-signature-v3", "").strip()
    request = [f"{payload.method.upper()}{url}".encode(errors="replace") for url in _signed_urls(payload.url)]
    if given:
        moment = headers.get("x-hubspot-request-timestamp", "").strip()
        signed = [each + body + moment.encode(errors="replace") for each in request]
        expected = [signatures.base64_hmac(secret, each) for secret in secrets for each in signed]
        sent_at = walk.number(moment)
        is_recent = sent_at is not None and signatures.is_recent(sent_at / 1000, payload.received_at)
        return signatures.matches([given], expected) and is_recent
    version = headers.get("x-hubspot-signature-version", "v1").strip().lower()
    parts = {"v1": [body], "v2": [each + body for each in request]}.get(version, [])
    digests = [hashlib.sha256(secret.encode() + part).hexdigest() for secret in secrets for part in parts]
    return signatures.matches([headers.get("x-hubspot-signature", "").strip().lower()], digests)


def announced(payload: Payload, secrets: Sequence[str]) -> list[Pull]:
    """What a webhook's events are about, with the option `access_token`."""
    token = str(payload.options.get("access_token", ""))
    try:
        document = decode(payload.body)
    except PayloadError:
        return []
    paths = dict.fromkeys(path for event in _items(document) for path in _paths(event)) if token else {}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    return [Pull(f"{_API}{path}", headers) for path in paths]


def _items(document: object) -> list[Fields]:
    if isinstance(document, dict):
        return [*walk.objects(document, "results")] if isinstance(document.get("results"), list) else [document]
    return [*walk.objects(document)]


def _signed_urls(url: str) -> set[str]:
    return {url, _SIGNED_DECODED.sub(lambda found: chr(int(found[1], 16)), url)}


def _type(event: Fields) -> str:
    return walk.string(event, "subscriptionType") or walk.string(event, "eventType")


def _kind(event: Fields) -> tuple[str, str]:
    """What an event is about, and what happened to it: of the older subscriptions and of those for any object."""
    about, _, what = _type(event).partition(".")
    return _OBJECTS.get(walk.string(event, "objectTypeId"), "") if about == "object" else about, what


def _paths(event: Fields) -> Iterator[str]:
    (about, what), number = _kind(event), walk.identifier(event, "objectId")
    message = walk.identifier(event, "messageId")
    if not _NUMBER.fullmatch(number):
        return
    thread = f"/conversations/v3/conversations/threads/{number}/messages"
    if (about, what) == ("conversation", "creation"):
        yield thread
    elif (about, what) == ("conversation", "newMessage") and _MESSAGE.fullmatch(message):
        if walk.string(event, "messageType").upper() in ("MESSAGE", ""):
            yield f"{thread}/{message}"
    elif about == "ticket" and (what == "creation" or _is_stage(event)):
        yield f"/crm/v3/objects/tickets/{number}?{_query(hubspot.TICKET)}"
    elif (about, what) == ("feedback_submission", "creation"):
        yield f"/crm/v3/objects/feedback_submissions/{number}?{_query(hubspot.FEEDBACK)}"
    elif (about, what) == ("contact", "creation"):
        yield f"/crm/v3/objects/contacts/{number}?{urlencode({'properties': ','.join(hubspot.CONTACT)})}"


def _query(properties: Sequence[str]) -> str:
    return urlencode({"properties": ",".join(properties), "associations": "contacts"})


def _told(event: Fields, options: Mapping[str, Any]) -> Iterator[Fields]:
    """What an event tells by itself."""
    about, what = _kind(event)
    if about == "contact":
        yield from _contact(event, what)
    elif about == "ticket" and not options.get("access_token"):  # else it is asked for, with its customer
        yield from _ticket(event, what, options)


def _contact(event: Fields, what: str) -> Iterator[Fields]:
    number, name = walk.identifier(event, "objectId"), walk.string(event, "propertyName")
    about = walk.some(
        source="hubspot",
        id=ids.compose(number, f"contact.{what}", _version(event)),
        channel="crm",
        customer={"id": ids.compose(number)},
        occurred_at=hubspot.moment(event.get("occurredAt")),
        attributes=drafts.attributes(
            change_source=walk.string(event, "changeSource"),
            reason="privacy" if what == "privacyDeletion" else None,
        ),
    )
    if not number:
        return
    if what == "propertyChange" and name and not _is_hidden(event):
        profile = hubspot.identities(name, _value(event))
        yield {**about, "id": ids.compose(about["id"], name), "profile": profile}
    elif what == "creation":
        created = about.get("occurred_at") or "true"
        yield {**about, "profile": {"created_at": created}}
    elif what in ("deletion", "privacyDeletion"):
        yield {**about, "behaviour": {"type": "contact_deleted"}}
    elif what == "merge":
        yield from _merge(event, about)


def _merge(event: Fields, about: Fields) -> Iterator[Fields]:
    """One person from now on: every id that was theirs, as a link."""
    kept = next(filter(None, (walk.identifier(event, name) for name in ("newObjectId", "primaryObjectId"))), "")
    merged = walk.at(event, "mergedObjectIds")
    others = [walk.identifier(each) for each in merged] if isinstance(merged, list) else []
    kept = kept or walk.identifier(event, "objectId")
    for other in dict.fromkeys((walk.identifier(event, "primaryObjectId"), *others)):
        if other and other != kept:
            name = ids.compose(kept, "contact.merge", _version(event), other)
            yield {**about, "id": name, "customer": {"id": ids.compose(kept)}, "profile": {"id.hubspot": other[:255]}}


def _ticket(event: Fields, what: str, options: Mapping[str, Any]) -> Iterator[Fields]:
    number, now = walk.identifier(event, "objectId"), ""
    if what == "creation":
        now = "new"
    elif what == "deletion":
        now = "closed"
    elif what == "propertyChange" and _is_stage(event):
        now = hubspot.status(_value(event), options) if _value(event) else ""
    if now and number:
        moment = hubspot.moment(event.get("occurredAt"))
        found = tickets.event(hubspot.ticket_about(number), number, now, moment or _version(event))
        yield {**found, **walk.some(occurred_at=moment)}


def _is_stage(event: Fields) -> bool:
    return walk.string(event, "propertyName") == "hs_pipeline_stage"


def _is_hidden(event: Fields) -> bool:
    """Whether it is a property that HubSpot calls sensitive."""
    return walk.flag(event, "isSensitive") or _value(event) == "REDACTED"


def _version(event: Fields) -> str:
    """What tells an event from others of its kind, and stays when it is sent again: `attemptNumber` does not."""
    return walk.identifier(event, "occurredAt") or walk.identifier(event, "eventId") or "0"


def _value(event: Fields) -> str:
    value = event.get("propertyValue")
    return str(value).lower() if isinstance(value, bool) else walk.identifier(event, "propertyValue")
