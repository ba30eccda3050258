"""Events in Voz's own plain form: a JSON object, an array of them, or one a line (NDJSON)."""

from __future__ import annotations

from collections.abc import Iterable

from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.fields import FieldError

CUSTOMER_IDS = "company"


def parse(payload: Payload) -> list[Draft]:
    """Events of a JSON body, or of lines when its content type says so."""
    if payload.headers.get("content-type", "").startswith("application/x-ndjson"):
        return parse_lines(payload.body.splitlines())
    return drafts(decode(payload.body))


def drafts(document: object) -> list[Draft]:
    """Events of a decoded body."""
    return [Draft(item) for item in document] if isinstance(document, list) else [Draft(document)]


def parse_lines(lines: Iterable[bytes]) -> list[Draft]:
    """One event a line; blank lines count for nothing, a line that isn't JSON is an event that can't be read."""
    return [_line(line) for line in lines if line and not line.isspace()]


def _line(line: bytes) -> Draft:
    try:
        return Draft(decode(line))
    except PayloadError as error:
        return Draft(None, errors=(FieldError("", error.detail),))
