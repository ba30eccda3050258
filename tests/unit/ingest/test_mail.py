"""Mails that are malformed, huge or odd are read as well as they can be, and never stop what comes after them."""

from __future__ import annotations

import time

import pytest

from voz_ingest.adapters.inbound.formats import mail
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, load

HEAD = b"From: Ana <ana@example.com>\r\nTo: care@acme.example\r\nMessage-ID: <1@example.com>\r\n"
OWN = ("care@acme.example",)


def text(raw: bytes) -> str:
    return str(mail.event(mail.read(raw), "imap", OWN).get("text", ""))


@pytest.mark.parametrize(
    ("charset", "body", "said"),
    [
        (b"utf-8", "Está roto".encode(), "Está roto"),
        (b"us-ascii", "Está roto".encode(), "Está roto"),
        (b"iso-8859-1", "Está roto, 30 €".encode("cp1252"), "Está roto, 30 €"),
        (b"utf-8", "Está roto".encode("latin-1"), "Está roto"),
        (b"ISO-8859-15", "30 €".encode("iso-8859-15"), "30 €"),
        (b"x-unknown", "Está roto".encode(), "Está roto"),
        (b"", "Está roto".encode(), "Está roto"),
        (b"unicode-escape", b"\\x00 roto", "\\x00 roto"),
        (b"rot13", b"roto", "roto"),
        (b"base64", b"roto", "roto"),
        (b"idna", b"roto", "roto"),
        (b"utf-16", b"r", "r"),
        (b"utf-7", b"Est+AOE- roto", "Está roto"),
        (b"a" * 300, b"roto", "roto"),
        (b"..\0", b"roto", "roto"),
    ],
)
def test_whatever_it_calls_its_characters(charset: bytes, body: bytes, said: str) -> None:
    assert text(HEAD + b"Content-Type: text/plain; charset=" + charset + b"\r\n\r\n" + body) == said


def nested(depth: int, kind: str = "mixed") -> bytes:
    parts = [f'Content-Type: multipart/{kind}; boundary="b{level}"\r\n\r\n--b{level}\r\n' for level in range(depth)]
    return HEAD + "".join(parts).encode() + b"Content-Type: text/plain\r\n\r\nHola\r\n"


@pytest.mark.parametrize("kind", ["mixed", "alternative", "related"])
@pytest.mark.parametrize("depth", [1, 20, 5000])
def test_parts_within_parts_end(kind: str, depth: int) -> None:
    began = time.process_time()
    assert text(nested(depth, kind)) in ("Hola", "")
    assert text(nested(1, kind)) == "Hola"
    assert time.process_time() - began < 10


def test_mails_within_mails_end() -> None:
    assert text(HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 5000 + b"Hola") == ""


def test_of_many_parts_some_are_read() -> None:
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nHola\r\n"
    raw = HEAD + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + part * 3000 + b"--b--\r\n"
    assert 100 < text(raw).count("Hola") < 300


@pytest.mark.parametrize(
    "head",
    [
        b"From: =?utf-8?b?%%%?= <ana@example.com>",
        b"From: =?x-unknown?q?Ana?= <ana@example.com>",
        b"From: =?rot13?q?Ana?= <ana@example.com>",
        b"From: Ana <ana@example.com>\r\nSubject: =?utf-8?q?=ff=fe?=",
        b"From: Ana <ana@example.com>\r\nDate: Tue, 99 Foo 99999 99:99:99 +9999",
        b"From: Ana <ana@example.com>\r\nDate: Tue, 3 Nov 2026 10:00:00 +99999999",
        b"From: Ana <ana@example.com>\r\nReceived: ;;;\r\nReceived: from x; yesterday",
        b"From: Ana <ana@example.com>\r\nReferences: <><<>> < > @ <a",
        b"From: Ana <ana@example.com>\r\nContent-Type: ;;;=\xff; charset*=utf-8''%ff",
        b"From: Ana <ana@example.com>\r\nContent-Type: text/plain; charset*0=a; charset*2=b",
        b"From: Ana <ana@example.com>\r\nContent-Transfer-Encoding: base64\r\nX: y",
        b"From: \xc3\x81na <ana@example.com>",
        b"From: (((((((ana@example.com\r\nSender: ana@example.com",
        b"From: Ana <ana@example.com>\r\nContent-Disposition: \xff\xfe; filename*=x'y",
    ],
)
def test_headers_that_are_wrong_are_read_or_left(head: bytes) -> None:
    found = mail.event(mail.read(head + b"\r\nTo: care@acme.example\r\n\r\nEst\xe1 roto"), "imap", OWN)
    assert found.get("customer", {"handle": "ana@example.com"})["handle"] == "ana@example.com"


def test_long_fields_are_read_in_time() -> None:
    began = time.process_time()
    for said in ("<" * 50_000, "a," * 50_000, "(" * 50_000, '"' * 50_001, "=?utf-8?q?" * 20_000, "a@b <" * 20_000):
        raw = f"From: ana@example.com\r\nTo: {said}\r\nSubject: {said}\r\nReferences: {said}\r\n\r\nHola".encode()
        mail.event(mail.read(raw), "imap", OWN)
    assert time.process_time() - began < 20


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n\r\nHola", b"Hola", b"\0\0\0", b'{"a": 1}\n'])
def test_what_is_no_mail_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError, match="must be a mail"):
        load("imap").parse(Payload(body))
