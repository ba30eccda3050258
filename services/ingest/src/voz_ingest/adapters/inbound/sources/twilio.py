"""Twilio: SMS and MMS, WhatsApp and other messaging, Conversations, and what is said in calls.

https://www.twilio.com/docs/messaging/guides/webhook-request
https://www.twilio.com/docs/conversations-classic/conversations-webhooks
https://www.twilio.com/docs/voice/twiml/transcription
https://www.twilio.com/docs/voice/twiml/record#transcribecallback
https://www.twilio.com/docs/events/event-types

A customer's id is their number, whether they write SMS, write WhatsApp or call; WhatsApp's user id where there is none.
Who writes through the Conversations SDK is known by identity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from voz_ingest.adapters.inbound.formats import drafts, ids, people, times, twilio, walk
from voz_ingest.adapters.inbound.formats.twilio import Said
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode
from voz_ingest.domain.draft import Draft

PHONE_IDS = True
_RECEIPTS = frozenset(
    {"accepted", "scheduled", "queued", "sending", "sent", "delivered", "undelivered", "failed", "read", "canceled"}
)
_SAME_NUMBER = ("whatsapp:", "rcs:", "sms:", "tel:")
_NUMBER = re.compile(r"\+?\d{5,18}")
_WITHHELD = frozenset(  # the number of who hides it: a word, or how it is typed on a telephone's keys
    {"anonymous", "blocked", "restricted", "unavailable", "unknown", "private"}
    | {"+266696687", "+2562533", "+7378742833", "+86282452253", "+8656696"}
)
_CHANGES = {"added": "", "sent": "", "updated": "edit", "removed": "deletion"}


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether one of the account's tokens signed it."""
    return twilio.is_signed(payload, secrets)


def parse(payload: Payload) -> list[Draft]:
    """The event of a callback, or of several of an event stream's."""
    return drafts.once(event for said in twilio.events(payload) if (event := _event(payload, said)))


def _event(payload: Payload, said: Said) -> Fields:
    if said("TranscriptionEvent"):
        return _live(payload, said)
    if said("TranscriptionText"):
        return _call(payload, said, said("TranscriptionSid"), said("TranscriptionText"))
    if said("SpeechResult"):
        return _call(payload, said, _answer_id(payload, said), said("SpeechResult"))
    if said("ConversationSid", "ChannelSid") and said.type:
        return _conversation(payload, said)
    return _message(payload, said)


def _message(payload: Payload, said: Said) -> Fields:
    """A message in or out; empty for a delivery receipt."""
    number = said("MessageSid", "SmsSid", "SmsMessageSid", "Sid")
    text = said("Body", "ButtonText", "ListTitle")
    direction = said("Direction").lower()
    is_receipt = said("MessageStatus", "SmsStatus", "Status").lower() in _RECEIPTS and not direction
    if not number or not text or is_receipt or said("MessageType").lower() == "reaction":
        return {}
    ours, theirs, sent = _sides(payload, said)
    profile = ("", "") if sent else (said("ProfileName"), said("ProfileUsername"))
    customer = _customer(theirs, said("ExternalUserId"), *profile)
    return walk.some(
        id=ids.compose(number),
        source="twilio",
        channel="chat",
        direction="outbound" if sent else None,
        customer=customer,
        conversation=walk.some(id=ids.digest(ours, theirs), reply_to=said("OriginalRepliedMessageSid")),
        text=text,
        occurred_at=_time(said, "Timestamp", "DateSent", "DateCreated"),
        attributes=drafts.attributes(
            medium=theirs.partition(":")[0] if ":" in theirs else "sms",
            to=None if sent else ours,
            country=said("ToCountry" if sent else "FromCountry"),
            media=int(said("NumMedia")) if said("NumMedia").isdecimal() and said("NumMedia") != "0" else None,
            forwarded=True if "true" in (said("Forwarded").lower(), said("FrequentlyForwarded").lower()) else None,
            payload=said("ButtonPayload", "ListId"),
            opt_out=said("OptOutType"),
            referral_type=said("ReferralSourceType"),
            referral_id=said("ReferralSourceId"),
            referral_url=said("ReferralSourceUrl"),
        ),
    )


def _call(payload: Payload, said: Said, number: str, text: str) -> Fields:
    """What a caller left on a recording, or said to a menu: one side, the customer's."""
    if not number or text == "(blank)":
        return {}
    _, theirs, _ = _sides(payload, said)
    return walk.some(
        id=number,
        source="twilio",
        channel="phone",
        customer=_caller(theirs, said),
        conversation=walk.some(id=said("CallSid")),
        text=text,
        language=walk.language(said("LanguageCode", "Language")),
        occurred_at=_time(said, "Timestamp"),
        attributes=drafts.attributes(recording=said("RecordingSid"), country=said("FromCountry", "CallerCountry")),
    )


