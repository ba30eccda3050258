"""Standard Webhooks: what the standard's own library signs is valid here, and nothing else is."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook
from tests.unit.ingest.cases import NOW

from voz_ingest.adapters.inbound.sources import Payload, load

verify = load("standard_webhooks").verify


@given(st.binary(min_size=24, max_size=64), st.text("abcdef0123456789_", min_size=1), st.text(max_size=200))
def test_what_the_standards_library_signs_is_valid(key: bytes, name: str, body: str) -> None:
    secret = f"whsec_{base64.b64encode(key).decode()}"
    signature = Webhook(secret).sign(name, NOW, body)
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": f"v1,bm90IHRoaXMgb25l {signature}",
    }
    sent = Payload(body.encode(), headers, received_at=NOW)
    assert verify(sent, [secret])
    assert not verify(Payload(body.encode() + b" ", headers, received_at=NOW), [secret])
    assert not verify(sent, [f"whsec_{base64.b64encode(key + b'x').decode()}"])
