"""Mailgun: inbound mail of its routes, parsed (`forward`, `store`) or as MIME.

https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/receive-http
https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/store-retreive
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from voz_ingest.adapters.inbound.formats import forms, mail, signatures, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode
from voz_ingest.domain.draft import Draft

SUCCESS = 200  # every other status but 406 makes Mailgun send again

_MAX_AGE_SECONDS = 12 * 3600
"""Mailgun sends again for eight hours; what is older was recorded and is played back."""
_HEADERS = frozenset({"auto-submitted", "content-type", "list-id", "precedence", "return-path", "x-autoreply"})
_HEADERS |= {"cc", "date", "from", "in-reply-to", "message-id", "received", "references", "subject", "to"}
"""What a mail is judged by, of the fields that a form has by these names."""


def parse(payload: Payload) -> list[Draft]:
    """The mail that a route passes on; what became of mails that were sent (`delivered`, `failed` …) is no event."""
    fields = _fields(payload)
    if "event-data" in fields or "event" in fields:
        return []
    raw = walk.at(fields, "body-mime")
    found = mail.read(_bytes(raw)) if isinstance(raw, str) else _parsed(fields)
    event = mail.event(
        found,
        "mailgun",
        payload.own,
        received_at=times.seconds(fields.get("timestamp")),
        mailbox=walk.string(fields, "recipient").partition(",")[0].strip().lower(),
        spam=True if "yes" in (found.first("x-mailgun-sflag").lower(), found.first("x-spam-flag").lower()) else None,
    )
    return [Draft(event)] if event else []


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether the body's `signature` is that of its `timestamp` and `token`, by one of the signing keys.

    `parent-signature` is the same, by the key of the account to which a subaccount belongs.
    """
    try:
        fields = _fields(payload)
    except PayloadError:
        return False
    signed = _signature(fields)
    sent_at, token = walk.identifier(signed, "timestamp"), walk.identifier(signed, "token")
    message = f"{sent_at}{token}".encode(errors="replace")
    expected = [signatures.hex_hmac(secret, message) for secret in secrets] if sent_at and token else []
    given = [walk.string(signed, "signature").lower(), walk.string(signed, "parent-signature").lower()]
    is_recent = signatures.is_recent(walk.number(sent_at), payload.received_at, _MAX_AGE_SECONDS)
    return signatures.matches(given, expected) and is_recent


def nonce(payload: Payload) -> str:
    """The token: the signature covers nothing else but the time, so what comes with it again must say the same."""
    return walk.identifier(_signature(_fields(payload)), "token")


def _signature(fields: Fields) -> Fields:
    """Where the parts of a signature stand: beside the others in a form, together in JSON."""
    return walk.fields(fields, "signature") or fields


def _fields(payload: Payload) -> Fields:
    """The fields of a form or, as events and stored messages come, of a JSON object. Raises PayloadError."""
    if forms.is_multipart(payload) or payload.body.lstrip()[:1] not in (b"{", b"["):
        return dict(forms.fields(payload))
    document = decode(payload.body)
    if not isinstance(document, dict):
        raise PayloadError("", "must be a JSON object or a form")
    return document


def _parsed(fields: Fields) -> mail.Mail:
    """A mail out of what Mailgun has read: the fields of its header, also as pairs, and the texts of its parts."""
    pairs = _pairs(fields.get("message-headers"))
    known = {name.lower() for name, _ in pairs}
    for name, value in fields.items():
        if name.lower() in _HEADERS and name.lower() not in known and isinstance(value, str):
            pairs.append((name, value))
    if not any(name.lower() == "from" for name, _ in pairs):
        pairs.append(("from", walk.string(fields, "sender")))
    headers = mail.headers(pairs)
    kinds = frozenset(kind.partition(";")[0].strip().lower() for kind in headers.get("content-type", ()))
    return mail.Mail(headers, _text(fields), kinds)


def _pairs(said: Any) -> list[tuple[str, object]]:
    try:
        pairs = orjson.loads(said) if isinstance(said, str) else said
    except orjson.JSONDecodeError:
        return []
    return [(pair[0], pair[1]) for pair in _lists(pairs) if len(pair) == 2 and isinstance(pair[0], str)]


def _lists(value: Any) -> Iterable[list[Any]]:
    return (item for item in value if isinstance(item, list)) if isinstance(value, list) else ()


def _text(fields: Fields) -> str:
    """The mail's whole text, with two dashes before what Mailgun takes for its signature."""
    html = "\n".join(walk.strings(fields, "body-html")) or walk.string(fields, "body-html")
    plain = walk.string(fields, "body-plain") or mail.html_text(html) or walk.string(fields, "stripped-text")
    text = _clean(plain)
    signature = _clean(walk.string(fields, "stripped-signature"))
    is_marked = not signature or signature.startswith("--")
    return text if is_marked else text.replace(f"\n{signature}", f"\n-- \n{signature}", 1)


def _clean(said: str) -> str:
    return _bytes(said).decode("utf-8", "replace").replace("\r\n", "\n")


def _bytes(raw: str) -> bytes:
    return raw.encode("utf-8", "surrogateescape")
