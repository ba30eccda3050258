"""How a Voz process starts and ends."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
import uvloop
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from voz_streamkit.reload import FileError

S = TypeVar("S", bound=BaseSettings)
_log = structlog.get_logger(__name__)
EXIT_FAILED, EXIT_MISCONFIGURED = 1, 2


def run_service(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run `main(stop)` until it returns; SIGTERM and SIGINT set `stop`. Returns the process's exit code.

    0 after a clean stop; 1 when `main` raised (nothing it held is committed, the platform starts it again);
    2 for a configuration that can't be used.
    """

    async def supervised() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    try:
        uvloop.run(supervised())
    except FileError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_MISCONFIGURED
    except Exception:
        _log.exception("stopped by an error, nothing of it is committed")
        return EXIT_FAILED
    return 0


def read_settings(settings: type[S]) -> S:
    """The settings from the environment. Says what is wrong with each variable and exits 2 if they can't be used."""
    try:
        return settings()
    except ValidationError as error:
        print("The configuration can't be used:", file=sys.stderr)
        for problem in error.errors():
            prefix = settings.model_config.get("env_prefix", "")
            name = ".".join(str(part) for part in problem["loc"])
            variable = name if name.startswith("VOZ_") else (prefix + name).upper()
            print(f"  {variable}: {problem['msg']}", file=sys.stderr)
        raise SystemExit(EXIT_MISCONFIGURED) from None
