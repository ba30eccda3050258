"""A small IMAP server (RFC 9051, as much as a reader needs), which notes whatever would change its mails."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from voz_devstack.ports import allocate_ports

USER, PASSWORD = "care@acme.example", 'with "quotes"'
_COMMAND = re.compile(rb"(\S+) (?:UID )?(\S+) ?(.*)", re.IGNORECASE | re.DOTALL)


@dataclass
class MailServer:
    """One folder, INBOX. `vanish`: close the connection in the middle of so many answers."""

    port: int = 0
    uidvalidity: int = 1
    mails: dict[int, bytes] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    vanish: int = 0

    def receive(self, uid: int, text: str, *, sender: str = "Ana <ana@example.com>") -> str:
        """A mail arrives. Returns its Message-ID."""
        message_id = f"m{uid}.{self.uidvalidity}@example.com"
        head = f"From: {sender}\r\nTo: {USER}\r\nSubject: Hola {uid}\r\nMessage-ID: <{message_id}>\r\n"
        date = "Date: Fri, 20 Nov 2026 10:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n"
        self.mails[uid] = f"{head}{date}\r\n{text}\r\n".encode()
        return message_id

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
            while line := await reader.readline():
                found = _COMMAND.match(line.strip())
                assert found is not None
                tag, name, rest = found[1], found[2].upper().decode(), found[3]
                self.commands.append(f"{name} {rest.decode()}".strip() if name != "LOGIN" else name)
                if self.vanish and name == "FETCH":
                    self.vanish -= 1
                    writer.write(b"* 1 FETCH (UID 1 BODY[] {900}\r\nhalf of")
                    break
                writer.write(self._answer(name, rest) + tag + self._end(name, rest))
                await writer.drain()
                if name == "LOGOUT":
                    break
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _answer(self, name: str, rest: bytes) -> bytes:
        match name:
            case "CAPABILITY":
                return b"* CAPABILITY IMAP4rev1\r\n"
            case "EXAMINE" | "SELECT":
                return f"* {len(self.mails)} EXISTS\r\n* OK [UIDVALIDITY {self.uidvalidity}] ok\r\n".encode()
            case "SEARCH":
                return f"* SEARCH {' '.join(map(str, self._found(rest.decode())))}\r\n".encode()
            case "FETCH":
                uid = int(rest.split()[0])
                body = self.mails.get(uid)
                head = f"* 1 FETCH (UID {uid} BODY[]<0> {{{len(body or b'')}}}\r\n".encode()
                return head + body + b")\r\n" if body is not None else b""
            case "LOGOUT":
                return b"* BYE\r\n"
        return b""

    def _end(self, name: str, rest: bytes) -> bytes:
        escaped = PASSWORD.replace('"', '\\"')
        if name == "LOGIN" and rest.decode() not in (f'{USER} "{escaped}"', f'"{USER}" "{escaped}"'):
            return b" NO wrong password\r\n"
        if name == "EXAMINE" and rest != b'"INBOX"':
            return b" NO no such folder\r\n"
        return b" OK done\r\n"

    def _found(self, criterion: str) -> list[int]:
        """`UID n:*` always matches the newest one, as the standard says."""
        said = re.search(r"UID (\d+):\*", criterion)
        if not said:
            return sorted(self.mails)
        return sorted({uid for uid in self.mails if uid >= int(said[1])} | ({max(self.mails)} if self.mails else set()))


@asynccontextmanager
async def mail_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[MailServer]:
    """A server for one test."""
    made = MailServer(allocate_ports(("imap",))["imap"])
    server = await asyncio.start_server(made.serve, "127.0.0.1", made.port, ssl=tls)
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()
