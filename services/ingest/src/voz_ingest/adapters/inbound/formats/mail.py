"""Mails (RFC 5322, MIME) as events: whose words they are, which thread they belong to, and which of them are nobody's.

https://www.rfc-editor.org/rfc/rfc5322 (headers), https://www.rfc-editor.org/rfc/rfc2047 (encoded words),
https://www.rfc-editor.org/rfc/rfc3834 (automatic responses), https://www.rfc-editor.org/rfc/rfc3676 (`format=flowed`)

A mail never raises: what is encoded wrongly is read as well as it can be.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses

from voz_ingest.adapters.inbound.formats import ids, mail_words, people, times
from voz_ingest.adapters.inbound.formats.drafts import attributes
from voz_ingest.adapters.inbound.formats.html import to_text
from voz_ingest.adapters.inbound.formats.reply import Reply, cut
from voz_ingest.adapters.inbound.formats.walk import Fields, some

Headers = Mapping[str, Sequence[str]]
"""The fields of a mail by name in lower case, decoded, in their order."""

_MAX_PARTS = 200
_MAX_TEXT_CHARS = 50_000
_MAX_FIELD_CHARS = 20_000
_ADDRESS = re.compile(r"[^\s<>()\",;:@]{1,100}@[^\s<>()\",;:@]{1,200}")
_MESSAGE_ID = re.compile(r"<\s*([^<>\s]+)\s*>")
_SIGNATURES = dict.fromkeys(
    (
        "div.gmail_signature",
        "div.moz-signature",
        "pre.moz-signature",
        "div.protonmail_signature_block",
        "div#Signature",
        "div#signature",
        "div#ms-outlook-mobile-signature",
    ),
    "-- ",
)
_AUTOMATIC_SUBJECT = re.compile(
    r"\s*(?:automatic reply|auto(?:matic)?[ -]?re(?:ply|sponse)|out of (?:the )?office|respuesta automática"
    r"|fuera de (?:la )?oficina|resposta automática|réponse automatique|automatische antwort|abwesenheits\w*"
    r"|risposta automatica|undeliver(?:able|ed)|delivery status notification|mail delivery (?:failed|subsystem)"
    r"|returned mail|read:|leído:|gelesen:|lu ?:|lida:|letto:)",
    re.IGNORECASE,
)
_DAEMONS = frozenset({"mailer-daemon", "postmaster"})
_BULK = frozenset({"bulk", "junk", "list", "auto_reply"})
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})
_UTF8_OR_WINDOWS = frozenset(
    {"", "us-ascii", "ascii", "utf-8", "utf8", "iso-8859-1", "latin-1", "latin1", "windows-1252"}
)


@dataclass(frozen=True, slots=True)
class Address:
    """Who: an address in lower case, and the name that stands with it."""

    address: str
    name: str


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says. `text` is whole, quotes begin with `>`."""

    headers: Headers
    text: str
    content_types: frozenset[str] = frozenset()
    """Of the mail and of its parts, without attachments."""

    def first(self, name: str) -> str:
        """The first field of a name; empty when there is none."""
        return _decoded(next(iter(self.headers.get(name, ())), "")).strip()


def read(raw: bytes) -> Mail:
    """A mail as it stood on the wire."""
    try:
        message = message_from_bytes(raw)
    except RecursionError:  # parts within parts without end
        message = BytesHeaderParser().parsebytes(raw)
    texts, types = [], {message.get_content_type()}
    for part in _parts(message, [_MAX_PARTS]):
        types.add(part.get_content_type())
        texts.append(_text(part))
    return Mail(headers(message.raw_items()), "\n\n".join(filter(None, texts)), frozenset(types))


