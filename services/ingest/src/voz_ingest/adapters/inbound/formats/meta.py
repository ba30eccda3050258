"""What Meta's three sources (Facebook, Instagram, WhatsApp) share: the signature and the endpoint's confirmation.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started
"""

from __future__ import annotations

from collections.abc import Sequence

from voz_ingest.adapters.inbound.formats import signatures
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, Reply


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether `X-Hub-Signature-256` is that of the bytes received, by one of the app secrets."""
    expected = ["sha256=" + signatures.hex_hmac(secret, payload.body) for secret in secrets]
    return signatures.matches([payload.headers.get("x-hub-signature-256", "").strip()], expected)


def challenge(payload: Payload, secrets: Sequence[str]) -> Reply:
    """The answer to Meta's question whether the endpoint is ours.

    Its verify token must be the option `verify_token`, or one of the secrets where there is no such option.
    """
    if payload.query.get("hub.mode") != "subscribe":
        raise PayloadError("/hub.mode", "must be subscribe")
    option = payload.options.get("verify_token")
    accepted = list(secrets) if option is None else [str(option)]
    if not signatures.matches([payload.query.get("hub.verify_token", "")], accepted):
        raise PayloadError("/hub.verify_token", "is not this connection's")
    asked = payload.query.get("hub.challenge", "")
    if not asked:
        raise PayloadError("/hub.challenge", "is required")
    return Reply(asked)
