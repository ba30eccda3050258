"""From an event's plain form (the JSON that people write) to an event that is right, or to what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from voz_ingest.domain.event import (
    Audience,
    Channel,
    Conversation,
    Customer,
    CustomerEvent,
    Direction,
    EventKind,
    Payload,
)
from voz_ingest.domain.fields import CONTROL_IN_TEXT, FieldError, Fields, Reader, words
from voz_ingest.domain.payloads import read_payload

CHANNELS = words(Channel)
KINDS = words(EventKind)
AUDIENCES = words(Audience)
DIRECTIONS = words(Direction)
PAYLOAD_KINDS = {name: kind for name, kind in KINDS.items() if kind is not EventKind.MESSAGE}

CUSTOMER_FIELDS = frozenset({"id", "handle", "name", "reach"})
CONVERSATION_FIELDS = frozenset({"id", "reply_to"})
EVENT_FIELDS = frozenset(
    {"id", "tenant", "source", "channel", "kind", "audience", "direction", "customer", "conversation", "text"}
    | {"language", "occurred_at", "attributes", *PAYLOAD_KINDS}
)

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""Nothing that Voz listens to is older: an earlier time is a zero, a default or a unit mistaken."""
VOZ = "voz"
"""The source of what Voz itself says of customers (`voz_contracts.joins`): nobody else is believed that."""
MAX_AHEAD = timedelta(days=1)
"""A clock may be wrong, a time zone forgotten; more is a mistake that would hide the event from every window."""
MAX_REACH = (1 << 63) - 1
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})([-_][A-Za-z0-9]{1,8})*")
_SPACE_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
_USUAL_FIELDS = EVENT_FIELDS.difference(PAYLOAD_KINDS, {"tenant"})
_NO_FIELDS: Mapping[str, Any] = {}
_NOBODY = Customer("", "", "", 0)
_NO_CONVERSATION = Conversation("", "")


class Reading(NamedTuple):
    """What came of one event: the event, or errors. `ignored`: pointers of fields that nobody knows."""

    event: CustomerEvent | None
    errors: tuple[FieldError, ...]
    ignored: tuple[str, ...]


def read_event(
    plain: object, *, tenant: str | None, received_at: datetime, max_text_bytes: int, company_ids: bool = True
) -> Reading:
    """Read one event from decoded JSON. Any JSON gives an event or errors; nothing is raised.

    `tenant`: whose key sent it, None when nobody's; an event that names another one is refused, not moved.
    `company_ids`: whether a customer's id is the company's, or the source's own.
    """
    usual = _usual(plain, received_at, max_text_bytes, company_ids) if isinstance(plain, dict) else None
    if usual is not None:
        return Reading(usual, (), ())
    return read_each_field(
        plain, tenant=tenant, received_at=received_at, max_text_bytes=max_text_bytes, company_ids=company_ids
    )


def read_each_field(
    plain: object, *, tenant: str | None, received_at: datetime, max_text_bytes: int, company_ids: bool = True
) -> Reading:
    """The same, field by field, whatever the event is like."""
    reader = Reader()
    if not isinstance(plain, dict):
        reader.wrong("", "an event must be an object")
        return Reading(None, tuple(reader.errors), ())
    if tenant is not None and plain.get("tenant", tenant) != tenant:
        reader.wrong("/tenant", "is not the tenant of this key (an event needs no tenant: the key says it)")
    event = _event(reader, plain, received_at, max_text_bytes, company_ids)
    return Reading(None if reader.errors else event, tuple(reader.errors), tuple(reader.ignored))


def _usual(
    plain: Mapping[str, Any], received_at: datetime, max_text_bytes: int, company_ids: bool
) -> CustomerEvent | None:
    """The event, if it is a text with nothing unusual about it; None for any other.

    Most events are such, and looking at all their fields at once takes a third of the time. What it returns is what
    `read_each_field` would; a test holds them to it.
    """
    get = plain.get
    customer, conversation, attributes = get("customer"), get("conversation", _NO_FIELDS), get("attributes", _NO_FIELDS)
    if not (
        _USUAL_FIELDS.issuperset(plain)
        and isinstance(customer, dict)
        and isinstance(conversation, dict)
        and isinstance(attributes, dict)
        and CUSTOMER_FIELDS.issuperset(customer)
        and CONVERSATION_FIELDS.issuperset(conversation)
    ):
        return None
    text, source, source_id, language = get("text"), get("source", "api"), get("id", ""), get("language", "")
    customer_id, handle, name = customer.get("id", ""), customer.get("handle", ""), customer.get("name", "")
    reach, reply_to = customer.get("reach", 0), conversation.get("reply_to", "")
    conversation_id = conversation.get("id", "")
    try:  # all at once: every one is a string, all together are no longer than one may be, and nothing has to be mended
        said = "".join((source, source_id, language, customer_id, handle, name, conversation_id, reply_to))
        labels = "".join((*attributes, *attributes.values()))
        channel, audience = CHANNELS[get("channel", "")], AUDIENCES[get("audience", "customer")]
        direction = DIRECTIONS[get("direction", "inbound")]
    except (KeyError, TypeError):
        return None
    if not (
        isinstance(text, str)
        and len(text) * 4 <= max_text_bytes
        and (text.isprintable() or not CONTROL_IN_TEXT.search(text))
        and text
        and not text.isspace()
        and get("kind", "message") == "message"
        and (customer_id or handle)
        and len(said) <= 255
        and said.isprintable()
        and labels.isprintable()
        and len(attributes) <= 64
        and all(0 < len(label) <= 64 and len(value) <= 1000 for label, value in attributes.items())
        and source
        and " " not in source
        and source != VOZ
        and (not language or (len(language) == 2 and language.islower() and language.isascii() and language.isalpha()))
        and type(reach) is int
        and 0 <= reach <= MAX_REACH
    ):
        return None
    occurred_at = _occurred_at(Reader(), plain, received_at) if "occurred_at" in plain else received_at
    if occurred_at is None:
        return None
    return CustomerEvent(
        source,
        source_id,
        channel,
        EventKind.MESSAGE,
        audience,
        direction,
        Customer(customer_id, handle, name, reach, company_ids),
        Conversation(conversation_id, reply_to) if conversation else _NO_CONVERSATION,
        text,
        language,
        occurred_at,
        "occurred_at" not in plain,
        attributes,
        None,
    )