def event(
    mail: Mail,
    source: str,
    own: Iterable[str],
    *,
    number: str = "",
    received_at: str | None = None,
    mailbox: str = "",
    **about: object,
) -> Fields:
    """The plain form; empty for what no person wrote, or wrote to nobody outside.

    `number`: an id for a mail without one. `received_at`: when it arrived, as the source says. `mailbox`: the company's
    address that it came to. What isn't known of these, the mail says itself. `about`: further attributes.
    """
    accounts = frozenset(own)
    sender = next(iter(addresses(mail, "from")), None) or next(iter(addresses(mail, "sender")), None)
    if sender is None or is_automatic(mail, accounts):
        return {}
    recipients = [*addresses(mail, "to"), *addresses(mail, "cc")]
    sent = is_own(accounts, sender.address)
    other = next((each for each in recipients if not is_own(accounts, each.address)), None) if sent else sender
    reply = words(mail)
    if other is None or not reply.text:
        return {}
    moment = _moment(mail, received_at)
    message_id = next(iter(_ids(mail, "message-id")), "") or ids.compose(number)
    identity = message_id or ids.digest(sender.address, mail.first("date"), mail.first("subject"), mail.text)
    boxes = [sender.address] if sent else [mailbox, *(each.address for each in recipients)]
    return some(
        id=identity,
        source=source,
        channel="email",
        direction="outbound" if sent else None,
        customer=some(handle=other.address[: ids.MAX_CHARS], name=people.full_name(other.name)),
        conversation=_conversation(mail, identity),
        text=reply.text[:_MAX_TEXT_CHARS],
        occurred_at=moment,
        attributes=attributes(
            subject=mail.first("subject"),
            mailbox=next((each for each in boxes if each and (each == mailbox or is_own(accounts, each))), ""),
            quoted=reply.cut,
            **about,
        ),
    )


def words(mail: Mail) -> Reply:
    """What its writer wrote in this mail; a mail of nothing but a subject says that."""
    subject = mail.first("subject")
    reply = cut(mail.text, forwarded=mail_words.FORWARD_SUBJECT.match(subject) is not None)
    return Reply(subject) if not reply.text and not reply.cut else reply


def is_automatic(mail: Mail, own: Iterable[str] = ()) -> bool:
    """Whether a program wrote it: answers of people who are away, bounces, receipts, invitations, newsletters.

    A list that is named as one of the company's own addresses is its mailbox, not a list of others.
    """
    said = mail.first("auto-submitted").lower()
    if said and not said.startswith("no"):
        return True
    if any(mail.first(name) for name in ("x-autoreply", "x-autorespond", "x-autoresponder", "x-failed-recipients")):
        return True
    if mail.content_types & {"multipart/report", "text/calendar", "message/delivery-status"}:
        return True
    if mail.first("return-path") == "<>" or _AUTOMATIC_SUBJECT.match(mail.first("subject")):
        return True
    if any(each.address.partition("@")[0] in _DAEMONS for each in addresses(mail, "from")):
        return True
    list_id = mail.first("list-id").lower()
    if any("." in each and each.strip().lower().replace("@", ".") in list_id for each in own):
        return False
    return bool(list_id) or mail.first("precedence").lower() in _BULK


def addresses(mail: Mail, name: str) -> list[Address]:
    """The addresses of a field, with their names."""
    said = [value[:_MAX_FIELD_CHARS] for value in mail.headers.get(name, ())]
    try:
        found = getaddresses(said)
    except (RecursionError, ValueError, IndexError):  # comments within comments without end
        found = [("", address) for value in said for address in _ADDRESS.findall(value)]
    return [Address(address.strip().lower(), _decoded(who).strip()) for who, address in found if "@" in address]


def is_own(own: Iterable[str], address: str) -> bool:
    """Whether an address is one of the company's: as it is, without its `+tag`, or by its domain."""
    local, _, domain = address.partition("@")
    return people.is_own(own, address, f"{local.partition('+')[0]}@{domain}", domain)


def html_text(html: str) -> str:
    """HTML as plain text: what it quotes begins with `>`, and a signature with two dashes."""
    return to_text(html, quote="> ", before=_SIGNATURES)


