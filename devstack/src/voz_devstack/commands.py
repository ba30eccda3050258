"""The commands of `voz-stack`, over the stack of the state folder that the environment names."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import httpx
from rich.console import Console

from voz_devstack.clients import BusyError, IngestClient, http_client
from voz_devstack.demo import DemoOptions, Summary, run_demo
from voz_devstack.replay import RecordingError, Replayed, read_recording
from voz_devstack.replay import replay as play_recording
from voz_devstack.setting_up import StackError
from voz_devstack.stack import Stack
from voz_devstack.stackfile import StackInfo, read_info
from voz_devstack.state import StateFolder
from voz_devstack.status import lag_of, status_table
from voz_devstack.views import demo_view, replay_bar, summary_table

T = TypeVar("T")
_NAMED_SERVERS = ("VOZ_KAFKA_BOOTSTRAP", "VOZ_POSTGRES_DSN")
_SHOWN_REJECTIONS = 5


def up(_: argparse.Namespace) -> int:
    """Start everything; exit 0 as well when it runs already."""
    stack = _stack("up")
    running = stack.running()
    if running:
        ill = [f"; {each.name}: {each.state.lower()}" for each in stack.supervisor.status() if each.state != "RUNNING"]
        _say("up", "running already" + "".join(ill))
    _tell_where(running or stack.up(), stack.state)
    return 0


def down(_: argparse.Namespace) -> int:
    """Stop everything."""
    _say("down", "stopped; the data stay" if _stack("down").down() else "nothing was running")
    return 0


def status(_: argparse.Namespace) -> int:
    """Print who runs."""
    stack = _stack("status")
    if not stack.supervisor.is_running():
        _say("status", "nothing is running; make up starts it")
        return 0
    info = read_info(stack.state.stack_file)
    table = status_table(info, stack.supervisor.status(), lag_of(info) if info else {}, datetime.now(UTC))
    Console().print(table)
    return 0


def clean(_: argparse.Namespace) -> int:
    """Stop everything and erase its data."""
    stack = _stack("clean")
    stack.clean()
    _say("clean", f"stopped; data, keys and logs in {stack.state.path} are erased")
    for variable in _NAMED_SERVERS:
        if os.environ.get(variable):
            _say("clean", f"what {variable} names was left as it is")
    return 0


def demo(chosen: argparse.Namespace) -> int:
    """Play the demo; exit 1 when accepted, enriched and counted disagree.

    On the stack that is running, which then goes on; otherwise on one of its own, stopped at the end.
    """
    stack = _stack("demo")
    running = stack.running()
    info = running or stack.up()
    key = _key(info)
    console = Console()

    async def play(stop: asyncio.Event) -> Summary:
        with demo_view(console) as view:
            options = DemoOptions(chosen.seconds, chosen.rate, chosen.seed)
            return await run_demo(info, key, stack.connection_secrets, options, view, stop)

    try:
        _tell_where(info, stack.state)
        summary = _interruptible(play)
    finally:
        if not running:
            _say("demo", "stopping the pipeline")
            stack.down()
    for reason in summary.rejected[:_SHOWN_REJECTIONS]:
        _say("demo", f"ingest rejected an event: {reason}")
    console.print(summary_table(summary))
    print(summary.as_json(), flush=True)
    return 0 if summary.agrees else 1


def replay(chosen: argparse.Namespace) -> int:
    """Play a recording into the running stack."""
    info = _stack("replay").running()
    if info is None:
        raise StackError("the pipeline isn't running: make up")
    key = _key(info)
    try:
        rows = read_recording(chosen.file)
    except (RecordingError, OSError) as error:
        raise StackError(f"{chosen.file} can't be played: {error}") from error
    span = (rows[-1].occurred_at - rows[0].occurred_at).total_seconds()
    _say("replay", f"{len(rows)} events of {span / 3600:.1f} hours in {span / chosen.speed:.0f} s or more")

    async def play(stop: asyncio.Event) -> Replayed:
        async with http_client(key) as http:
            with replay_bar(len(rows)) as bar:
                return await play_recording(rows, chosen.speed, IngestClient(http, info.ingest_url), bar, stop)

    done = _interruptible(play)
    for reason in done.rejected[:_SHOWN_REJECTIONS]:
        _say("replay", f"rejected: {reason}")
    _say("replay", f"sent {done.sent}, accepted {done.accepted}, rejected {len(done.rejected)}")
    window = f"from={done.first:%Y-%m-%dT%H:%M:%SZ}&to={done.last:%Y-%m-%dT%H:%M:%SZ}"
    _say("replay", f"figures: {info.metrics_api_url}/v1/kpis?{window}&by=product")
    return 0 if done.accepted + len(done.rejected) == done.sent else 1


def _interruptible(main: Callable[[asyncio.Event], Awaitable[T]]) -> T:
    """Run it; the first SIGINT or SIGTERM asks it to end, a second one interrupts it. Raises StackError."""

    async def supervised() -> T:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        def ask() -> None:
            if stop.is_set():
                task.cancel()
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ask)
        return await main(stop)

    try:
        return asyncio.run(supervised())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    except (BusyError, httpx.HTTPStatusError) as error:
        raise StackError(f"the pipeline doesn't answer: {error}") from error


def _stack(command: str) -> Stack:
    environment = dict(os.environ)
    return Stack(StateFolder.default(environment), environment, lambda words: _say(command, words))


def _key(info: StackInfo) -> str:
    if info.api_key is None:
        raise StackError("the keys are yours: name one with all scopes in VOZ_API_KEY and start the pipeline again")
    return info.api_key


def _tell_where(info: StackInfo, state: StateFolder) -> None:
    _say("voz", f"board   {info.board_url}")
    _say(
        "voz", f"ingest  {info.ingest_url}/docs   router  {info.router_url}/docs   metrics  {info.metrics_api_url}/docs"
    )
    _say("voz", f"details {state.stack_file}")


def _say(command: str, words: str) -> None:
    print(f"[{command}] {words}", flush=True)
