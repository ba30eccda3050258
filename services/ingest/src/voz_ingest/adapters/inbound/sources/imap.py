"""Mail of an IMAP mailbox: one mail (RFC 5322) a payload, as bytes, with the company's own answers.

https://www.rfc-editor.org/rfc/rfc5322
https://www.rfc-editor.org/rfc/rfc3834 (automatic responses)
https://www.rfc-editor.org/rfc/rfc3676 (quotes and signatures)
"""

from __future__ import annotations

from datetime import timedelta

from voz_ingest.adapters.inbound.formats import mail, pulling, walk
from voz_ingest.adapters.inbound.sources import Advance, Mailbox, Payload, PayloadError, PullState
from voz_ingest.domain.draft import Draft

_HEADERS = frozenset({"date", "from", "message-id", "received", "return-path", "sender", "subject", "to"})
"""A mail has some of them."""


def parse(payload: Payload) -> list[Draft]:
    """The mail as an event; none for what a program wrote (answers of people who are away, bounces, lists, invitations)
    and for what stays within the company. The option `mailbox` is one of the company's own addresses."""
    found = mail.read(payload.body)
    if found.headers.keys().isdisjoint(_HEADERS):
        raise PayloadError("", "must be a mail (RFC 5322): a header, an empty line, a body")
    mailbox = payload.options.get("mailbox")
    event = mail.event(found, "imap", payload.own | ({mailbox} if isinstance(mailbox, str) else set()))
    return [Draft(event)] if event else []


# How it is asked: mails with greater uids than the last one; after UIDVALIDITY has changed, those of some days again.
_TLS_PORT, _PLAIN_PORT = 993, 143
_LOOK_BACK = timedelta(days=7)


def pull(state: PullState) -> Mailbox:
    """The oldest mails after the position. Raises MissingOptionError."""
    tls = state.options.get("tls") is not False
    return Mailbox(
        host=pulling.option(state, "host"),
        user=pulling.option(state, "user"),
        password=pulling.credential(state, "password"),
        port=walk.count(dict(state.options), "port") or (_TLS_PORT if tls else _PLAIN_PORT),
        folder=walk.string(dict(state.options), "folder") or "INBOX",
        tls=tls,
        uidvalidity=walk.count(dict(state.position), "uidvalidity"),
        after_uid=walk.count(dict(state.position), "uid"),
        since=pulling.since(state, state.position).date(),
    )


def advance(state: PullState, payload: Payload) -> Advance:
    """Behind a mail, whether it could be read or not."""
    known = pulling.moment(state.position.get("since")) or pulling.since(state, state.position)
    position = {
        "uidvalidity": int(payload.headers.get("x-uidvalidity", "0")),
        "uid": int(payload.headers.get("x-uid", "0")),
        "since": max(known, state.now - _LOOK_BACK).isoformat(timespec="seconds"),
    }
    return Advance(position, again=payload.headers.get("x-more") == "1")
