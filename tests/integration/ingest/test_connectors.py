"""Connectors on real Kafka and PostgreSQL, asking real servers that speak the sources' protocols and misbehave."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from starlette.responses import JSONResponse, Response
from tests.integration.ingest import places as fakes
from tests.integration.ingest.connecting import Connecting, end, engine_of, until
from tests.integration.ingest.mailbox import PASSWORD, USER, MailServer, mail_server
from tests.integration.ingest.places import Places, now, places
from tests.integration.ingest.reading import settings

from voz_contracts.topics import DEAD_LETTER, EVENTS
from voz_devstack.ports import allocate_ports
from voz_devstack.testing import KafkaAddress
from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.outbound.announcements import PostgresAnnouncements
from voz_ingest.adapters.outbound.connector_store import PostgresConnectorStore
from voz_ingest.adapters.outbound.guard import Guard, RefusedUrlError
from voz_ingest.adapters.outbound.web import StatusError, Web
from voz_ingest.domain.connection import Connection
from voz_streamkit.database import migrate
from voz_streamkit.errors import TransientError
from voz_streamkit.topics import ensure_topics

pytestmark = pytest.mark.integration
TEST_OPTIONS = {"poll_seconds": 0.2}


@pytest.fixture
async def world() -> AsyncIterator[Places]:
    async with places() as made:
        yield made


@pytest.fixture
async def connecting(kafka: KafkaAddress, database: str, topic_prefix: str, tmp_path: Path) -> Connecting:
    await asyncio.gather(
        ensure_topics(settings(kafka.bootstrap, topic_prefix), [EVENTS, DEAD_LETTER]),
        asyncio.to_thread(migrate, database, "voz_ingest"),
    )
    return Connecting(kafka.bootstrap, database, topic_prefix, tmp_path)


def mastodon(world: Places, **options: Any) -> dict[str, Any]:
    chosen = {"base_url": world.url, **TEST_OPTIONS, **options}
    return {"id": "mastodon", "source": "mastodon", "secrets": ["token"], "options": chosen}


def youtube(world: Places, name: str = "youtube", **options: Any) -> dict[str, Any]:
    chosen = {"base_url": world.url, "channel": "UC1", "api_key": "k", **TEST_OPTIONS, **options}
    return {"id": name, "source": "youtube", "options": chosen}


def imap(server: MailServer, **options: Any) -> dict[str, Any]:
    chosen = {"host": "127.0.0.1", "port": server.port, "user": USER, "tls": False, **TEST_OPTIONS, **options}
    return {"id": "mail", "source": "imap", "secrets": [PASSWORD], "own": [USER], "options": chosen}


def thread(number: int, **ago: float) -> dict[str, Any]:
    """A comment on YouTube."""
    said = {
        "textOriginal": f"comment {number}",
        "authorDisplayName": "@ana",
        "authorChannelId": {"value": "UCana"},
        "publishedAt": now(**ago),
        "videoId": "v1",
    }
    return {
        "id": f"t{number}",
        "snippet": {"channelId": "UC1", "topLevelComment": {"id": f"t{number}", "snippet": said}},
    }


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


async def test_every_protocol_brings_each_event_once(connecting: Connecting, world: Places) -> None:
    """What was there before and what comes then; by page, stream and mail; nothing twice though pages overlap."""
    expected = [world.mention(number, streamed=False) for number in (6, 7)]
    world.threads = [thread(number, minutes=number) for number in range(5)]
    seconds = int(datetime.now(UTC).timestamp())
    world.play = [
        {
            "reviewId": f"play{number}",
            "comments": [
                {"userComment": {"text": "bien", "starRating": 4, "lastModified": {"seconds": str(seconds - number)}}}
            ],
        }
        for number in range(3)
    ]
    world.store = [
        {
            "type": "customerReviews",
            "id": f"store{number}",
            "attributes": {"rating": 2, "title": "Se cae", "body": "mucho", "createdDate": now(hours=number)},
        }
        for number in range(3)
    ]
    world.feed = [
        {
            "id": {"label": f"feed{number}"},
            "im:rating": {"label": "1"},
            "title": {"label": "Mal"},
            "content": {"label": "No abre"},
            "updated": {"label": now(hours=number)},
            "author": {"name": {"label": "ana"}},
        }
        for number in range(3)
    ]
    world.pilot = [
        {
            "id": f"pilot{number}",
            "stars": 5,
            "title": "Genial",
            "text": "Todo bien",
            "createdAt": now(hours=number),
            "consumer": {"id": "c1", "displayName": "Ana"},
        }
        for number in range(3)
    ]
    account = json.dumps({"client_email": "a@b", "private_key": pem(rsa.generate_private_key(65537, 2048))})
    key = pem(ec.generate_private_key(ec.SECP256R1()))
    async with mail_server() as mails:
        expected_mails = [mails.receive(uid, "No funciona nada") for uid in (3, 4)]
        common = {"base_url": world.url, **TEST_OPTIONS}
        stream = {"base_url": f"ws://127.0.0.1:{world.jetstream_port}/subscribe", "terms": ["acme"]}
        connecting.declare(
            mastodon(world),
            youtube(world),
            {"id": "bluesky", "source": "bluesky", "own": ["did:plc:acme"], "options": stream},
            {"id": "play", "source": "googleplay", "secrets": [account], "options": {**common, "app": "com.acme"}},
            {
                "id": "store",
                "source": "appstore",
                "secrets": [key],
                "options": {**common, "app": "123", "key_id": "K", "issuer": "i"},
            },
            {"id": "feed", "source": "appstore", "options": {**common, "app": "123", "countries": ["es"]}},
            {"id": "pilot", "source": "trustpilot", "secrets": ["k"], "options": {**common, "business_unit": "unit"}},
            imap(mails),
        )
        async with connecting.running() as made:
            expected += [f"t{number}" for number in range(5)] + [f"pilot{number}" for number in range(3)]
            await until(lambda: world.open["bluesky"])
            await connecting.until_ids([*expected, *expected_mails])
            expected += [world.mention(number) for number in range(8, 11)]
            expected += [world.post("me gusta acme"), world.post("Acme no va")]
            unwanted = world.post("buenos días")
            world.threads.insert(0, thread(99))
            expected += ["t99", *expected_mails, mails.receive(9, "otra vez")]
            world.hang_up()
            await until(lambda: world.open["mastodon"])
            expected.append(world.mention(11))
            found = await connecting.until_ids(expected)
            versions = ("play", "store", "feed")  # every version of a review has its own id
            async with asyncio.timeout(20):
                while sum(each.source_id.startswith(versions) for each in found) < 9:
                    await asyncio.sleep(0.1)
                    found = await connecting.events()
            metrics = await _metrics(made.connect_port)
    ids = Counter(each.source_id for each in found)
    assert set(expected) <= ids.keys()
    assert unwanted not in ids
    assert not [name for name, count in ids.items() if count > 1]
    assert len(ids) == len(expected) + 9
    assert not [command for command in mails.commands if command.split()[0] in ("SELECT", "STORE", "EXPUNGE", "MOVE")]
    assert 'voz_ingest_connector_running{connection="play",source="googleplay"} 1.0' in metrics
    assert 'voz_ingest_connector_events_total{connection="feed",outcome="accepted",source="appstore"} 3.0' in metrics
    assert 'voz_ingest_connector_last_success_timestamp_seconds{connection="mail",source="imap"}' in metrics
    assert await connecting.dead_letters() == []
    async with engine_of(connecting) as engine:
        assert not [each for each in (await connecting.states(engine)).values() if each.owner]


async def _metrics(port: int) -> str:
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/readyz")).json()["status"] == "ok"
        return (await client.get(f"http://127.0.0.1:{port}/metrics")).text


async def test_a_source_that_misbehaves_loses_nothing(connecting: Connecting, world: Places) -> None:
    path = "/youtube/v3/commentThreads"
    world.threads = [thread(number, minutes=number) for number in range(7)]
    world.misbehave[path] = [
        fakes.broken,
        fakes.truncated,
        fakes.cut_off,
        fakes.hanging,
        fakes.wrong_type,
        fakes.too_many,
    ]
    connecting.declare(youtube(world))
    async with connecting.running(), engine_of(connecting) as engine:
        await connecting.until_ids([f"t{number}" for number in range(7)])
        await until(lambda: world.count(path) >= 11)
        async with asyncio.timeout(10):
            while (await connecting.states(engine))["youtube"].failures:
                await asyncio.sleep(0.05)
    assert await connecting.ids() == [f"t{number}" for number in range(7)]


async def test_the_source_says_when_to_come_again(connecting: Connecting, world: Places) -> None:
    world.misbehave["/youtube/v3/commentThreads"] = [fakes.too_many]
    world.threads = [thread(1)]
    began = asyncio.get_running_loop().time()
    connecting.declare(youtube(world))
    async with connecting.running():
        await connecting.until_ids(["t1"])
    assert asyncio.get_running_loop().time() - began >= 1.0, "Retry-After: 1, though the backoff would be shorter"


async def test_a_cursor_from_the_future_leaves_no_gap(connecting: Connecting, world: Places) -> None:
    """Jetstream takes a cursor from the future for `now`: what was said since we were last there would be lost."""
    stream = {"base_url": f"ws://127.0.0.1:{world.jetstream_port}/subscribe"}
    connecting.declare({"id": "bluesky", "source": "bluesky", "own": ["did:plc:acme"], "options": stream})
    own = "did:plc:acme"
    async with engine_of(connecting) as engine:
        store = PostgresConnectorStore(engine)
        await store.declare({("acme", "bluesky"): "bluesky"})
        ahead = int((datetime.now(UTC) + timedelta(days=30)).timestamp() * 1e6)
        await store.rewind(("acme", "bluesky"), {"cursor": ahead})
        said = world.post("just now", own)
        async with connecting.running():
            said_then = world.post("then", own)
            await connecting.until_ids([said, said_then])
            async with asyncio.timeout(10):
                while (await connecting.states(engine))["bluesky"].position["cursor"] >= ahead:
                    await asyncio.sleep(0.05)
    assert all(cursor is not None and cursor < ahead for cursor in world.cursors)


async def test_a_mailbox_is_read_to_its_end_and_after_it_was_rebuilt(connecting: Connecting) -> None:
    async with mail_server() as mails:
        expected = [mails.receive(uid, f"mail {uid}") for uid in range(1, 26)]
        mails.mails[26] = b"no mail at all"
        mails.vanish = 2
        connecting.declare(imap(mails))
        async with connecting.running():
            await connecting.until_ids(expected)
            assert {letter.reason for letter in await connecting.dead_letters()} <= {"unreadable"}
            mails.uidvalidity = 2
            mails.mails = {}
            expected.append(mails.receive(1, "after the rebuilding"))
            await connecting.until_ids(expected)
    found = await connecting.ids()
    assert found == sorted(expected)


async def test_a_wrong_password_and_a_certificate_that_nobody_knows_are_said(
    connecting: Connecting, tmp_path: Path
) -> None:
    async with mail_server() as plain, mail_server(_tls(tmp_path)) as secured:
        connecting.declare(
            {**imap(plain), "id": "wrong", "secrets": ["guess"]},
            {**imap(secured), "id": "secured", "options": {**imap(secured)["options"], "tls": True}},
        )
        async with connecting.running(), engine_of(connecting) as engine:
            errors: dict[str, str] = {}
            async with asyncio.timeout(20):
                while not (errors.get("wrong") and errors.get("secured")):
                    errors = {name: each.last_error or "" for name, each in (await connecting.states(engine)).items()}
                    await asyncio.sleep(0.05)
    assert "wrong password" in errors["wrong"]
    assert "certificate verify failed" in errors["secured"].lower()
    assert "guess" not in str(errors)
    assert "LOGIN" not in secured.commands


def _tls(folder: Path) -> ssl.SSLContext:
    """A server's certificate that nobody has vouched for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_text(pem(key) + certificate.public_bytes(serialization.Encoding.PEM).decode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_two_replicas_never_run_the_same_connector_and_one_takes_over(
    connecting: Connecting, world: Places
) -> None:
    connecting.declare(mastodon(world), youtube(world, poll_seconds=0.1))
    world.threads = [thread(number, minutes=number) for number in range(5)]
    expected = [f"t{number}" for number in range(5)]
    replicas = [connecting.process(), connecting.process()]
    try:
        async with engine_of(connecting) as engine:
            await until(lambda: world.open["mastodon"])
            expected += [world.mention(number) for number in range(1, 30)]
            await connecting.until_ids(expected)
            owners = {each.owner for each in (await connecting.states(engine)).values()}
            (owner,) = owners
            assert owner is not None
            (holder,) = [each for each in replicas if f":{each.pid}:" in owner]
            expected += [world.mention(number) for number in range(30, 60)]
            await end(holder, signal.SIGKILL)
            expected += [world.mention(number, streamed=False) for number in range(60, 70)]
            world.threads.insert(0, thread(77))
            (other,) = [each for each in replicas if each is not holder]
            await until(lambda: world.open["mastodon"])
            expected += [world.mention(number) for number in range(70, 80)]
            await connecting.until_ids([*expected, "t77"])
            assert {each.owner for each in (await connecting.states(engine)).values()} != owners
            assert await end(other) == 0
            assert not [each for each in (await connecting.states(engine)).values() if each.owner]
    finally:
        _kill(*replicas)
    assert world.most_open["mastodon"] == 1
    found = await connecting.events()
    assert {each.source_id for each in found} == {*expected, "t77"}
    assert len({each.id for each in found}) == len({each.source_id for each in found}), "the same event, if sent twice"


