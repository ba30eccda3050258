"""Mails of an IMAP folder (RFC 9051), read and left as they are: nothing is marked, moved or deleted."""

from __future__ import annotations

import asyncio
import imaplib
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from voz_ingest.adapters.inbound.sources import Mailbox
from voz_ingest.adapters.outbound.guard import Guard
from voz_streamkit.errors import TransientError

TIMEOUT_SECONDS = 30.0
MAILS_AT_ONCE = 20
MAX_BYTES_AT_ONCE = 32 << 20
MAX_MAIL_BYTES = 16 << 20
"""Of a larger mail the beginning is read: its text stands before what is attached."""
_UID = re.compile(rb"UID (\d+)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class ImapRefusedError(Exception):
    """The server understands and says no: wrong password, no such folder."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it lies there."""

    uid: int
    uidvalidity: int
    more: bool
    body: bytes


async def read_mails(guard: Guard, mailbox: Mailbox) -> Sequence[Mail]:
    """The oldest mails after the position. Raises TransientError, ImapRefusedError and RefusedUrlError."""
    scheme = "imaps" if mailbox.tls else "imap"
    guard.check(f"{scheme}://{mailbox.host}:{mailbox.port}", (f"{mailbox.host}:{mailbox.port}",))
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            address = (await guard.addresses(mailbox.host, mailbox.port))[0]
    except OSError as error:
        raise TransientError(f"{mailbox.host}: {error}") from error
    session = _Session(mailbox, address)
    try:
        return await asyncio.to_thread(session.read)
    except asyncio.CancelledError:
        session.abort()  # the thread, which can't be cancelled, finds its connection closed
        raise


class _Session:
    """One connection, from login to logout, in a thread of its own."""

    def __init__(self, mailbox: Mailbox, address: str) -> None:
        self._mailbox, self._address = mailbox, address
        self._socket: socket.socket | None = None

    def abort(self) -> None:
        """End it, from another thread."""
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def read(self) -> Sequence[Mail]:
        try:
            made = socket.create_connection((self._address, self._mailbox.port), TIMEOUT_SECONDS)
            if self._mailbox.tls:
                context = ssl.create_default_context()
                made = context.wrap_socket(made, server_hostname=self._mailbox.host)
            self._socket = made
            client = _Client(self._mailbox.host, self._mailbox.port, made)
            try:
                return self._mails(client)
            finally:
                try:
                    client.shutdown()
                except OSError:
                    pass  # the farewell has closed it already
        except imaplib.IMAP4.abort as error:
            raise TransientError(f"{self._mailbox.host}: {error}") from error
        except imaplib.IMAP4.error as error:
            raise ImapRefusedError(f"{self._mailbox.host}: {_said(error)}") from error
        except (OSError, EOFError) as error:
            raise TransientError(f"{self._mailbox.host}: {error}") from error

    def _mails(self, client: imaplib.IMAP4) -> Sequence[Mail]:
        mailbox = self._mailbox
        client.login(mailbox.user, mailbox.password)
        _expect(client.select(_quoted(mailbox.folder), readonly=True))  # EXAMINE
        validity = _number(client.response("UIDVALIDITY")[1])
        known = mailbox.uidvalidity == validity and mailbox.after_uid
        wanted = f"UID {mailbox.after_uid + 1}:*" if known else f"SINCE {_day(mailbox)}" if mailbox.since else "ALL"
        found = _expect(client.uid("SEARCH", wanted))
        # `n:*` always matches the newest mail, also when it is older than n.
        after = mailbox.after_uid if known else 0
        uids = sorted(uid for uid in map(int, (found[0] or b"").split()) if uid > after)
        mails: list[Mail] = []
        for place, uid in enumerate(uids[:MAILS_AT_ONCE], 1):
            body = _body(_expect(client.uid("FETCH", str(uid), f"(UID BODY.PEEK[]<0.{MAX_MAIL_BYTES}>)")), uid)
            if body is not None:  # else deleted meanwhile
                mails.append(Mail(uid, validity, place < len(uids), body))
            if sum(len(mail.body) for mail in mails) > MAX_BYTES_AT_ONCE:
                break
        try:
            client.logout()
        except imaplib.IMAP4.error:
            pass
        return mails


class _Client(imaplib.IMAP4):
    """imaplib over a connection that was made already."""

    def __init__(self, host: str, port: int, made: socket.socket) -> None:
        self._made = made
        super().__init__(host, port, TIMEOUT_SECONDS)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._made


def _expect(answer: tuple[str, Sequence[object]]) -> list[bytes]:
    """The data of an answer. Raises IMAP4.error when it says no."""
    status, data = answer
    if status != "OK":
        raise imaplib.IMAP4.error(b" ".join(each for each in data if isinstance(each, bytes)).decode(errors="replace"))
    return list(data)  # type: ignore[arg-type]


def _body(data: Sequence[object], uid: int) -> bytes | None:
    for part in data:
        if isinstance(part, tuple) and len(part) == 2:
            said = _UID.search(part[0])
            if said is None or int(said[1]) == uid:
                return bytes(part[1])
    return None


def _number(data: Sequence[object]) -> int:
    said = data[0] if data else b""
    return int(said) if isinstance(said, bytes) and said.isdigit() else 0


def _day(mailbox: Mailbox) -> str:
    """As IMAP writes a date, whatever the process's locale."""
    assert mailbox.since is not None
    return f"{mailbox.since.day}-{_MONTHS[mailbox.since.month - 1]}-{mailbox.since.year}"


def _quoted(folder: str) -> str:
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return (said.decode(errors="replace") if isinstance(said, bytes) else str(said))[:200]
