"""All HTTP that ingest does itself: to hosts that were named, at public addresses, in bounded time and memory."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urljoin, urlsplit

import certifi
import httpcore
import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from voz_ingest.adapters.outbound.guard import Guard, GuardedBackend, RefusedUrlError
from voz_streamkit.errors import TransientError

USER_AGENT = "voz-ingest"
MAX_REDIRECTS = 3
CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS = 10.0, 30.0, 60.0
SILENCE_SECONDS = 90.0
"""A stream without a sign of life for so long is dead: servers send comments every 10 to 30 seconds."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is what was asked for."""
        return 200 <= self.status < 300


class StatusError(Exception):
    """An answer other than 2xx."""

    def __init__(self, fetched: Fetched) -> None:
        super().__init__(f"answered with {fetched.status}")
        self.fetched = fetched


class Web:
    """A client that reaches what `guard` allows, and nothing else.

    Every call names the hosts that it may ask. Environment variables of proxies are not followed: a proxy would connect
    to what the guard refuses. Network errors and silence are TransientError; what must not be asked, RefusedUrlError.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        max_bytes: int = 16 << 20,
        read_seconds: float = READ_SECONDS,
        whole_seconds: float = WHOLE_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self.guard, self.max_bytes = guard, max_bytes
        self._whole_seconds, self._silence_seconds = whole_seconds, silence_seconds
        self._client = httpx.AsyncClient(
            transport=_GuardedTransport(guard),
            timeout=httpx.Timeout(read_seconds, connect=CONNECT_SECONDS),
            # Uncompressed, so that the bound on what is received is one on what it becomes.
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Web:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def fetch(self, url: str, *, hosts: Collection[str]) -> bytes:
        """What stands behind a URL. Raises StatusError, TransientError and RefusedUrlError."""
        fetched = await self.ask(url, hosts=hosts)
        if not fetched.ok:
            raise StatusError(fetched)
        return fetched.body

    async def ask(
        self,
        url: str,
        *,
        hosts: Collection[str],
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Fetched:
        """One answer, whatever its status. A redirect of a GET is followed on the same host and port. Raises
        TransientError and RefusedUrlError."""
        try:
            async with asyncio.timeout(self._whole_seconds):
                for _ in range(MAX_REDIRECTS + 1):
                    fetched = await self._ask(url, hosts, method, headers or {}, body)
                    if method != "GET" or fetched.status not in (301, 302, 303, 307, 308):
                        return fetched
                    url = self._redirected(url, fetched.headers.get("location", ""))
        except TimeoutError:
            raise TransientError(f"no whole answer within {self._whole_seconds:g} s") from None
        raise RefusedUrlError(f"more than {MAX_REDIRECTS} redirects")

    @asynccontextmanager
    async def events(
        self, url: str, *, hosts: Collection[str], headers: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
        """A stream of server-sent events, once it is open. Raises StatusError, TransientError and RefusedUrlError, the
        latter two also out of the stream."""
        self.guard.check(url, hosts)
        timeout = httpx.Timeout(self._silence_seconds, connect=CONNECT_SECONDS)
        asked = {**headers, "Accept": "text/event-stream", "Cache-Control": "no-store"}
        with _network_errors():
            async with self._client.stream("GET", url, headers=asked, timeout=timeout) as response:
                if not response.is_success:
                    raise StatusError(await self._read(response))
                async with aclosing(self._bounded(response)) as stream:
                    yield stream

    async def _ask(
        self, url: str, hosts: Collection[str], method: str, headers: Mapping[str, str], body: bytes
    ) -> Fetched:
        self.guard.check(url, hosts)
        with _network_errors():
            async with self._client.stream(method, url, headers=dict(headers), content=body or None) as response:
                return await self._read(response)

    async def _read(self, response: httpx.Response) -> Fetched:
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self.max_bytes:
                raise RefusedUrlError(f"an answer of more than {self.max_bytes} bytes")
            parts.append(part)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Fetched(response.status_code, headers, b"".join(parts))

    async def _bounded(self, response: httpx.Response) -> AsyncGenerator[ServerSentEvent, None]:
        with _network_errors():
            async with aclosing(EventSource(response).aiter_sse()) as events:
                async for event in events:
                    yield event

    def _redirected(self, url: str, location: str) -> str:
        found = urljoin(url, location)
        parts = self.guard.check(found, (urlsplit(url).netloc,))
        if url.startswith("https:") and parts.scheme != "https":
            raise RefusedUrlError(f"{parts.hostname} redirects to where nothing is encrypted")
        return found


class _GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over a network that the guard watches: httpx has no parameter for it."""

    def __init__(self, guard: Guard) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(cafile=certifi.where()),
            max_connections=200,
            max_keepalive_connections=20,
            keepalive_expiry=15.0,
            network_backend=GuardedBackend(guard),
        )


@contextmanager
def _network_errors() -> Iterator[None]:
    """Says of the network's errors that they pass."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise RefusedUrlError(str(error)) from error
    except httpx.TimeoutException as error:
        raise TransientError("no answer in time") from error
    except (httpx.HTTPError, SSEError) as error:
        raise TransientError(f"{type(error).__name__}: {error}") from error