def _answer_id(payload: Payload, said: Said) -> str:
    """An answer to a menu has no id; Twilio's retries carry the same token."""
    token = payload.headers.get("i-twilio-idempotency-token", "")
    said_how = token or ids.digest(payload.url, said("SpeechResult"), said("Confidence"))
    return ids.compose(said("CallSid"), "speech", said_how)


def _live(payload: Payload, said: Said) -> Fields:
    """A piece of a live transcription. Who called isn't said: only `?customer=` in the callback's URL may tell."""
    if said("TranscriptionEvent") != "transcription-content" or said("Final").lower() == "false":
        return {}
    data = said.value("TranscriptionData")
    if isinstance(data, str):
        try:
            data = decode(data.encode(errors="replace"))
        except PayloadError:
            return {}
    call = said("CallSid")
    number = ids.compose(said("TranscriptionSid") or call, said("SequenceId"))
    if not number or not walk.string(data, "transcript"):
        return {}
    sent = said("Track") != str(payload.options.get("customer_track", "inbound_track")) and bool(said("Track"))
    return walk.some(
        id=number,
        source="twilio",
        channel="phone",
        direction="outbound" if sent else None,
        customer=_caller(payload.query.get("customer", ""), said),
        conversation=walk.some(id=call),
        text=walk.string(data, "transcript"),
        language=walk.language(said("LanguageCode")),
        occurred_at=_time(said, "Timestamp"),
    )


def _conversation(payload: Payload, said: Said) -> Fields:
    """A message of a conversation, its edit or its removal. Before they happen (`onMessageAdd` …) they are nothing."""
    change = next((change for ending, change in _CHANGES.items() if said.type.lower().endswith(ending)), None)
    author, number = said("Author", "From"), said("MessageSid")
    text = said("Body", "MessageBody")
    if change is None or "message" not in said.type.lower() or not number or not (text or change == "deletion"):
        return {}
    is_address = bool(_NUMBER.fullmatch(_bare(author))) or ":" in author
    by_company = author == "system" or (said("Source").upper() == "API" and not is_address)
    sent = by_company or _is_own(payload, author)
    event = walk.some(
        id=ids.compose(number),
        source="twilio",
        channel="chat",
        direction="outbound" if sent else None,
        customer=_customer(author),  # of what the company wrote too: a conversation's other side isn't said
        conversation={"id": said("ConversationSid", "ChannelSid")},
        text=text,
        occurred_at=_time(said, "DateCreated"),
        attributes=drafts.attributes(medium=said("Source").lower(), participant=said("ParticipantSid")),
    )
    if not change:
        return event
    at = _time(said, "DateRemoved" if change == "deletion" else "DateUpdated", "DateUpdated") or event.get(
        "occurred_at"
    )
    event = walk.some(**{**event, "occurred_at": at})
    return drafts.deletion(event) if change == "deletion" else drafts.edit(event, said("DateUpdated") or str(at))


def _sides(payload: Payload, said: Said) -> tuple[str, str, bool]:
    """The company's address, the customer's, and whether the company spoke."""
    sender, recipient = said("From", "Caller"), said("To", "Called")
    sent = said("Direction").lower().startswith("outbound") or _is_own(payload, sender)
    return (sender, recipient, True) if sent else (recipient, sender, False)


def _is_own(payload: Payload, address: str) -> bool:
    return people.is_own(payload.own, address, _bare(address))


def _customer(address: str, user_id: str = "", name: str = "", username: str = "") -> Fields:
    """Who hides the number is known by the user id, which stands in its place, and by the user name."""
    number, user_id = _bare(address), _bare(user_id)
    known = "" if number.lower() in _WITHHELD else number
    if not known and not user_id:
        return {**people.NOBODY}
    handle = username if username and known in ("", user_id) else known
    return walk.some(id=known or user_id, handle=handle, name=people.full_name(name))


def _caller(address: str, said: Said) -> Fields:
    """A customer on the telephone; who hides the number is somebody for one call."""
    found = _customer(address)
    return found if "id" in found else walk.some(handle=said("CallSid")) or found


def _bare(address: str) -> str:
    """A number without the medium by which it is reached; an address that is no number stays as it is."""
    return next((address[len(scheme) :] for scheme in _SAME_NUMBER if address.startswith(scheme)), address).strip()


def _time(said: Said, *names: str) -> str | None:
    for value in (*map(said.value, names), said.time):
        found = times.iso(value) or times.mail(value)
        if found:
            return found
    return None
