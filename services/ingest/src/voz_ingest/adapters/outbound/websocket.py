"""Streams over WebSocket, behind the guard."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing, asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from voz_ingest.adapters.outbound.guard import Guard, RefusedUrlError
from voz_ingest.adapters.outbound.web import CONNECT_SECONDS, USER_AGENT, Fetched, StatusError
from voz_streamkit.errors import TransientError

MAX_MESSAGE_BYTES = 1 << 20
PING_SECONDS = 20.0


@asynccontextmanager
async def messages(
    guard: Guard, url: str, *, hosts: Collection[str], headers: Mapping[str, str]
) -> AsyncIterator[AsyncIterator[bytes]]:
    """A stream's messages, once it is open; no redirect is followed. Raises as `Web.events` does."""
    parts = guard.check(url, hosts)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    try:
        made = await guard.connect(parts.hostname or "", port, timeout_seconds=CONNECT_SECONDS)
    except OSError as error:
        raise TransientError(f"{parts.hostname}: {error}") from error
    try:
        # With a socket of ours, which it owns from here on, the library goes to no other host, by redirect or proxy.
        opened = await connect(
            url,
            sock=made,
            proxy=None,
            additional_headers=dict(headers),
            user_agent_header=USER_AGENT,
            max_size=MAX_MESSAGE_BYTES,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=1.0,
        )
    except InvalidStatus as error:
        answer = error.response
        known = {name.lower(): value for name, value in answer.headers.raw_items()}
        raise StatusError(Fetched(answer.status_code, known, bytes(answer.body or b""))) from error
    except InvalidURI as error:
        raise RefusedUrlError(str(error)) from error
    except ValueError as error:  # a redirect
        raise RefusedUrlError(str(error)) from error
    except (OSError, InvalidHandshake) as error:
        raise TransientError(f"{type(error).__name__}: {error}") from error
    async with opened, aclosing(_messages(opened)) as stream:
        yield stream


async def _messages(connection: ClientConnection) -> AsyncGenerator[bytes, None]:
    try:
        while True:
            message = await connection.recv(decode=False)
            yield message if isinstance(message, bytes) else message.encode()
    except ConnectionClosed as error:
        raise TransientError(f"the stream ended: {error}") from error
