"""HubSpot: contacts, tickets, conversations and feedback, by webhooks and the documents that they announce.

https://developers.hubspot.com/docs/api-reference/webhooks-webhooks-v3/guide
https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests
"""

from __future__ import annotations

from voz_ingest.adapters.inbound.sources import Payload, PayloadError, decode
from voz_ingest.domain.draft import Draft


def parse(payload: Payload) -> list[Draft]:
    """The events of a webhook, or of a document that was fetched."""
    if not isinstance(decode(payload.body), (dict, list)):
        raise PayloadError("", "must be a JSON array or object")
    return []
