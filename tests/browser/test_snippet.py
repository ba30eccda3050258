"""voz.js in a real browser, from the page to voz.events: what a visitor does, what is respected, what is never read."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page
from tests.integration.ingest.conftest import Ingest, StartIngest
from tests.integration.ingest.reading import make_topic, read_events

from voz.v1.customer_event_pb2 import CustomerEvent
from voz_devstack.testing import KafkaAddress
from voz_ingest.adapters.inbound.formats.signatures import hex_hmac

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><title>La tienda</title>
<script src="{ingest}/voz.js" data-connection="web-es" data-key="pk_web" {more}></script>
<h1>Móviles</h1>
<button id="works" onclick="document.querySelector('h1').textContent = 'Gracias'">Comprar</button>
<button id="broken">Pagar</button>
<button id="throws" onclick="notThere()">Ayuda</button>
<form id="signup" onsubmit="return false"><input name="mail"><input type="password" name="pass">
<button>Enviar</button></form>
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Tests say enough."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A company's web site: its address, and the folder that it shows."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
async def ingest(
    start_ingest: StartIngest,
    kafka: KafkaAddress,
    topic_prefix: str,
    site: tuple[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Ingest:
    connections = tmp_path / "connections.yaml"
    connections.write_text(
        "connections:\n  - {id: web-es, tenant: acme, source: web, secrets: [pk_web],"
        f" options: {{origins: ['{site[0]}'], identity_secret: shh}}}}\n"
    )
    monkeypatch.setenv("VOZ_CONNECTIONS_FILE", str(connections))
    await make_topic(kafka.bootstrap, topic_prefix)
    started = await start_ingest(kafka.bootstrap)
    await started.wait_until_ready()
    return started


@pytest.fixture
def visit(chromium: Browser, ingest: Ingest, site: tuple[str, Path]) -> Callable[..., Any]:
    """Opens the shop in a browser of its own; `more`: attributes of the script."""
    address, folder = site

    async def opened(more: str = "", path: str = "/", before: str = "") -> Page:
        (folder / "index.html").write_text(PAGE.format(ingest=str(ingest.client.base_url).rstrip("/"), more=more))
        context = await chromium.new_context()
        if before:
            await context.add_init_script(before)
        page = await context.new_page()
        await page.goto(address + path)
        return page

    return opened


async def leave(page: Page) -> None:
    """Go elsewhere: what is open is sent."""
    await page.goto("about:blank")


@pytest.fixture
def told(kafka: KafkaAddress, topic_prefix: str) -> Callable[[set[str]], Any]:
    """Events on Kafka, once those of all these types are there."""

    async def until(types: set[str]) -> list[CustomerEvent]:
        found: list[CustomerEvent] = []
        async with asyncio.timeout(30):
            while not types <= {event.behaviour.type for event in found}:
                await asyncio.sleep(0.1)
                found = await read_events(kafka.bootstrap, topic_prefix)
        return found

    return until


async def test_what_a_visitor_does_arrives(visit: Callable[..., Any], told: Any, site: tuple[str, Path]) -> None:
    page = await visit(path="/?token=secret#top")
    await page.click("#works")
    await page.click("#broken")
    await page.wait_for_timeout(1200)  # a click is dead when nothing has come of it for a second
    await page.click("h1", click_count=3)
    await page.click("#throws")
    await page.fill("[name=mail]", "ana@example.com")
    await page.fill("[name=pass]", "hunter2")
    await leave(page)
    found = await told({"page_view", "click", "rage_click", "dead_click", "error", "form_abandoned"})
    by_type = {event.behaviour.type: event for event in found}
    view = by_type["page_view"]
    assert (view.behaviour.url, view.attributes["title"]) == (f"{site[0]}/", "La tienda"), "no query, no fragment"
    assert (view.behaviour.viewport.width, view.behaviour.viewport.height) == (1280, 720)
    assert by_type["dead_click"].behaviour.element == "button#broken"
    assert [event.behaviour.element for event in found].count("button#works") == 1, "not a dead one"
    assert by_type["rage_click"].behaviour.element == "html>body>h1"
    assert by_type["rage_click"].behaviour.x > 0
    assert "notThere" in by_type["error"].attributes["message"]
    assert by_type["form_abandoned"].behaviour.element == "form#signup"
    assert {(event.tenant, event.source) for event in found} == {("acme", "web")}
    assert len({event.customer.key for event in found}) == 1
    everything = b"".join(event.SerializeToString() for event in found)
    for private in (b"ana@example.com", b"hunter2", b"secret"):
        assert private not in everything


async def test_a_form_that_is_sent_is_not_abandoned_and_a_customer_is_known_by_the_companys_word(
    visit: Callable[..., Any], told: Any
) -> None:
    page = await visit()
    await page.evaluate(f"voz.identify('c-42', '{hex_hmac('shh', b'c-42')}')")
    await page.fill("[name=mail]", "ana@example.com")
    await page.click("#signup button")
    await page.evaluate("history.pushState({}, '', '/gracias')")
    await page.evaluate("voz.track('search', {element: 'fundas'})")
    await leave(page)
    found = await told({"search", "page_view"})
    assert "form_abandoned" not in {event.behaviour.type for event in found}
    assert [event.behaviour.url for event in found if event.behaviour.type == "page_view"][-1].endswith("/gracias")
    assert {event.customer.id for event in found} == {"c-42"}


async def test_no_cookies_and_the_visitor_ends_with_the_tab(visit: Callable[..., Any], told: Any) -> None:
    page = await visit()
    assert await page.evaluate("document.cookie") == ""
    assert await page.evaluate("localStorage.length") == 0
    again = await page.context.new_page()
    await again.goto(page.url)
    first, second = [await each.evaluate("sessionStorage.voz") for each in (page, again)]
    assert first != second
    await page.reload()
    assert await page.evaluate("sessionStorage.voz") == first
    forgetful = await visit(more='data-remember="none"')
    assert await forgetful.evaluate("sessionStorage.length + localStorage.length") == 0
    assert await page.context.cookies() == []


@pytest.mark.parametrize(
    "asked",
    [
        "Object.defineProperty(navigator, 'doNotTrack', {value: '1'})",
        "Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})",
    ],
)
async def test_who_asks_not_to_be_tracked_is_not(visit: Callable[..., Any], ingest: Ingest, asked: str) -> None:
    page = await visit(before=asked)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    await page.click("#works")
    assert await page.evaluate("typeof window.voz") == "undefined"
    await leave(page)
    assert not [url for url in sent if "/webhooks/" in url]
    assert "voz_ingest_webhooks_total{" not in (await ingest.client.get("/metrics")).text


async def test_the_snippet_is_small(ingest: Ingest) -> None:
    answer = await ingest.client.get("/voz.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert len(answer.content) < 4000
