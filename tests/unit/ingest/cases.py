"""The sources' fixtures: `fixtures/<source>.yaml`, after the vendors' public documentation, with what is expected.

```yaml
# https://… the vendor's page
payloads:
  - name: a text message
    body: {…}                # JSON; or `text: |` for raw text, `form: {…}` for a urlencoded form, `base64: …` for bytes
    headers: {…}             # optional, as are: own, options, query
    events: [{…}]            # the whole plain form of each event; [] for what is no event
  - name: not a list
    body: []
    refused: must be a JSON object     # words of the refusal
signatures:
  - name: the vendor's vector
    secrets: [whsec_…]
    text: '{"test": 1}'
    headers: {…}
    received_at: 2026-11-20T10:00:00Z  # optional, as are: url, query, method
    covers_body: false       # if the scheme signs something else than the whole body
    fetched: {…}             # what stood behind the URLs that the source needs (certificates), as text
    covers_secrets: false    # if what was fetched says who signed, and not a secret
    valid: true
challenges:
  - name: …
    secrets: […]
    query: {…}
    reply: '…'               # or `refused: words`
```
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from voz_contracts.plain import plain
from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.inbound.sources import Payload
from voz_ingest.adapters.outbound.encoding import message
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.event import ReceivedEvent
from voz_ingest.domain.reading import read_event

FOLDER = Path(__file__).with_name("fixtures")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"
Case = Mapping[str, Any]


@cache
def fixture(source: str) -> Mapping[str, Any]:
    """A source's fixture; empty when it has none."""
    path = FOLDER / f"{source}.yaml"
    found: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def cases(section: str) -> list[tuple[str, Case]]:
    """Every case of a section, with its source."""
    return [(source, case) for source in sources.names() for case in fixture(source).get(section, [])]


def payload(case: Case) -> Payload:
    """The payload of a case."""
    kind = "application/json"
    if "text" in case:
        body = case["text"].encode()
    elif "base64" in case:
        body = base64.b64decode(case["base64"])
    elif "form" in case:
        body, kind = urlencode(case["form"], doseq=True).encode(), FORM
    else:
        body = json.dumps(case.get("body"), ensure_ascii=False).encode()
    headers = {name.lower(): str(value) for name, value in case.get("headers", {}).items()}
    received_at = case.get("received_at", NOW)
    return Payload(
        body=body,
        headers={"content-type": kind} | headers,
        own=frozenset(case.get("own", ())),
        options=case.get("options", {}),
        method=case.get("method", "POST"),
        url=case.get("url", ""),
        query={name: str(value) for name, value in case.get("query", {}).items()},
        received_at=received_at if received_at.tzinfo else received_at.replace(tzinfo=UTC),
        fetched={url: text.encode() for url, text in case.get("fetched", {}).items()},
    )


def as_plain(draft: Draft) -> dict[str, Any]:
    """What a draft reads as, in the plain form; the draft must be right, and say when it happened only if it knows."""
    assert draft.errors == ()
    reading = read_event(draft.plain, tenant=None, received_at=NOW, max_text_bytes=256 << 10)
    assert reading.errors == ()
    assert reading.ignored == ()
    assert reading.event is not None
    found = plain(message(ReceivedEvent("", "", NOW, reading.event)))
    if reading.event.occurred_at_defaulted:
        del found["occurred_at"]
    return found
