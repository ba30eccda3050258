"""Ports on loopback for servers that clients keep trying to reach while they are down."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

_LOWEST = 10_000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def allocate_ports(names: Iterable[str], known: Mapping[str, int] | None = None) -> dict[str, int]:
    """A free port on 127.0.0.1 for each name: the one in `known` where nobody else took it, a new one otherwise.

    New ports lie below the range from which the system gives ports to outgoing connections. A server's port inside
    that range can be taken by a client while the server is down: by any connection, and even by a client that retries
    this very port, which then is connected to itself. The server could not be started again.

    Raises OSError when no port can be bound.
    """
    known = known or {}
    ports: dict[str, int] = {}
    for name in names:
        kept = known.get(name)
        ports[name] = (
            kept if kept is not None and is_free(kept) else _new_port(taken={*ports.values(), *known.values()})
        )
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as listener:
        # As servers do, so that connections that are still closing don't count as somebody else.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _new_port(taken: set[int]) -> int:
    highest = _ephemeral_start() - 1
    for port in random.SystemRandom().sample(range(_LOWEST, highest), k=200):
        if port not in taken and is_free(port):
            return port
    raise OSError(f"no free port on 127.0.0.1 between {_LOWEST} and {highest}")


def _ephemeral_start() -> int:
    """Where outgoing connections' ports begin; the usual value of Linux where the system does not say."""
    try:
        start = int(_EPHEMERAL_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768
    return start if start > _LOWEST + 1000 else 32_768
