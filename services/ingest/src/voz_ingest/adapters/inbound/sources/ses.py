"""Amazon SES: mail that it receives, published by SNS with its content.

https://docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-contents.html
https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
https://docs.aws.amazon.com/sns/latest/dg/http-subscription-confirmation-json.html

SNS signs with a key whose certificate stands on a host of Amazon's, so there is no secret: who may publish to the topic
says who speaks here, and the option `topic_arns` names the topics that are ours; others are refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from voz_ingest.adapters.inbound.formats import mail, signatures, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode, decode_object
from voz_ingest.domain.draft import Draft

_MAX_AGE_SECONDS = 3600
_HOST = r"https://sns\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?"
_CERTIFICATE = re.compile(rf"{_HOST}/[A-Za-z0-9._-]+\.pem")
_CONFIRM = re.compile(rf"{_HOST}/\?Action=ConfirmSubscription&[A-Za-z0-9&=:%._~+/-]+")
_CONFIRMATION = "SubscriptionConfirmation"
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    _CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_SIGNED["UnsubscribeConfirmation"] = _SIGNED[_CONFIRMATION]
_OPTIONAL = frozenset({"Subject"})
_DIGESTS: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}
_HEADER_LINE = re.compile(r"[!-9;-~]+[ \t]*:")


def parse(payload: Payload) -> list[Draft]:
    """The mail of a notification; none for confirmations, for what became of mails that were sent, and for mail whose
    content lies elsewhere (S3)."""
    notification = _notification(decode_object(payload))
    content = notification.get("content")
    if walk.string(notification, "notificationType") != "Received" or not isinstance(content, str):
        return []
    about, receipt = walk.fields(notification, "mail"), walk.fields(notification, "receipt")
    verdicts = [walk.string(receipt, name, "status") for name in ("spamVerdict", "virusVerdict")]
    event = mail.event(
        mail.read(_raw(content)),
        "ses",
        payload.own,
        number=walk.string(about, "messageId"),
        received_at=times.iso(about.get("timestamp")),
        mailbox=next(iter(walk.strings(receipt, "recipients")), "").lower(),
        spam=True if "FAIL" in verdicts else None,
    )
    return [Draft(event)] if event else []


def needs(payload: Payload) -> list[str]:
    """The certificate that a message names, if it stands where Amazon keeps them."""
    url = _message(payload).get("SigningCertURL")
    return [url] if isinstance(url, str) and _CERTIFICATE.fullmatch(url) else []


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether SNS signed a message, within the hour, for one of our topics. What comes raw (`raw message delivery`) is
    not signed: there the connection's secret stands in the URL."""
    message = _message(payload)
    if "Signature" not in message:
        return signatures.secret_in_url(payload, secrets)
    # Amazon signs what is published to anybody's topic: a signature alone says nothing of whose it is.
    if message.get("TopicArn") not in walk.strings(payload.options, "topic_arns"):
        return False
    if not signatures.is_recent(times.unix(message.get("Timestamp")), payload.received_at, _MAX_AGE_SECONDS):
        return False
    certificates = [payload.fetched[url] for url in needs(payload) if url in payload.fetched]
    return any(_is_signed(message, certificate, payload) for certificate in certificates)


def follow(payload: Payload) -> list[str]:
    """The URL that confirms a subscription. That of an unsubscription would undo it, and isn't followed."""
    message = _message(payload)
    url = message.get("SubscribeURL")
    is_ours = message.get("Type") == _CONFIRMATION and isinstance(url, str) and _CONFIRM.fullmatch(url)
    return [str(url)] if is_ours else []


def check(options: Mapping[str, Any]) -> None:
    """Raises ValueError for `topic_arns` that are no list of topics. What comes raw needs none."""
    topics = options.get("topic_arns", [])
    if not isinstance(topics, list) or not all(isinstance(each, str) and each.startswith("arn:") for each in topics):
        raise ValueError("topic_arns must be a list of ARNs of topics")


def _is_signed(message: Fields, certificate: bytes, payload: Payload) -> bool:
    signed, digest = _string_to_sign(message), _DIGESTS.get(str(message.get("SignatureVersion")))
    try:
        signature = base64.b64decode(str(message.get("Signature")), validate=True)
        found = x509.load_pem_x509_certificate(certificate)
    except (binascii.Error, ValueError):
        return False
    is_valid = found.not_valid_before_utc <= payload.received_at <= found.not_valid_after_utc
    key = found.public_key()
    if signed is None or digest is None or not is_valid or not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(signature, signed, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


def _string_to_sign(message: Fields) -> bytes | None:
    """Names and values, each on a line, in the order that SNS gives them; None where one is missing."""
    names = _SIGNED.get(str(message.get("Type")))
    if names is None:
        return None
    lines = []
    for name in names:
        value = message.get(name)
        if isinstance(value, str):
            lines.append(f"{name}\n{value}\n")
        elif value is not None or name not in _OPTIONAL:
            return None
    return "".join(lines).encode(errors="replace")


def _message(payload: Payload) -> Fields:
    """The JSON object of the body; empty when it is none."""
    try:
        return decode_object(payload)
    except PayloadError:
        return {}


def _notification(document: Fields) -> Fields:
    """What SES says: JSON in a string within SNS's own, or as it is when it comes raw."""
    if "Type" not in document:
        return document
    said = document.get("Message")
    if document.get("Type") != "Notification" or not isinstance(said, str):
        return {}
    try:
        inner = decode(said.encode(errors="replace"))
    except PayloadError:
        return {}  # words, such as those of a topic's first notification
    return inner if isinstance(inner, dict) else {}


def _raw(content: str) -> bytes:
    """The mail: as it is, or in base64, which has no colon and so no header, whatever the rule says."""
    if not _HEADER_LINE.match(content):
        try:
            return base64.b64decode(content, validate=False)
        except (binascii.Error, ValueError):
            pass
    return content.encode(errors="replace")
