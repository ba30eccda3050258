"""How a source is asked: one page, the mails of a folder, or a stream, each as payloads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

import orjson
from httpx_sse import ServerSentEvent

from voz_ingest.adapters.inbound.sources import Mailbox, Payload, Pull
from voz_ingest.adapters.outbound.imap import read_mails
from voz_ingest.adapters.outbound.web import StatusError, Web
from voz_ingest.adapters.outbound.websocket import messages
from voz_ingest.domain.connection import Connection


class Transports:
    """Asks sources over the guarded client.

    Everything raises StatusError for an answer that isn't 2xx, TransientError for what may pass by itself, and
    RefusedUrlError for what must not be asked.
    """

    def __init__(self, web: Web) -> None:
        self._web = web

    async def ask(self, pull: Pull | Mailbox, connection: Connection, hosts: Collection[str]) -> Sequence[Payload]:
        """The payloads of a page: one of HTTP, any number of mails. Raises ImapRefusedError, too."""
        if isinstance(pull, Mailbox):
            return [
                _payload(
                    connection,
                    mail.body,
                    {
                        "content-type": "message/rfc822",
                        "x-uid": str(mail.uid),
                        "x-uidvalidity": str(mail.uidvalidity),
                        "x-more": "1" if mail.more else "0",
                    },
                )
                for mail in await read_mails(self._web.guard, pull)
            ]
        fetched = await self._web.ask(pull.url, hosts=hosts, method=pull.method, headers=pull.headers, body=pull.body)
        if not fetched.ok:
            raise StatusError(fetched)
        return [_payload(connection, fetched.body, fetched.headers, url=pull.url)]

    @asynccontextmanager
    async def listen(
        self, pull: Pull, connection: Connection, hosts: Collection[str]
    ) -> AsyncIterator[AsyncIterator[Payload]]:
        """A stream's payloads, once it is open."""
        if pull.transport == "websocket":
            async with (
                messages(self._web.guard, pull.url, hosts=hosts, headers=pull.headers) as bodies,
                aclosing(_messages(connection, bodies)) as payloads,
            ):
                yield payloads
            return
        async with (
            self._web.events(pull.url, hosts=hosts, headers=pull.headers) as events,
            aclosing(_events(connection, events)) as payloads,
        ):
            yield payloads


async def _messages(connection: Connection, bodies: AsyncIterator[bytes]) -> AsyncGenerator[Payload, None]:
    async for body in bodies:
        yield _payload(connection, body)


async def _events(connection: Connection, events: AsyncIterator[ServerSentEvent]) -> AsyncGenerator[Payload, None]:
    async for event in events:
        if event.data:
            said = {"event": event.event, "payload": event.data, "id": event.id}
            yield _payload(connection, orjson.dumps(said))


def _payload(
    connection: Connection, body: bytes, headers: Mapping[str, str] | None = None, *, url: str = ""
) -> Payload:
    return Payload(
        body=body,
        headers=headers or {"content-type": "application/json"},
        own=connection.own,
        options=connection.options,
        method="GET",
        url=url,
        received_at=datetime.now(UTC),
    )
