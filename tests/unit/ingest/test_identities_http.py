"""`/v1/identities`, over a desk in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from tests.unit.ingest.conftest import KEYS, Serve, Service
from tests.unit.ingest.identity_fakes import MemoryIdentityStore

from voz_ingest.adapters.outbound.identity_map import own_key
from voz_ingest.domain.groups import MAX_GROUP, Verdict
from voz_ingest.domain.identities import Identity, parse
from voz_ingest.domain.pseudonyms import pseudonym
from voz_ingest.ports import Claim, Person

LINKS = "/v1/identities/links"


class MemoryDesk:
    """IdentityDesk in memory."""

    def __init__(self) -> None:
        self.store = MemoryIdentityStore()

    async def link(self, tenant: str, claim: Claim) -> Verdict:
        (verdict,) = await self.store.link(tenant, [claim])
        return verdict

    async def unlink(self, tenant: str, identities: Sequence[Identity], said_by: str, note: str = "") -> None:
        await self.store.unlink(tenant, identities, said_by, note)

    async def person(self, tenant: str, identity: Identity) -> Person:
        return await self.store.person(tenant, identity)


@pytest.fixture
def desk(service: Service) -> MemoryDesk:
    service.app.state.identities = found = MemoryDesk()
    service.client.headers["Authorization"] = f"Bearer {KEYS['admin']}"
    return found


async def unlink(service: Service, body: dict[str, Any]) -> httpx.Response:
    return await service.client.request("DELETE", LINKS, json=body)


async def test_identities_are_linked_looked_up_and_taken_out(service: Service, desk: MemoryDesk) -> None:
    body = {"identities": ["company:c-42", "mastodon:@ana@mastodon.social"], "note": "told on the phone"}
    linked = await service.client.post(LINKS, json=body)
    assert linked.status_code == 200
    found = linked.json()
    assert found["key"] == str(own_key("acme", parse("company:c-42")))
    assert [each["identity"] for each in found["identities"]] == body["identities"]
    assert [(each["by"], each["what"], each["note"]) for each in found["said"]] == [
        ("key:admin", "linked", "told on the phone")
    ]
    assert (await service.client.post(LINKS, json=body)).json() == found, "said again it is the same"
    both = await service.client.get("/v1/identities", params={"identity": body["identities"]})
    assert both.json() == {"items": [found], "next": None}

    out = await unlink(service, {"identities": ["mastodon:@ana@mastodon.social"]})
    (alone,) = out.json()["items"]
    assert alone["key"] == str(own_key("acme", parse("mastodon:@ana@mastodon.social")))
    assert [each["what"] for each in alone["said"]] == ["linked", "unlinked"]
    again = await service.client.delete(LINKS, params={"identity": "mastodon:@ana@mastodon.social"})
    assert again.json() == out.json()


async def test_whoever_was_never_linked_is_alone(service: Service, desk: MemoryDesk) -> None:
    found = (await service.client.get("/v1/identities", params={"identity": "x:1"})).json()["items"]
    assert [(each["identities"][0]["identity"], each["said"]) for each in found] == [("x:1", [])]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"identities": ["company:c-1"]}, "/identities"),
        ({"identities": ["company:c-1", "company: c-1"]}, "/identities"),
        ({"identities": ["company:c-1", "ana"]}, "/identities/1"),
        ({"identities": ["email:x", "phone:y"]}, "/identities/0"),
        ({"identities": []}, "/identities"),
        ({}, "/identities"),
        ({"identities": ["x:1", "x:2"], "notes": "x"}, "/notes"),
    ],
)
async def test_what_is_no_link_is_refused(service: Service, desk: MemoryDesk, body: Any, pointer: str) -> None:
    answer = await service.client.post(LINKS, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"].removeprefix("/body") == pointer


async def test_nothing_named_is_nothing_to_take_out(service: Service, desk: MemoryDesk) -> None:
    assert (await service.client.delete(LINKS)).status_code == 422
    assert (await service.client.get("/v1/identities")).status_code == 422


async def test_a_crowd_is_a_conflict(service: Service, desk: MemoryDesk) -> None:
    for number in range(1, MAX_GROUP, 40):
        names = [f"x:{each}" for each in range(number, min(number + 40, MAX_GROUP))]
        assert (await service.client.post(LINKS, json={"identities": ["x:0", *names]})).status_code == 200
    assert (await service.client.post(LINKS, json={"identities": ["x:0", "y:0"]})).status_code == 409


async def test_it_takes_the_scope_and_a_database(service: Service, desk: MemoryDesk) -> None:
    as_acme = {"Authorization": f"Bearer {KEYS['acme']}"}
    assert (await service.client.post(LINKS, json={}, headers=as_acme)).status_code == 403
    assert (await service.client.get("/v1/identities", headers={"Authorization": ""})).status_code == 401
    desk.store.away = True
    away = await service.client.get("/v1/identities", params={"identity": "x:1"})
    assert (away.status_code, away.headers["retry-after"]) == (503, "5")
    service.app.state.identities = None
    without = await service.client.post(LINKS, json={"identities": ["x:1", "x:2"]})
    assert without.status_code == 503
    assert "VOZ_POSTGRES_DSN" in without.json()["detail"]


async def test_names_are_hidden_where_a_tenants_handles_are(serve: Serve, tmp_path: Any) -> None:
    path = tmp_path / "connections.yaml"
    path.write_text("connections: []\ntenants: [{id: acme, pseudonym_key: secret}]")
    service = await serve(connections_file=path)
    service.app.state.identities = desk = MemoryDesk()
    service.client.headers["Authorization"] = f"Bearer {KEYS['admin']}"
    await service.client.post(LINKS, json={"identities": ["company:c-1", "email:ana@example.com"]})
    hidden = f"email:{pseudonym(b'secret', 'ana@example.com')}"
    person = await desk.person("acme", parse(hidden))
    assert [str(each.identity) for each in person.members] == ["company:c-1", hidden]
    shown = await service.client.get("/v1/identities", params={"identity": hidden})
    assert shown.json()["items"][0]["key"] == str(own_key("acme", parse("company:c-1")))
