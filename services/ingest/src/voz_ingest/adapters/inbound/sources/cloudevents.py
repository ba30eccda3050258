"""CloudEvents 1.0 whose data is Voz's plain form: structured, batch, and binary mode over HTTP.

The envelope's `source` and `id` name the event, as the specification says; `time` and `subject` (the customer's id) say
what `data` leaves out.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote

from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.fields import FieldError, escape

ATTRIBUTES = frozenset(
    {"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "data", "data_base64"}
    | {"traceparent", "tracestate"}
)
_HEADER = "ce-"

CUSTOMER_IDS = "company"


def parse(payload: Payload) -> list[Draft]:
    """Events of a structured or batch body, or of `ce-` headers with the data as the body."""
    if is_binary(payload.headers):
        return [binary(payload.headers, payload.body)]
    document = decode(payload.body)
    return batch(document) if isinstance(document, list) else [structured(document)]


def is_binary(headers: Mapping[str, str]) -> bool:
    """Whether a request is in binary mode: it has the attributes as headers."""
    return "ce-specversion" in headers


def batch(document: object) -> list[Draft]:
    """Events of a batch body. Raises PayloadError when it isn't an array."""
    if not isinstance(document, list):
        raise PayloadError("", "a CloudEvents batch must be an array")
    return [structured(envelope) for envelope in document]


def structured(envelope: object) -> Draft:
    """One event in structured mode."""
    if not isinstance(envelope, dict):
        return _refused("", "a CloudEvent must be an object")
    errors = _envelope_errors(envelope, "")
    try:
        data = _data(envelope)
    except PayloadError as error:
        errors.append(FieldError(error.pointer, error.detail))
        data = {}
    ignored = tuple(f"/{escape(name)}" for name in envelope if name not in ATTRIBUTES)
    return _draft(envelope, data, errors, ignored, attributes_at="", data_at="/data")


def binary(headers: Mapping[str, str], body: bytes) -> Draft:
    """One event in binary mode: attributes in headers (percent-encoded), the body is the data."""
    attributes: dict[str, object] = {}
    errors = []
    for name, value in headers.items():
        if name.startswith(_HEADER):
            try:
                attributes[name[len(_HEADER) :]] = unquote(value, errors="strict")
            except UnicodeDecodeError:
                errors.append(FieldError(f"/header/{escape(name)}", "must be percent-encoded UTF-8"))
    errors += _envelope_errors(attributes, "/header/ce-")
    try:
        data = decode(body)
    except PayloadError as error:
        return Draft(None, errors=(*errors, FieldError(error.pointer, error.detail)))
    ignored = tuple(f"/header/ce-{escape(name)}" for name in attributes if name not in ATTRIBUTES)
    return _draft(attributes, data, errors, ignored, attributes_at="/header/ce-", data_at="")


def _envelope_errors(envelope: Mapping[str, object], at: str) -> list[FieldError]:
    at = at or "/"
    errors = []
    if envelope.get("specversion") != "1.0":
        errors.append(FieldError(f"{at}specversion", "must be 1.0"))
    for name in ("id", "source", "type"):
        value = envelope.get(name)
        if not isinstance(value, str) or not value:
            errors.append(FieldError(f"{at}{name}", "is required, a string that isn't empty"))
    return errors


def _data(envelope: Mapping[str, object]) -> object:
    kind = envelope.get("datacontenttype") or "application/json"
    media_type = str(kind).partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise PayloadError("/datacontenttype", "must be application/json")
    encoded = envelope.get("data_base64")
    if encoded is None:
        return envelope.get("data")
    try:
        return decode(base64.b64decode(str(encoded), validate=True))
    except binascii.Error:
        raise PayloadError("/data_base64", "must be base64") from None
    except PayloadError as error:
        raise PayloadError("/data_base64", error.detail) from None


def _draft(
    envelope: Mapping[str, object],
    data: object,
    errors: list[FieldError],
    ignored: tuple[str, ...],
    *,
    attributes_at: str,
    data_at: str,
) -> Draft:
    if not isinstance(data, dict):
        errors.append(FieldError(data_at, "is required: an event in the plain form, as an object"))
    if errors or not isinstance(data, dict):
        return Draft(None, errors=tuple(errors))
    at = attributes_at or "/"
    moved = {"/id": f"{at}id", "/source": f"{at}source"}
    plain = {**data, "id": envelope["id"], "source": envelope["source"]}
    overruled = tuple(f"{data_at}/{name}" for name in ("id", "source") if data.get(name, plain[name]) != plain[name])
    if data.get("occurred_at") is None and envelope.get("time") is not None:
        plain["occurred_at"] = envelope["time"]
        moved["/occurred_at"] = f"{at}time"
    customer = data.get("customer")
    if envelope.get("subject") is not None and (customer is None or isinstance(customer, dict)):
        known = customer or {}
        if not known.get("id"):
            plain["customer"] = {**known, "id": envelope["subject"]}
            moved["/customer/id"] = f"{at}subject"
    return Draft(plain, ignored=ignored + overruled, prefix=data_at, moved=moved)


def _refused(pointer: str, detail: str) -> Draft:
    return Draft(None, errors=(FieldError(pointer, detail),))
