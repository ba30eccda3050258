"""A company's own JSON, by a mapping that it writes (YAML with JSONPath, RFC 9535).

https://www.rfc-editor.org/rfc/rfc9535

The mapping is the connection's option `mapping_file`; `formats.mapping` reads it. A signature is told by the option
`signature`; without one the connection's secret stands in the URL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voz_ingest.adapters.inbound.formats import signatures, times, walk
from voz_ingest.adapters.inbound.formats.ids import digest
from voz_ingest.adapters.inbound.formats.mapping import MappingError, compile_mapping
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode, standard_webhooks
from voz_ingest.domain.draft import Draft

CUSTOMER_IDS = "company"

_SIGNATURE = ("header", "algorithm", "encoding", "prefix", "timestamp_header", "signed")
_STANDARD = "standard_webhooks"
_ALGORITHMS, _ENCODINGS = ("sha256", "sha1", "sha512"), ("hex", "base64")
_MILLISECONDS_FROM = 1e11  # as seconds that would be the year 5138


def parse(payload: Payload) -> list[Draft]:
    """The events that the mapping finds. One without an id is named by what it says, so a redelivery is the same."""
    if "mapping" not in payload.options:
        raise PayloadError("", "the connection has no mapping: the option `mapping_file` names one")
    document = decode(payload.body)
    try:
        events = [_named(event) for event in compile_mapping(payload.options["mapping"]).events(document)]
    except MappingError as error:
        raise PayloadError("", str(error)) from None
    except RecursionError:
        raise PayloadError("", "is nested too deeply") from None
    return [Draft(event) for event in events]


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether the signature is as the option `signature` says; without the option, whether the URL has the secret."""
    if payload.options.get("signature") == _STANDARD:
        return standard_webhooks.verify(payload, secrets)
    scheme = walk.fields(payload.options, "signature")
    if not scheme:
        return signatures.secret_in_url(payload, secrets)
    stamp_header = walk.string(scheme, "timestamp_header").lower()
    stamp = payload.headers.get(stamp_header, "").strip() if stamp_header else ""
    if stamp_header and not signatures.is_recent(_seconds(stamp), payload.received_at):
        return False
    form = walk.string(scheme, "signed") or ("{timestamp}.{body}" if stamp_header else "{body}")
    before, _, after = form.replace("{timestamp}", stamp).partition("{body}")
    signed = before.encode(errors="replace") + payload.body + after.encode(errors="replace")
    algorithm = walk.string(scheme, "algorithm") or "sha256"
    make = signatures.base64_hmac if walk.string(scheme, "encoding") == "base64" else signatures.hex_hmac
    prefix = walk.string(scheme, "prefix")
    said = payload.headers.get(walk.string(scheme, "header").lower(), "")
    given = [each.strip() for each in said.split(",")]
    given = [each.removeprefix(prefix) if each.startswith(prefix) else "" for each in given]
    if make is signatures.hex_hmac:
        given = [each.lower() for each in given]
    return signatures.matches(given, [make(secret, signed, algorithm) for secret in secrets])


def check(options: Mapping[str, Any]) -> None:
    """Raise ValueError (MappingError for the mapping) for options that can't be used."""
    if "mapping" not in options:
        raise ValueError("a mapping is needed: `mapping_file` names it")
    compile_mapping(options["mapping"])
    scheme = options.get("signature")
    if scheme is None or scheme == _STANDARD:
        return
    if not isinstance(scheme, dict) or not walk.string(scheme, "header"):
        raise ValueError(f"signature: must be {_STANDARD}, or an object with at least `header`")
    for name, value in scheme.items():
        if name not in _SIGNATURE or not isinstance(value, str):
            raise ValueError(f"signature.{name}: must be a string, and one of {', '.join(_SIGNATURE)}")
    for name, known in (("algorithm", _ALGORITHMS), ("encoding", _ENCODINGS)):
        if scheme.get(name, known[0]) not in known:
            raise ValueError(f"signature.{name}: must be one of {', '.join(known)}")
    if scheme.get("signed", "{body}").count("{body}") != 1:
        raise ValueError("signature.signed: must have one {body}")


def _named(event: dict[str, Any]) -> dict[str, Any]:
    named = {"source": "mapped", **event}
    return named if event.get("id") else {**named, "id": digest(repr(sorted(event.items())))}


def _seconds(stamp: str) -> float | None:
    """A time as senders write it into a header: seconds, milliseconds or ISO 8601."""
    number = walk.number(stamp)
    if number is not None:
        return number / 1000 if number >= _MILLISECONDS_FROM else number
    return times.unix(stamp)
