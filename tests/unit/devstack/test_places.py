"""What simulated customers do at sources, read by the sources' own adapters."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from urllib.parse import parse_qsl, urlsplit

import pytest

from voz_devstack.places import PLACES, Webhook, connections, webhook
from voz_devstack.simulator import Happening, simulate
from voz_devstack.stories import load_stories
from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.inbound.sources import Payload
from voz_ingest.domain.event import CustomerEvent
from voz_ingest.domain.reading import read_event

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRETS = {place.connection: f"whsec-{place.source}" for place in PLACES}
DECLARED = {each["id"]: each for each in connections("demo", SECRETS)}
HAPPENINGS = list(islice(simulate(load_stories(), seed=5, run="r", crowd=40), 2000))
NUMBERS = {name: 10**9 + index for index, name in enumerate(dict.fromkeys(each.customer.id for each in HAPPENINGS))}
SENT = [(each, sent) for each in HAPPENINGS if (sent := webhook(each, NUMBERS[each.customer.id], NOW, SECRETS))]


def payload(sent: Webhook) -> Payload:
    own = frozenset(DECLARED[connection(sent)]["own"])
    query = dict(parse_qsl(urlsplit(sent.path).query))
    headers = {name.lower(): value for name, value in sent.headers.items()}
    return Payload(sent.body, headers, own, query=query, received_at=NOW)


def connection(sent: Webhook) -> str:
    return urlsplit(sent.path).path.rpartition("/")[2]


def read(sent: Webhook) -> CustomerEvent:
    (draft,) = sources.load(DECLARED[connection(sent)]["source"]).drafts(payload(sent))
    reading = read_event(draft.plain, tenant=None, received_at=NOW, max_text_bytes=1 << 18, company_ids=False)
    assert reading.errors == ()
    assert reading.event is not None
    return reading.event


@pytest.mark.parametrize("place", PLACES, ids=[place.source for place in PLACES])
def test_each_place_sends_one_valid_event_a_happening(place: object) -> None:
    of_place = [(each, sent) for each, sent in SENT if DECLARED[connection(sent)]["source"] == place.source]  # type: ignore[attr-defined]
    assert of_place, "the stories never come there"
    for happening, sent in of_place:
        _same(happening, sent)


def _same(happening: Happening, sent: Webhook) -> None:
    source = sources.load(DECLARED[connection(sent)]["source"])
    secret = SECRETS[connection(sent)]
    assert source.verify(payload(sent), [secret])
    assert not source.verify(payload(sent), ["another"])
    event, body = read(sent), happening.body
    assert event.text.replace("\n", " ") == body.get("text", "").replace("\n", " ")
    assert event.direction == body.get("direction", "inbound")
    assert (event.occurred_at, event.occurred_at_defaulted) == (NOW, False)
    space, _, who = sent.identity.partition(":")
    assert (event.source, event.customer.known_by[1]) == (space, who)
    for kind in ("survey", "transaction", "subscription", "ticket"):
        assert (event.kind == kind) == (kind in body)
    for kind, field in (("transaction", "type"), ("subscription", "status"), ("ticket", "status"), ("survey", "score")):
        if kind in body:
            assert getattr(event.payload, field) == body[kind][field]


def test_most_of_what_happens_has_its_place() -> None:
    assert len(SENT) > len(HAPPENINGS) / 2
    ids = [read(sent).source_id for _, sent in SENT]
    assert len(set(ids)) == len(ids)
