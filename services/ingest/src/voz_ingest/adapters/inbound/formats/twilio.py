"""What Twilio sends, whether as a form, as JSON or as a CloudEvent; and its signature.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
https://www.twilio.com/docs/usage/security#validating-requests
https://www.twilio.com/docs/events/webhook-quickstart
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from voz_ingest.adapters.inbound.formats import signatures, walk
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode

_PORTS = {"https": 443, "http": 80}


class Said:
    """The parameters of one event. Twilio writes the same name as `MessageSid`, `messageSid` and `message_sid`."""

    def __init__(self, parameters: dict[str, Any], type_: str = "", time: Any = None) -> None:
        self._values = {name.replace("_", "").lower(): value for name, value in parameters.items()}
        self.type = type_ or self("EventType")
        self.time = time

    def __call__(self, *names: str) -> str:
        """The first of these that is there, as text; else empty."""
        for name in names:
            found = walk.identifier(self._values, name.lower())
            if found:
                return found
        return ""

    def value(self, name: str) -> Any:
        """A parameter as it is."""
        return self._values.get(name.lower())


def events(payload: Payload) -> Iterator[Said]:
    """What each event of a payload says. Raises PayloadError for JSON that is neither an object nor a list."""
    body = payload.body.strip()
    kind = payload.headers.get("content-type", "")
    if not body.startswith((b"{", b"[")) and ("json" not in kind or b"=" in body):
        yield Said(dict(_form(body) or payload.query))
        return
    document = decode(body)
    if not isinstance(document, (dict, list)):
        raise PayloadError("", "must be a form, a JSON object or a list of events")
    for item in [document] if isinstance(document, dict) else walk.objects(document):
        if "specversion" in item:  # Event Streams
            data, time = walk.fields(item, "data"), walk.at(item, "data", "timestamp") or item.get("time")
            yield Said(data, walk.string(item, "type"), time)
        else:
            yield Said(item)


def is_signed(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether `X-Twilio-Signature` is right: over the URL and the form's parameters, or over the URL, which holds the
    hash of a body in JSON. With a key of the company's own, a header says which hash it is."""
    given = payload.headers.get("x-twilio-signature", "").strip()
    settings = payload.headers.get("x-twilio-webhooks-signature-settings", "").upper()
    digest = "sha256" if "HMAC_SHA256" in settings else "sha1"
    try:
        parts = urlsplit(payload.url)
        urls = _urls(parts)
    except ValueError:
        return False
    hashes = [value for name, value in parse_qsl(parts.query) if name == "bodySHA256"]
    if hashes:
        if not signatures.matches([hashlib.sha256(payload.body).hexdigest()], [hashes[0].lower()]):
            return False
        said = ""
    else:
        pairs = sorted({*_form(payload.body)})  # a value that is there twice counts once
        said = "".join(name + value for name, value in pairs)
    expected = [
        signatures.base64_hmac(secret, (url + said).encode(errors="replace"), digest)
        for secret in secrets
        for url in urls
    ]
    return signatures.matches([given], expected)


def _form(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("ascii", errors="replace"), keep_blank_values=True, errors="replace")


def _urls(parts: SplitResult) -> list[str]:
    """The URL as it is, without its port, and with the port that it doesn't name: Twilio isn't consistent in that."""
    user, at, _ = parts.netloc.rpartition("@")
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.port or _PORTS.get(parts.scheme, 443)
    hosts = dict.fromkeys([parts.netloc, f"{user}{at}{host}", f"{user}{at}{host}:{port}"])
    return [parts._replace(netloc=netloc).geturl() for netloc in hosts]