def _kill(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


async def test_a_process_that_was_halted_comes_back_to_nothing(connecting: Connecting, world: Places) -> None:
    """It believes that it holds the lease; whatever it writes is refused, and it lets the connector be."""
    connecting.declare(youtube(world, poll_seconds=0.1))
    world.threads = [thread(1)]
    replicas = [connecting.process()]
    try:
        async with engine_of(connecting) as engine:
            await connecting.until_ids(["t1"])
            replicas[0].send_signal(signal.SIGSTOP)
            first = (await connecting.states(engine))["youtube"].owner
            replicas.append(connecting.process())
            async with asyncio.timeout(30):
                while (await connecting.states(engine))["youtube"].owner in (first, None):
                    await asyncio.sleep(0.05)
            second = (await connecting.states(engine))["youtube"].owner
            replicas[0].send_signal(signal.SIGCONT)
            world.threads.insert(0, thread(2))
            await connecting.until_ids(["t1", "t2"])
            log, words = connecting.folder / "connect-0.log", ("taken away", "run out", "another's now")
            await until(lambda: any(each in log.read_text() for each in words))
            assert (await connecting.states(engine))["youtube"].owner == second
    finally:
        _kill(*replicas)
    assert set(await connecting.ids()) == {"t1", "t2"}


async def test_people_pause_resume_and_rewind(connecting: Connecting, world: Places) -> None:
    connecting.declare(
        mastodon(world), {"id": "hooks", "source": "mastodon", "secrets": ["s"]}, youtube(world, "slow", pull=False)
    )
    first = [world.mention(number, streamed=False) for number in (2, 3)]
    async with connecting.running():
        await connecting.until_ids(first)
        await until(lambda: world.open["mastodon"])
        listed = await connecting.listed()
        assert {name: each["status"] for name, each in listed.items()} == {
            "mastodon": "running",
            "hooks": "off",
            "slow": "off",
        }
        assert "base_url" in listed["hooks"]["detail"]
        assert listed["mastodon"]["last_success_at"]
        assert "mastodon" in await connecting.command("list")
        code, said = await connecting.program("list", "--json")
        assert (code, len(json.loads(said)["items"])) == (0, 3)
        assert "paused" in await connecting.command("pause", "mastodon")
        await until(lambda: not world.open["mastodon"])
        meanwhile = world.mention(4)
        assert (await connecting.listed())["mastodon"]["status"] == "paused"
        assert meanwhile not in await connecting.ids()
        await connecting.command("resume", "mastodon")
        await connecting.until_ids([meanwhile])
        assert Counter(await connecting.ids()) == Counter([*first, meanwhile])
        listed = await connecting.listed()
        assert listed["mastodon"]["position"]["at"] == {
            "notifications": {"id": "4", "begun": listed["mastodon"]["position"]["at"]["notifications"]["begun"]}
        }
        said = await connecting.command("rewind", "mastodon", "--to", '{"at": {"notifications": {"id": "2"}}}')
        assert '"id": "2"' in said
        again = Counter([*first, meanwhile, first[1], meanwhile])
        await _until_counted(connecting, again)
        assert len({each.id for each in await connecting.events()}) == 3, "what comes again is the same event"
        assert "the beginning" in await connecting.command("rewind", "mastodon", "--to-beginning")
        await _until_counted(connecting, again + Counter([*first[-1:], meanwhile]))
    wrong = {
        ("pause", "nobody"): "there is no connector nobody; known: mastodon",
        ("pause", "hooks"): "isn't asked",
        ("rewind", "mastodon", "--to", "{"): "not JSON",
        ("rewind", "mastodon", "--to", "[]"): "must be a JSON object",
        ("rewind", "mastodon", "--to-time", "yesterday"): "no moment",
    }
    for arguments, words in wrong.items():
        assert words in await connecting.command(*arguments, code=2)
    assert (await connecting.program("pause", "nobody"))[0] == 2
    nowhere = f"postgresql://voz@127.0.0.1:{allocate_ports(('nobody',))['nobody']}/voz"
    assert "can't be asked" in await connecting.command("list", code=1, postgres_dsn=nowhere)
    await connecting.command("rewind", "mastodon", "--to-time", "2026-11-01T00:00:00+01:00")
    assert (await connecting.listed())["mastodon"]["position"] == {"since": "2026-10-31T23:00:00Z"}


async def _until_counted(connecting: Connecting, expected: Counter[str]) -> None:
    async with asyncio.timeout(20):
        while not Counter(await connecting.ids()) >= expected:
            await asyncio.sleep(0.1)


async def test_changes_of_the_file_start_and_stop_connectors(connecting: Connecting, world: Places) -> None:
    connecting.declare(mastodon(world))
    world.threads = [thread(1)]
    async with connecting.running(), engine_of(connecting) as engine:
        await until(lambda: world.open["mastodon"])
        connecting.declare(youtube(world))
        await connecting.until_ids(["t1"])
        await until(lambda: not world.open["mastodon"])
        assert (await connecting.states(engine))["mastodon"].owner is None
        connecting.declare(youtube(world, api_key="another"))
        await until(lambda: world.asked[-1][2].get("x-goog-api-key") == "another")
    assert (await connecting.listed())["mastodon"]["detail"] == "no connection declares it any more"


async def test_nobody_gets_it_to_ask_what_it_must_not(connecting: Connecting, world: Places) -> None:
    """Private addresses, and other hosts that an answer names: as a next page or as a redirect."""
    async with places() as inside:
        inside.threads = [thread(1)]
        key = pem(ec.generate_private_key(ec.SECP256R1()))
        world.store = [{"type": "customerReviews", "id": "s", "attributes": {"createdDate": now(), "rating": 1}}]
        elsewhere = {"data": world.store, "links": {"next": f"{inside.url}/v1/apps/123/customerReviews"}}

        async def leads_away(request: Any, good: Any) -> Any:
            return JSONResponse(elsewhere)

        async def redirects(request: Any, good: Any) -> Any:
            return Response("", 302, headers={"Location": f"{inside.url}/youtube/v3/commentThreads"})

        world.misbehave["/v1/apps/123/customerReviews"] = [leads_away] * 100
        world.misbehave["/youtube/v3/commentThreads"] = [redirects] * 100
        store = {"base_url": world.url, "app": "123", "key_id": "K", "issuer": "i", "private_key": key}
        connecting.private_hosts = f"127.0.0.1:{world.port}"
        connecting.declare(
            youtube(inside, "inside"),
            youtube(world, "redirected"),
            youtube(world, "name", base_url=f"http://localhost:{inside.port}"),
            {"id": "paged", "source": "appstore", "options": store},
            {
                "id": "stream",
                "source": "bluesky",
                "own": ["did:plc:acme"],
                "options": {"base_url": f"ws://127.0.0.1:{inside.jetstream_port}/subscribe"},
            },
            {"id": "mail", "source": "imap", "secrets": ["p"], "options": {"host": "127.0.0.1", "user": "u"}},
        )
        async with connecting.running(), engine_of(connecting) as engine:
            errors: dict[str, str] = {}
            async with asyncio.timeout(20):
                while len([error for error in errors.values() if error]) < 6:
                    errors = {name: each.last_error or "" for name, each in (await connecting.states(engine)).items()}
                    await asyncio.sleep(0.05)
        assert "over TLS only" in errors["inside"]
        assert "over TLS only" in errors["name"]
        assert "over TLS only" in errors["stream"]
        assert "none of the hosts" in errors["redirected"]
        assert "none of the hosts" in errors["paged"]
        assert "no public address" in errors["mail"]
        assert inside.asked == []
        assert inside.cursors == []


async def test_the_client_is_bounded(world: Places) -> None:
    async with Web(Guard(frozenset({"127.0.0.1"})), max_bytes=100, whole_seconds=1, read_seconds=0.2) as web:
        hosts = (f"127.0.0.1:{world.port}",)
        url = f"{world.url}/youtube/v3/commentThreads"
        assert json.loads(await web.fetch(url, hosts=hosts)) == {"items": []}
        world.threads = [thread(1)]
        with pytest.raises(RefusedUrlError, match="more than 100 bytes"):
            await web.fetch(url, hosts=hosts)
        world.misbehave["/youtube/v3/commentThreads"] = [fakes.hanging, fakes.broken]
        with pytest.raises(TransientError):
            await web.fetch(url, hosts=hosts)
        with pytest.raises(StatusError):
            await web.fetch(url, hosts=hosts)
        with pytest.raises(RefusedUrlError):
            await web.fetch(url, hosts=("other.example",))
        refused = allocate_ports(("nobody",))["nobody"]
        with pytest.raises(TransientError):
            await web.fetch(f"http://127.0.0.1:{refused}/", hosts=(f"127.0.0.1:{refused}",))
    async with Web(Guard()) as web:
        with pytest.raises(RefusedUrlError, match="no public address"):
            await web.fetch("https://localhost/", hosts=("localhost",))


SURVEYS = {"id": "surveys", "source": "surveymonkey", "secrets": ["client&secret"], "options": {"access_token": "t"}}


def announcement(response: str) -> bytes:
    resources = {"survey_id": "7", "respondent_id": response, "collector_id": "1"}
    said = {"event_type": "response_completed", "object_type": "response", "object_id": response}
    return json.dumps({**said, "resources": resources}).encode()


def details(response: str) -> dict[str, Any]:
    question = {
        "id": "q1",
        "heading": "¿Nos recomendarías?",
        "family": "open_ended",
        "subtype": "essay",
        "answers": [{"tag_data": [], "text": f"Llegó tarde {response}", "simple_text": f"Llegó tarde {response}"}],
    }
    return {
        "id": response,
        "response_status": "completed",
        "survey_id": "7",
        "date_modified": now(),
        "date_created": now(),
        "custom_variables": {},
        "pages": [{"id": "p", "questions": [question]}],
    }


async def test_what_a_webhook_announces_is_fetched(
    connecting: Connecting, world: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SurveyMonkey tells of a response; its content comes with patience, or the announcement is put aside."""
    _ask_here(monkeypatch, world)
    connecting.declare(SURVEYS)
    connection = Connection("surveys", "acme", "surveymonkey", ("client&secret",))
    world.details = {"1": details("1")}
    path = "/v3/surveys/7/responses/{}/details".format
    world.misbehave[path("1")] = [fakes.broken, fakes.truncated, fakes.hanging]
    async with connecting.running(announcement_attempts=5), engine_of(connecting) as engine:
        announcements = PostgresAnnouncements(engine)
        for response in ("1", "2", "404"):
            await announcements.add(connection, announcement(response), {"content-type": "application/json"})
        gone = Connection("gone", "acme", "surveymonkey")
        await announcements.add(gone, announcement("1"), {"sm-signature": "s", "x-topic": "t"})
        await until(lambda: world.count(path("2")) >= 2)
        world.details["2"] = details("2")  # their API knows of it a little later than their webhook
        async with asyncio.timeout(30):
            while await announcements.pending():
                await asyncio.sleep(0.05)
    found = await connecting.events()
    assert sorted(each.text or each.survey.comment for each in found) == ["Llegó tarde 1", "Llegó tarde 2"]
    assert world.asked[0][2]["authorization"] == "Bearer t"
    letters = {letter.topic: letter for letter in await connecting.dead_letters()}
    assert letters.keys() == {"connection:surveys", "connection:gone"}
    assert letters["connection:surveys"].value == announcement("404")
    assert "404" in letters["connection:surveys"].detail
    assert letters["connection:surveys"].attempts == 5
    assert "no connection" in letters["connection:gone"].detail
    assert [(each.name, each.value) for each in letters["connection:gone"].headers] == [("x-topic", b"t")]


def _ask_here(monkeypatch: pytest.MonkeyPatch, world: Places) -> None:
    """SurveyMonkey, as its module knows it, at the test's address."""
    known, load = sources.load("surveymonkey"), sources.load
    announced = known.announced
    assert announced is not None
    here = replace(
        known,
        hosts=frozenset({f"127.0.0.1:{world.port}"}),
        announced=lambda payload, secrets: [
            replace(pull, url=pull.url.replace("https://api.surveymonkey.com", world.url))
            for pull in announced(payload, secrets)
        ],
    )
    monkeypatch.setattr(sources, "load", lambda name: here if name == "surveymonkey" else load(name))
