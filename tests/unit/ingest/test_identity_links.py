"""Events under the keys that links say: what is noted of them, and what happens while nobody can be asked."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry
from tests.unit.ingest.cases import NOW
from tests.unit.ingest.fakes import MemoryEventLog, event
from tests.unit.ingest.identity_fakes import MemoryIdentityStore

from voz_contracts.identity import customer_key
from voz_ingest.adapters.outbound.encoding import sender, value
from voz_ingest.adapters.outbound.identity_links import IdentityFollower, LinkedEventLog
from voz_ingest.adapters.outbound.identity_map import IdentityMap, own_key
from voz_ingest.domain.event import ReceivedEvent
from voz_ingest.domain.groups import Verdict
from voz_ingest.domain.identities import parse
from voz_ingest.domain.reading import read_event
from voz_ingest.metrics import IdentityMetrics
from voz_ingest.ports import Claim, KeyChange, LogUnavailableError, Part
from voz_streamkit.metrics import Metrics


class Ingest:
    """A linked log over one in memory. `begins`: events go the short way."""

    def __init__(self, store: MemoryIdentityStore | None = None, *, begins: bool = False) -> None:
        self.begins = begins
        self.store, self.log = store or MemoryIdentityStore(), MemoryEventLog()
        self.links = IdentityMap(lambda source: source == "whatsapp")
        metrics = IdentityMetrics(Metrics("ingest", CollectorRegistry()))
        self.follower = IdentityFollower(self.store, self.links, metrics, poll_seconds=0.01)
        self.linked = LinkedEventLog(self.log, self.store, self.links, self.follower, metrics)

    async def send(self, *, company_ids: bool = False, sent_by: str = "connection:crm", **fields: Any) -> str:
        """Append one event; the customer key that it got."""
        plain = event(**fields)
        read = read_event(plain, tenant="acme", received_at=NOW, max_text_bytes=1000, company_ids=company_ids)
        assert read.event is not None, read.errors
        await self._append([ReceivedEvent(str(uuid4()), "acme", NOW, read.event, sent_by=sent_by)])
        return key_of(self.log.events[-1])

    async def _append(self, events: list[ReceivedEvent]) -> None:
        if not self.begins:
            await self.linked.append(events)
            return
        settled: asyncio.Future[LogUnavailableError | None] = asyncio.get_running_loop().create_future()
        self.linked.begin([Part(events, settled.set_result)])
        error = await settled
        if error is not None:
            raise error

    async def say(self, *written: str) -> Verdict:
        (verdict,) = await self.store.link("acme", [Claim(tuple(map(parse, written)), "key:a", by_hand=True)])
        await self.follower.refresh()
        return verdict


def key_of(received: ReceivedEvent) -> str:
    return sender(
        received.tenant, received.event.source, received.event.customer, received.customer_key
    ).address.customer_key


def own(written: str) -> str:
    return str(own_key("acme", parse(written)))


def profile(**attributes: str) -> dict[str, Any]:
    return {"text": None, "profile": {f"id.{name}": value for name, value in attributes.items()}}


@pytest.fixture(params=["append", "begin"])
def ingest(request: pytest.FixtureRequest) -> Ingest:
    """One for each way in: they promise the same."""
    return Ingest(begins=request.param == "begin")


async def test_without_links_nothing_is_asked_and_keys_are_as_ever(ingest: Ingest) -> None:
    assert await ingest.send(source="mastodon", customer={"id": "109", "handle": "@ana"}) == own("mastodon:109")
    assert await ingest.send(source="mastodon", customer={"handle": "@ana"}) == own("mastodon:@ana")
    assert await ingest.send(company_ids=True, customer={"id": "c-1"}) == own("company:c-1")
    assert (ingest.store.asked, ingest.log.events[0].customer_key) == (0, "")


async def test_a_profile_event_links_and_holds_for_itself(ingest: Ingest) -> None:
    said = await ingest.send(source="mailgun", customer={"handle": "ana@example.com"}, **profile(company="c-1"))
    assert said == own("company:c-1")
    assert await ingest.send(source="mailgun", customer={"handle": "ana@example.com"}) == own("company:c-1")
    (told,) = (await ingest.store.person("acme", parse("company:c-1"))).said
    assert (told.said_by, told.identities[0]) == ("connection:crm", parse("mailgun:ana@example.com"))
    asked = ingest.store.asked
    await ingest.send(source="mailgun", customer={"handle": "ana@example.com"}, **profile(company="c-1"))
    assert ingest.store.asked == asked, "what is known isn't asked again"


async def test_one_person_by_three_names(ingest: Ingest) -> None:
    await ingest.say("mastodon:@ana@mastodon.social", "email:ana@example.com", "company:c-42")
    key = own("company:c-42")
    toot = {"id": "109", "handle": "@ana@mastodon.social"}
    assert await ingest.send(source="mastodon", customer=toot) == key
    assert await ingest.send(source="mailgun", customer={"handle": "Ana@Example.com"}) == key
    assert await ingest.send(company_ids=True, source="shop", customer={"id": "c-42"}) == key
    # Her id at Mastodon was learned, so that another handle is still hers.
    assert await ingest.send(source="mastodon", customer={"id": "109", "handle": "@anita@mastodon.social"}) == key
    person = await ingest.store.person("acme", parse("company:c-42"))
    learned = {str(each.identity): str(each.through) for each in person.members if each.through}
    assert learned == {
        "mastodon:109": "mastodon:@ana@mastodon.social",
        "mailgun:Ana@Example.com": "email:ana@example.com",
    }


async def test_a_number_is_known_whoever_writes_it(ingest: Ingest) -> None:
    await ingest.say("phone:+34 600 111 222", "company:c-1")
    assert await ingest.send(source="whatsapp", customer={"id": "34600111222"}) == own("company:c-1")
    assert await ingest.send(source="twilio", customer={"id": "+34600111222"}) == own("company:c-1")
    assert await ingest.send(source="telegram", customer={"id": "34600111222"}) == own("telegram:34600111222")


async def test_the_companys_id_is_believed_whatever_the_handle_says(ingest: Ingest) -> None:
    await ingest.say("mastodon:@ana", "company:c-1")
    customer = {"id": "c-2", "handle": "@ana"}
    assert await ingest.send(company_ids=True, source="mastodon", customer=customer) == own("company:c-2")


async def test_what_was_parted_has_its_own_key_and_stays_parted(ingest: Ingest) -> None:
    await ingest.say("email:ana@example.com", "company:c-1")
    mail: dict[str, Any] = {"source": "mailgun", "customer": {"handle": "ana@example.com"}}
    assert await ingest.send(**mail) == own("company:c-1")
    await ingest.store.unlink("acme", [parse("mailgun:ana@example.com")], "key:a")
    await ingest.follower.refresh()
    assert await ingest.send(**mail) == own("mailgun:ana@example.com")
    await ingest.store.unlink("acme", [parse("email:ana@example.com")], "key:a")
    await ingest.follower.refresh()
    claims = profile(company="c-1")
    assert await ingest.send(**mail | claims) == own("mailgun:ana@example.com")
    asked = ingest.store.asked
    assert await ingest.send(**mail | claims) == own("mailgun:ana@example.com")
    assert ingest.store.asked == asked, "a refusal is remembered"
    await ingest.say("mailgun:ana@example.com", "company:c-1")
    assert await ingest.send(**mail) == own("company:c-1")


async def test_a_shared_browser_joins_no_two_customers(ingest: Ingest) -> None:
    for customer in ("c-1", "c-2"):
        key = await ingest.send(company_ids=True, source="web", customer={"id": customer}, **profile(web="v-1"))
        assert key == own(f"company:{customer}")
    assert await ingest.send(source="web", customer={"handle": "v-1"}) == own("company:c-1")


async def test_while_nobody_can_be_asked_what_is_known_holds_and_new_links_wait(ingest: Ingest) -> None:
    await ingest.say("mastodon:@ana", "company:c-1")
    ingest.store.away = True
    assert await ingest.send(source="mastodon", customer={"handle": "@ana"}) == own("company:c-1")
    # Her id can be learned another time.
    assert await ingest.send(source="mastodon", customer={"id": "109", "handle": "@ana"}) == own("company:c-1")
    known = await ingest.send(company_ids=True, customer={"id": "c-1"}, **profile(mastodon="@ana"))
    assert known == own("company:c-1")
    with pytest.raises(LogUnavailableError, match="identities"):
        await ingest.send(company_ids=True, customer={"id": "c-1"}, **profile(email="ana@example.com"))
    ingest.store.away = False
    await ingest.send(company_ids=True, customer={"id": "c-1"}, **profile(email="ana@example.com"))
    assert await ingest.send(source="ses", customer={"handle": "ana@example.com"}) == own("company:c-1")
    assert (await ingest.store.person("acme", parse("mastodon:109"))).customer_key == UUID(own("mastodon:109"))
    await ingest.send(source="mastodon", customer={"id": "109", "handle": "@ana"})
    assert (await ingest.store.person("acme", parse("mastodon:109"))).customer_key == UUID(own("company:c-1"))


async def test_parts_that_say_nothing_new_wait_for_nobody() -> None:
    ingest = Ingest(begins=True)
    going_on = asyncio.Event()

    async def link(tenant: str, claims: Any) -> list[Verdict]:
        await going_on.wait()
        return [Verdict.LINKED for _ in claims]

    ingest.store.link = link  # type: ignore[method-assign]
    new = asyncio.create_task(ingest.send(company_ids=True, customer={"id": "c-1"}, **profile(email="ana@example.com")))
    await asyncio.sleep(0.01)
    assert await ingest.send(source="mastodon", customer={"handle": "@ana"}) == own("mastodon:@ana")
    assert not new.done()
    going_on.set()
    assert await new == own("company:c-1")


async def test_whoever_waits_is_told_whatever_fails(ingest: Ingest) -> None:
    async def link(tenant: str, claims: Any) -> list[Verdict]:
        raise ZeroDivisionError

    ingest.store.link = link  # type: ignore[method-assign]
    with pytest.raises(LogUnavailableError if ingest.begins else ZeroDivisionError):
        await ingest.send(company_ids=True, customer={"id": "c-1"}, **profile(email="ana@example.com"))


async def test_what_others_say_is_followed_through_outages() -> None:
    store = MemoryIdentityStore()
    here, there, stop = Ingest(store), Ingest(store), asyncio.Event()
    following = asyncio.create_task(here.follower.run(stop))
    await asyncio.wait_for(here.follower.loaded.wait(), 5)
    store.away = True
    await asyncio.sleep(0.05)
    store.away = False
    await there.say("mastodon:@ana", "company:c-1")
    async with asyncio.timeout(5):
        while await here.send(source="mastodon", customer={"handle": "@ana"}) != own("company:c-1"):
            await asyncio.sleep(0.01)
    stop.set()
    await following


async def test_a_record_has_the_key_in_force(ingest: Ingest) -> None:
    await ingest.say("mastodon:@ana", "company:c-1")
    await ingest.send(source="mastodon", customer={"handle": "@ana"})
    received = ingest.log.events[-1]
    of = sender(received.tenant, received.event.source, received.event.customer, received.customer_key)
    assert of.address.key == f"acme/{own('company:c-1')}".encode()
    assert own("company:c-1").encode() in value(received, of)
    assert customer_key("acme", "mastodon", handle="@ana").encode() not in value(received, of)


def test_a_map_is_the_same_however_it_was_learned() -> None:
    keys = [uuid4() for _ in range(6)]
    history = [
        KeyChange(1, keys[0], keys[0], True),
        KeyChange(2, keys[1], keys[0], True),
        KeyChange(3, keys[2], keys[2], True),
        KeyChange(4, keys[1], keys[1], False),
        KeyChange(5, keys[3], keys[0], True),
    ]
    step_by_step, at_once = IdentityMap(lambda _: False), IdentityMap(lambda _: False)
    for change in history:
        step_by_step.learn([change])
    newest = {change.key: change for change in history}
    at_once.learn(sorted(newest.values()))
    for links in (step_by_step, at_once):
        assert (len(links), links.newest_change) == (4, 5)
        assert links._keys == {keys[0].int: keys[0].int, keys[2].int: keys[2].int, keys[3].int: keys[0].int}
        assert links._apart == {keys[1].int}