def headers(pairs: Iterable[tuple[str, object]]) -> Headers:
    """The fields of a mail by name, each on one line; encoded words stay, for names may hide commas in them."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name.lower(), []).append(_unfolded(str(value)))
    return found


# Threads and time


def _conversation(mail: Mail, identity: str) -> Fields:
    """The thread is named by its first mail, which `References` begins with."""
    references, answered = _ids(mail, "references"), _ids(mail, "in-reply-to")
    known = [*references, *answered]
    return some(id=known[0] if known else identity, reply_to=next(iter(answered), references[-1] if references else ""))


def _ids(mail: Mail, name: str) -> list[str]:
    """The ids of a field, without their brackets."""
    said = mail.first(name)
    found = _MESSAGE_ID.findall(said) or [word for word in said.split() if "@" in word or name == "message-id"][:50]
    return [number for number in map(ids.compose, found) if number]


def _moment(mail: Mail, received_at: str | None) -> str | None:
    """When it was written; when it arrived, if the date is missing or lies more than a day after that. Only the mail
    itself says otherwise than its date: what is told beside it may be when it was told."""
    written = times.mail(mail.first("date"))
    arrived = next(
        (found for each in mail.headers.get("received", ()) if (found := times.mail(each.rpartition(";")[2].strip()))),
        None,
    )
    if written and arrived:
        ahead = datetime.fromisoformat(written) - datetime.fromisoformat(arrived)
        return arrived if ahead > timedelta(days=1) else written
    return written or received_at or arrived


# MIME


def _parts(message: Message, left: list[int]) -> Iterator[Message]:
    """The parts that are to be read, one of each set of alternatives; attachments are not."""
    left[0] -= 1
    if left[0] < 0 or message.get_content_disposition() == "attachment":
        return
    kind = message.get_content_type()
    if not message.is_multipart():
        if kind == "text/calendar" or (message.get_content_maintype() == "text" and not message.get_filename()):
            yield message
        return
    if message.get_content_maintype() == "message":
        return  # a mail within the mail
    inner = [each for each in message.get_payload() if isinstance(each, Message)]
    if kind != "multipart/alternative":
        for each in inner[:1] if kind == "multipart/related" else inner:
            yield from _parts(each, left)
        return
    found = [part for each in inner for part in _parts(each, left)]
    yield from (part for part in found if part.get_content_type() == "text/calendar")
    plain = [part for part in found if part.get_content_type() == "text/plain" and _text(part)]
    yield from plain or [part for part in found if part.get_content_type() == "text/html"][:1]


def _text(part: Message) -> str:
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes) or part.get_content_type() not in ("text/plain", "text/html"):
        return ""
    said = _decode(raw, part.get_content_charset() or "")
    if part.get_content_type() == "text/html":
        return html_text(said)
    if _parameter(part, "format") == "flowed":
        said = _unflowed(said, drops_space=_parameter(part, "delsp") == "yes")
    return said.strip("\r\n").rstrip()


def _parameter(part: Message, name: str) -> str:
    return str(part.get_param(name, "")).lower()


def _unflowed(said: str, *, drops_space: bool) -> str:
    """The paragraphs that a mail program has wrapped: a line that ends in a space goes on in the next one. Quotes and
    empty lines stay as they are."""
    lines, goes_on = list[str](), False
    for line in said.replace("\r\n", "\n").split("\n"):
        is_fixed = not line.strip() or line.startswith(">") or line == "-- "
        bare = line if is_fixed else line.removeprefix(" ")
        if goes_on and not is_fixed:
            lines[-1] = (lines[-1][:-1] if drops_space else lines[-1]) + bare
        else:
            lines.append(bare)
        goes_on = not is_fixed and bare.endswith(" ")
    return "\n".join(lines)


def _decode(raw: bytes, charset: str) -> str:
    """Text in its declared character set, unless it can't be: what reads as UTF-8 beyond ASCII is UTF-8, and what
    calls itself Latin-1 is Windows-1252, as everywhere."""
    for name in (*(() if charset.lower() in _UTF8_OR_WINDOWS else (charset,)), "utf-8", "cp1252"):
        try:
            if codecs.lookup(name).name not in _NO_CHARSETS:
                return raw.decode(name).encode("utf-8", "replace").decode()
        except (LookupError, ValueError):
            continue
    return raw.decode("latin-1")


# Header fields


def _unfolded(value: str) -> str:
    """A field on one line; bytes that should have been encoded are read as UTF-8, or else as Windows-1252."""
    flat = " ".join(value.split())
    return flat if flat.isascii() else _decode(flat.encode("utf-8", "surrogateescape"), "")


def _decoded(value: str) -> str:
    """Encoded words (RFC 2047) decoded; as it stands where they can't be."""
    if "=?" not in value:
        return value
    try:
        found = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(_decode(said, charset or "") if isinstance(said, bytes) else said for said, charset in found)
