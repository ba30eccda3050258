"""Mail of an IMAP mailbox: one mail (RFC 5322) a payload, as bytes, with the company's own answers.

https://www.rfc-editor.org/rfc/rfc5322
https://www.rfc-editor.org/rfc/rfc3834 (automatic responses)
https://www.rfc-editor.org/rfc/rfc3676 (quotes and signatures)
"""

from __future__ import annotations

from voz_ingest.adapters.inbound.formats import mail
from voz_ingest.adapters.inbound.sources import Payload, PayloadError
from voz_ingest.domain.draft import Draft


def parse(payload: Payload) -> list[Draft]:
    """The mail as an event; none for what a program wrote (answers of people who are away, bounces, lists, invitations)
    and for what stays within the company. The option `mailbox` is one of the company's own addresses."""
    found = mail.read(payload.body)
    if not found.headers:
        raise PayloadError("", "must be a mail (RFC 5322): a header, an empty line, a body")
    mailbox = payload.options.get("mailbox")
    event = mail.event(found, "imap", payload.own | ({mailbox} if isinstance(mailbox, str) else set()))
    return [Draft(event)] if event else []
