"""Where ingest may connect to, and where never."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from voz_ingest.adapters.outbound.guard import Guard, RefusedUrlError, host_of, is_public

pytestmark = pytest.mark.unit
HOSTS = ("api.example", "own.example:8443", "*.vendor.example")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example/v1?x=1",
        "https://API.example:443/",
        "https://own.example:8443/a",
        "https://eu.vendor.example/",
        "wss://api.example/stream",
    ],
)
def test_what_is_named_may_be_asked(url: str) -> None:
    Guard().check(url, HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/",
        "ws://api.example/",
        "https://api.example:22/",
        "https://own.example/",
        "https://own.example:8444/",
        "https://evil.example/",
        "https://api.example.evil.example/",
        "https://notvendor.example/",
        "https://vendor.example/",
        "https://x.vendor.example:8443/",
        "https://user:password@api.example/",
        "https://api.example@evil.example/",
        "https://evil.example#@api.example/",
        "https://evil.example\\@api.example/",
        "file:///etc/passwd",
        "gopher://api.example/",
        "//api.example/",
        "https://",
        "https://[::1",
        "https://api.example:99999/",
        "",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(RefusedUrlError):
        Guard().check(url, HOSTS)


def test_exceptions_are_named() -> None:
    guard = Guard(frozenset({"localhost", "127.0.0.1:9000"}))
    guard.check("http://localhost:1234/", ("localhost:1234",))
    guard.check("http://127.0.0.1:9000/", ("127.0.0.1:9000",))
    with pytest.raises(RefusedUrlError):
        guard.check("http://127.0.0.1:9001/", ("127.0.0.1:9001",))
    with pytest.raises(RefusedUrlError):
        guard.check("http://localhost:1234/", ("api.example",))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::1"),
        *("2002:a00:1::", "not an address", ""),
    ],
)
def test_addresses_that_are_nobodys_business(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


async def test_a_name_is_as_good_as_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a name means is looked up once, and that is what is connected to."""
    answers = {"mixed.example": ["10.0.0.1", "93.184.216.34"], "inside.example": ["127.0.0.1", "::1"]}

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in answers[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert await Guard().addresses("mixed.example", 443) == ["93.184.216.34"]
    with pytest.raises(RefusedUrlError):
        await Guard().addresses("inside.example", 443)
    with pytest.raises(RefusedUrlError):
        await Guard().connect("inside.example", 443, timeout_seconds=1)
    allowed = Guard(frozenset({"inside.example"}))
    assert await allowed.addresses("inside.example", 443) == ["127.0.0.1", "::1"]


def test_hosts_of_urls() -> None:
    assert host_of("https://Social.example/x") == "social.example"
    assert host_of("http://127.0.0.1:8000") == "127.0.0.1:8000"
    assert host_of(None) is None
    assert host_of("social.example") is None
    assert host_of("https://[::1") is None
