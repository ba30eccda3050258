"""Telephone calls as text: turns in JSON, and WebVTT or SRT files with their speakers.

docs/sources/transcript.md describes the JSON, which telephony and speech-to-text systems write much alike.

A turn is an event: the customer's are analysed, the company's are outbound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from voz_ingest.adapters.inbound.formats import captions, drafts, ids, labels, people, speakers, times, turns, walk
from voz_ingest.adapters.inbound.formats.turns import Turn, first, plain
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode
from voz_ingest.domain.draft import Draft

CUSTOMER_IDS = "company"

_HEADERS = ("x-call-id", "x-started-at", "x-customer", "x-customer-name", "x-language", "x-queue")
_OPTIONS = ("call_id", "started_at", "customer", "customer_name", "language", "queue")
_ID = ("callid", "callsid", "conversationid", "contactid", "interactionid", "id", "sessionid", "uuid", "sid")
_STARTED = ("startedat", "starttime", "started", "start", "begin", "connectedat", "createdat", "date", "timestamp")
_CUSTOMER = ("customer", "caller", "client", "contact", "customerid", "customernumber", "phonenumber", "phone")
_CUSTOMER_ID = ("id", "customerid", "externalid")
_CUSTOMER_HANDLE = ("handle", "phone", "phonenumber", "number", "ani", "email", "address")
_PHONE_OR_MAIL = re.compile(r"\+\d[\d ().-]{4,}|\d{9,15}|\S+@\S+")
_MILLISECONDS_FROM = 1e11  # as seconds that would be the year 5138


def parse(payload: Payload) -> list[Draft]:
    """The turns of a call, or of a list of calls. Raises PayloadError for what is no JSON, WebVTT or SRT."""
    text = _decoded(payload.body)
    kind = payload.headers.get("content-type", "")
    is_json = text.lstrip().startswith(("{", "[")) or "-->" not in text
    if text.startswith("WEBVTT") or not is_json:
        facts, said = captions.read(text, is_srt=not text.startswith("WEBVTT") and "vtt" not in kind)
        calls = [(plain(facts), said)]
    else:
        calls = [*_calls(decode(text.encode()))]
    return drafts.once(event for facts, said in calls for event in _events(payload, facts, said))


def _calls(document: Any) -> Iterator[tuple[Fields, list[Turn]]]:
    """What a document says of each call, and its turns."""
    if not isinstance(document, (dict, list)):
        raise PayloadError("", "must be a call, as JSON, WebVTT or SRT")
    items = [item for item in (document if isinstance(document, list) else [document]) if isinstance(item, dict)]
    found = [(item, turns.of_json(item)) for item in items]
    if isinstance(document, list) and not any(said for _, said in found):
        yield {}, turns.of_json(document)  # a list of turns, and nothing else
        return
    for item, said in found:
        inner = item.get("call") or item.get("CustomerMetadata")  # Contact Lens
        call = inner if isinstance(inner, dict) else {"call_id": walk.identifier(inner)}
        yield {**plain(item), **walk.some(**plain(call))}, said


def _events(payload: Payload, facts: Fields, said: Sequence[Turn]) -> Iterator[Fields]:
    """One event a turn. What the document doesn't say of the call, headers may, or the connection's options."""
    headers = {name.removeprefix("x-"): payload.headers[name] for name in _HEADERS if name in payload.headers}
    options = {name: payload.options[name] for name in _OPTIONS if name in payload.options}
    known = {**plain(options), **plain(headers), **facts}
    started = _time(next((known[name] for name in _STARTED if known.get(name)), None))
    started_at = datetime.fromisoformat(started) if started else None
    words = (word for turn in said for word in (*turn.names, turn.text))
    customer = _customer(known)
    call = ids.compose(first(known, _ID)) or ids.digest(str(started), str(customer), *words)
    sides = _sides(payload, said, customer)
    if "id" not in customer and "handle" not in customer:
        customer = {"handle": call, **customer}  # somebody for one call
    if not customer.get("name"):
        spoken = {_person(turn.names) for turn in said if sides[turn.names] == "customer"} - {""}
        customer = {**customer, **walk.some(name=spoken.pop() if len(spoken) == 1 else None)}
    about = {
        **labels.labels(known.get("attributes")),
        **drafts.attributes(queue=walk.string(known, "queue"), call_direction=walk.string(known, "direction")),
    }
    for number, turn in enumerate(said):
        sent = sides[turn.names] == "company"
        agent = _person(turn.names) if sent else None
        yield walk.some(
            id=ids.compose(call, turn.id or f"turn-{number}"),
            source="transcript",
            channel="phone",
            direction="outbound" if sent else None,
            customer=customer,
            conversation={"id": call},
            text=turn.text,
            language=turn.language or next(filter(None, (walk.language(known, name) for name in turns.LANGUAGE)), ""),
            occurred_at=turn.said_at or _moment(started_at, turn.start_seconds),
            attributes={**about, **walk.some(offset_seconds=turn.start_seconds, agent=agent)},
        )


def _customer(known: Fields) -> Fields:
    """An object with an id, a number or address, a name; or one of the first two as a word; else the other end."""
    said = next((known[name] for name in _CUSTOMER if known.get(name)), None)
    name = people.full_name(walk.string(known, "customername"))
    if isinstance(said, dict):
        fields = plain(said)
        found = walk.some(id=first(fields, _CUSTOMER_ID), handle=first(fields, _CUSTOMER_HANDLE))
        name = people.full_name(first(fields, ("name", "fullname"))) or name
    else:
        is_ours = walk.string(known, "direction").lower().startswith("out")
        word = walk.identifier(said) or walk.identifier(known, "to" if is_ours else "from")
        found = walk.some(**{"handle" if _PHONE_OR_MAIL.fullmatch(word) else "id": word})
    return {**found, **walk.some(name=name)}


def _sides(payload: Payload, said: Sequence[Turn], customer: Fields) -> dict[tuple[str, ...], speakers.Side]:
    """Which side each speaker is on: as the connection says; the company's own accounts; who the customer is known to
    be; the words for roles. Who is left is on the side that nobody is on yet, or a customer where nobody is known."""
    customers = {*map(speakers.plain, _words(payload.options.get("customer_speakers")))}
    agents = {*map(speakers.plain, _words(payload.options.get("agent_speakers")))}
    known_as = {speakers.plain(str(value)) for value in customer.values()}
    found: dict[tuple[str, ...], speakers.Side | None] = {}
    for turn in said:
        names = {*map(speakers.plain, turn.names)}
        if names & customers:
            found[turn.names] = "customer"
        elif names & agents or people.is_own(payload.own, *turn.names):
            found[turn.names] = "company"
        elif names & known_as:
            found[turn.names] = "customer"
        else:
            found[turn.names] = next(filter(None, map(speakers.side, turn.names)), None)
    others: speakers.Side = "company" if "customer" in found.values() else "customer"
    return {names: side or others for names, side in found.items()}


def _moment(started_at: datetime | None, seconds: float | None) -> str | None:
    if started_at is None:
        return None
    try:
        return times.rfc3339(started_at + timedelta(seconds=seconds or 0))
    except OverflowError:
        return None


def _time(value: Any) -> str | None:
    if isinstance(value, datetime):  # of a configuration in YAML
        value = value.isoformat()
    number = walk.number(value)
    unix = times.milliseconds if number is not None and number >= _MILLISECONDS_FROM else times.seconds
    return times.iso(value) or times.mail(value) or unix(value)


def _person(names: Sequence[str]) -> str:
    """A speaker's name, where one of these is a person's: `Laura Gómez`, not `AGENT`, `Speaker 1` or `spk_0`."""
    for name in names:
        if name[0].isupper() and not name.isupper() and not any(map(str.isdigit, name)) and not speakers.side(name):
            return people.full_name(name)
    return ""


def _words(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [word for word in map(walk.identifier, items) if word]


def _decoded(body: bytes) -> str:
    """UTF-8 or, as subtitle files may be, UTF-16 with its mark or Windows-1252."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", errors="replace")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", errors="replace")
