"""Where ingest may connect to: hosts that configuration or a source's own module names, at public addresses.

The address that is checked is the one that is connected to: names are resolved here, and what resolves to several is
reduced to those that may be used. So a name that changes its mind (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import httpcore
from httpcore import AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PORTS = {"https": 443, "http": 80, "wss": 443, "ws": 80, "imaps": 993, "imap": 143}
_PLAIN = frozenset({"http", "ws", "imap"})


class RefusedUrlError(Exception):
    """A URL that must not be asked: trying again is of no use."""


@dataclass(frozen=True, slots=True)
class Guard:
    """`private_hosts`: hosts (or `host:port`) that may have private addresses and speak without TLS."""

    private_hosts: frozenset[str] = frozenset()

    def check(self, url: str, hosts: Collection[str]) -> SplitResult:
        """The URL's parts. Raises RefusedUrlError unless it is encrypted and on one of `hosts` (names, `host:port`, or
        `*.` for all names under one)."""
        try:
            parts = urlsplit(url)
            host, port = _name(parts.hostname or ""), parts.port
        except ValueError as error:
            raise RefusedUrlError(f"not a URL: {error}") from None
        usual = _PORTS.get(parts.scheme)
        if usual is None or not host:
            raise RefusedUrlError(f"{parts.scheme or 'no scheme'}: only https, wss and imaps are asked")
        if parts.username or parts.password:
            raise RefusedUrlError(f"{host}: a URL with a user in it")
        port = port or usual
        if not any(_is_named(host, port, usual, each) for each in hosts):
            raise RefusedUrlError(f"{host}:{port} is none of the hosts that may be asked")
        if parts.scheme in _PLAIN and not self.is_private(host, port):
            raise RefusedUrlError(f"{host} is asked over TLS only (VOZ_INGEST_PRIVATE_HOSTS names exceptions)")
        return parts

    def is_private(self, host: str, port: int) -> bool:
        """Whether configuration allows this host private addresses."""
        return host in self.private_hosts or f"{host}:{port}" in self.private_hosts

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host that may be connected to. Raises OSError when the name has none, RefusedUrlError when
        it has private ones only."""
        name = _name(host)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        allowed = addresses if self.is_private(name, port) else [each for each in addresses if is_public(each)]
        if not allowed:
            raise RefusedUrlError(f"{name} has no public address (VOZ_INGEST_PRIVATE_HOSTS names exceptions)")
        return allowed

    async def connect(self, host: str, port: int, *, timeout_seconds: float) -> socket.socket:
        """A connection to one of the addresses. Raises OSError, TimeoutError and RefusedUrlError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout_seconds):
            failed: OSError | None = None
            for address in await self.addresses(host, port):
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                made = socket.socket(family, socket.SOCK_STREAM)
                made.setblocking(False)
                try:
                    await loop.sock_connect(made, (address, port))
                except OSError as error:
                    made.close()
                    failed = error
                except BaseException:
                    made.close()
                    raise
                else:
                    return made
            raise failed or OSError(f"{host} has no address")


class GuardedBackend(AsyncNetworkBackend):
    """The network as httpcore knows it, behind the guard."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._network = guard, AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to an address that may be connected to, and to no other."""
        try:
            addresses = await self._guard.addresses(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"{host}: {error}") from error
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue  # the next one is tried
        return await self._network.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> AsyncNetworkStream:
        """Never."""
        raise RefusedUrlError("no socket of this machine is asked")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._network.sleep(seconds)


def is_public(address: str) -> bool:
    """Whether an address belongs to the public Internet, and so do those that it carries inside."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    carried: list[ipaddress.IPv4Address | None] = []
    if isinstance(found, ipaddress.IPv6Address):
        if found in _NAT64:  # nobody's address: what counts is inside
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
        carried = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
    itself = found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)
    return itself and all(each is None or is_public(str(each)) for each in carried)


def host_of(url: object) -> str | None:
    """`host`, or `host:port` where the URL names one: what a connection's own URL allows. None for what is none."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        name, port = _name(parts.hostname or ""), parts.port
    except ValueError:
        return None
    return (f"{name}:{port}" if port else name) or None


def _is_named(host: str, port: int, usual: int, named: str) -> bool:
    if named.startswith("*."):
        return port == usual and host.endswith(_name(named[1:]))
    name, colon, said = named.rpartition(":") if named.count(":") == 1 else (named, "", "")
    return host == _name(name) and (port == int(said) if colon and said.isdecimal() else port == usual)


def _name(host: str) -> str:
    return host.lower().removesuffix(".")
