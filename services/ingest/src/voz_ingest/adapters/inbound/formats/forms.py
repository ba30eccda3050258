"""Forms as HTTP carries them: urlencoded, or multipart with files beside the fields."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from urllib.parse import parse_qsl

from voz_ingest.adapters.inbound.sources import Payload, PayloadError

_MAX_FIELDS = 1000
MULTIPART = "multipart/form-data"


def is_multipart(payload: Payload) -> bool:
    """Whether a body is a multipart form."""
    return _content_type(payload).lower().startswith(MULTIPART)


def fields(payload: Payload) -> dict[str, str]:
    """The fields of a form, the first of each name; files are left out. What isn't UTF-8 keeps its bytes as surrogate
    escapes. Raises PayloadError for more fields than a form may have."""
    pairs = _parts(payload) if is_multipart(payload) else _pairs(payload.body)
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        text = body.decode("utf-8", "surrogateescape").strip()
        return parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise PayloadError("", f"a form has at most {_MAX_FIELDS} fields") from None


def _parts(payload: Payload) -> list[tuple[str, str]]:
    head = f"Content-Type: {_content_type(payload)}\r\n\r\n".encode("latin-1", "replace")
    try:
        form = message_from_bytes(head + payload.body)
    except RecursionError:
        raise PayloadError("", "a form has no parts within parts") from None
    inner = form.get_payload()
    if not isinstance(inner, list):
        raise PayloadError("", "is no multipart form: its boundary is missing")
    found: list[tuple[str, str]] = []
    for part in (each for each in inner[:_MAX_FIELDS] if isinstance(each, Message)):
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        if isinstance(name, str) and name and part.get_filename() is None and isinstance(value, bytes):
            found.append((name, value.decode("utf-8", "surrogateescape")))
    return found


def _content_type(payload: Payload) -> str:
    return " ".join(payload.headers.get("content-type", "").split())
