"""Standard Webhooks: any sender that signs so, with events in Voz's plain form, bare or in its envelope.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
https://docs.svix.com/receiving/verifying-payloads/how-manual (the same scheme, whose headers begin with `svix-`)

A body is what `POST /v1/events` takes, or `{"type", "timestamp", "data": the plain form}`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from voz_ingest.adapters.inbound.formats import ids, signatures, times
from voz_ingest.adapters.inbound.sources import Payload, api
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.fields import escape

CUSTOMER_IDS = "company"

_ENVELOPE = frozenset({"type", "timestamp", "data", "id"})


def parse(payload: Payload) -> list[Draft]:
    """The events of a body. One without an id is named by the header `webhook-id`, which a redelivery repeats."""
    drafts = api.parse(payload)
    if len(drafts) != 1 or not _is_plain(drafts[0].plain):
        drafts = [draft for sent in drafts for draft in _opened(sent)]
    name = _name(payload.headers)
    if len(drafts) == 1:
        return [_completed(drafts[0], name)]
    return [_completed(draft, ids.compose(name, str(index))) for index, draft in enumerate(drafts)]


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether one of the signatures (several while a secret rotates) is by one of the secrets, within five minutes."""
    headers = payload.headers
    name, sent_at = _name(headers), headers.get("webhook-timestamp") or headers.get("svix-timestamp", "")
    if not name or not (sent_at.isascii() and sent_at.isdecimal()):
        return False
    moment = int(sent_at)
    if not signatures.is_recent(moment, payload.received_at):
        return False
    signed = f"{name}.{moment}.".encode() + payload.body
    expected = [f"v1,{signatures.base64_hmac(key, signed)}" for key in map(_key, secrets) if key]
    given = headers.get("webhook-signature") or headers.get("svix-signature", "")
    return signatures.matches(given.split(), expected)


@lru_cache(maxsize=1024)
def _key(secret: str) -> bytes:
    """The secret's bytes; none for what isn't base64 and so no secret of this scheme."""
    try:
        return base64.b64decode(secret.removeprefix("whsec_"))
    except ValueError:
        return b""


def _name(headers: Mapping[str, str]) -> str:
    """What the message is called."""
    return headers.get("webhook-id") or headers.get("svix-id", "")


def _opened(draft: Draft) -> list[Draft]:
    """The events in an envelope, none where its data are something else; what is no envelope is an event itself."""
    envelope = draft.plain
    if not isinstance(envelope, dict) or _is_plain(envelope):
        return [draft]
    data = envelope.get("data")
    if isinstance(data, list):
        return [_event(envelope, item, f"/data/{index}") for index, item in enumerate(data)]
    if not isinstance(data, dict):
        return [draft]
    return [_event(envelope, data, "/data")] if _is_plain(data) or "type" not in envelope else []


def _is_plain(fields: object) -> bool:
    return isinstance(fields, dict) and ("channel" in fields or "customer" in fields)


def _event(envelope: dict[str, Any], data: object, at: str) -> Draft:
    ignored = tuple(f"/{escape(name)}" for name in envelope if name not in _ENVELOPE)
    moment = times.iso(envelope.get("timestamp"))
    if not isinstance(data, dict) or data.get("occurred_at") is not None or moment is None:
        return Draft(data, ignored=ignored, prefix=at)
    plain = {**data, "occurred_at": moment}
    return Draft(plain, ignored=ignored, prefix=at, moved={"/occurred_at": "/timestamp"})


def _completed(draft: Draft, name: str) -> Draft:
    plain = draft.plain
    if draft.errors or not isinstance(plain, dict):
        return draft
    missing = {}
    if not plain.get("source"):
        missing["source"] = "standard_webhooks"
    if name and not plain.get("id"):
        missing["id"] = ids.compose(name)
    return Draft({**plain, **missing}, draft.errors, draft.ignored, draft.prefix, draft.moved)