def _event(
    reader: Reader, plain: Fields, received_at: datetime, max_text_bytes: int, company_ids: bool
) -> CustomerEvent:
    reader.only(plain, EVENT_FIELDS, "")
    channel = reader.word(plain, "channel", CHANNELS, required=True)
    text = reader.text(plain, "text", max_bytes=max_text_bytes)
    wrong_text = any(error.pointer == "/text" for error in reader.errors)
    kind, payload = _kind_and_payload(reader, plain, bool(text) or wrong_text, max_text_bytes)
    occurred_at = _occurred_at(reader, plain, received_at)
    attributes = reader.object(plain, "attributes")
    return CustomerEvent(
        source=_source(reader, plain),
        source_id=reader.id(plain, "id"),
        channel=channel or Channel.WEB,
        kind=kind,
        audience=reader.word(plain, "audience", AUDIENCES) or Audience.CUSTOMER,
        direction=reader.word(plain, "direction", DIRECTIONS) or Direction.INBOUND,
        customer=_customer(reader, plain, company_ids),
        conversation=_conversation(reader, plain),
        text=text,
        language=_language(reader, plain),
        occurred_at=occurred_at or received_at,
        occurred_at_defaulted=occurred_at is None,
        attributes=reader.labels(attributes, "/attributes") if attributes else {},
        payload=payload,
    )


def _kind_and_payload(
    reader: Reader, plain: Fields, has_text: bool, max_text_bytes: int
) -> tuple[EventKind, Payload | None]:
    """The kind follows from the payload that is there; one that is named must agree with it."""
    present = (
        []
        if PAYLOAD_KINDS.keys().isdisjoint(plain)
        else [name for name in PAYLOAD_KINDS if plain.get(name) is not None]
    )
    named = reader.word(plain, "kind", KINDS)
    if len(present) > 1:
        reader.wrong(f"/{present[1]}", f"an event carries one payload; this one has {' and '.join(present)}")
        return EventKind.MESSAGE, None
    kind = PAYLOAD_KINDS[present[0]] if present else EventKind.MESSAGE
    if named is not None and named is not kind:
        if present:
            reader.wrong("/kind", f"does not agree with the payload, which is {kind}")
        else:
            reader.wrong(f"/{named}", f"is required for kind {named}")
    elif not present and not has_text:
        reader.wrong("/text", "is required (or a typed payload)")
    fields = reader.object(plain, present[0]) if present else None
    return kind, read_payload(reader, kind, fields, max_text_bytes=max_text_bytes) if fields is not None else None


def _source(reader: Reader, plain: Fields) -> str:
    source = reader.id(plain, "source")
    if source and _SPACE_OR_CONTROL.search(source):
        reader.wrong("/source", "must not contain white space")
    if source == VOZ:
        reader.wrong("/source", "is the name under which Voz itself says something")
    return source or "api"


def _customer(reader: Reader, plain: Fields, company_ids: bool) -> Customer:
    fields = reader.object(plain, "customer")
    if fields is None:
        if plain.get("customer") is None:
            reader.wrong("/customer", "is required, with an id or a handle")
        return _NOBODY
    reader.only(fields, CUSTOMER_FIELDS, "/customer")
    customer = Customer(
        id=reader.id(fields, "id", "/customer"),
        handle=reader.id(fields, "handle", "/customer"),
        name=reader.line(fields, "name", "/customer"),
        reach=reader.count(fields, "reach", "/customer", maximum=MAX_REACH),
        company_id=company_ids,
    )
    if not (fields.get("id") or fields.get("handle")):
        reader.wrong("/customer", "needs an id or a handle")
    return customer


def _conversation(reader: Reader, plain: Fields) -> Conversation:
    fields = reader.object(plain, "conversation")
    if fields is None:
        return _NO_CONVERSATION
    reader.only(fields, CONVERSATION_FIELDS, "/conversation")
    return Conversation(reader.id(fields, "id", "/conversation"), reader.id(fields, "reply_to", "/conversation"))


def _language(reader: Reader, plain: Fields) -> str:
    """The primary subtag of a language tag (BCP 47): `es-MX` is `es`."""
    said = reader.id(plain, "language")
    if not said:
        return ""
    found = _LANGUAGE.fullmatch(said)
    if found is None:
        reader.wrong("/language", "must be a language tag such as es or pt-BR")
        return ""
    return found[1].lower()


def _occurred_at(reader: Reader, plain: Fields, received_at: datetime) -> datetime | None:
    said = plain.get("occurred_at")
    if said is None:
        return None
    try:
        moment = datetime.fromisoformat(said.upper()) if isinstance(said, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        reader.wrong("/occurred_at", "must be an RFC 3339 time with its offset, such as 2026-11-20T10:00:00Z")
        return None
    if moment < EARLIEST:
        reader.wrong("/occurred_at", f"must not be before {EARLIEST.year}")
        return None
    if moment > received_at + MAX_AHEAD:
        reader.wrong("/occurred_at", "must not be more than a day in the future")
        return None
    return moment.astimezone(UTC)
