"""Who runs which connectors: leases that end in time, room, changes of the configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import pytest
from tests.unit.ingest.test_runner import TEST_SOURCE, Bench, page

from voz_ingest.adapters.inbound import sources
from voz_ingest.adapters.inbound.connections import Connections, NoConnections
from voz_ingest.adapters.inbound.connectors.supervisor import Supervisor
from voz_ingest.domain.connection import Connection
from voz_ingest.domain.connector import Key
from voz_streamkit.errors import TransientError

pytestmark = pytest.mark.unit


class File(NoConnections):
    """The connections in force; a test may change them."""

    def __init__(self, *names: str) -> None:
        self.declare(*names)

    def declare(self, *names: str, **options: object) -> None:
        self.value = Connections({name: Connection(name, "acme", "api", options=options) for name in names})


@pytest.fixture(autouse=True)
def _the_test_source(monkeypatch: pytest.MonkeyPatch) -> None:
    load = sources.load
    here = replace(TEST_SOURCE, name="api")
    monkeypatch.setattr(sources, "load", lambda name: here if name == "api" else load(name))


def supervisor(bench: Bench, file: File, owner: str, *, seconds: float = 60, room: int = 100) -> Supervisor:
    return Supervisor(file, bench.parts, owner=owner, lease_seconds=seconds, max_connectors=room, drain_seconds=5)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


def owners(bench: Bench) -> list[str | None]:
    return [row.owner if not row.free else None for _, row in sorted(bench.store.rows.items())]


async def test_processes_share_what_there_is() -> None:
    bench, file, stop = Bench(TEST_SOURCE, page()), File("a", "b", "c"), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for owner in ("one", "two"):
            tasks.create_task(supervisor(bench, file, owner, seconds=0.4, room=2).run(stop))
        await until(lambda: None not in owners(bench) and len(owners(bench)) == 3)
        assert set(owners(bench)) == {"one", "two"}
        stop.set()
    assert owners(bench) == [None] * 3, "at the end everything is given back"


async def test_a_lease_that_can_not_be_renewed_is_given_up_before_it_ends() -> None:
    bench, file, stop = Bench(TEST_SOURCE, page()), File("a"), asyncio.Event()
    renew, ends = bench.store.renew, list[str]()

    async def away(tokens: Mapping[Key, int], *, seconds: float) -> Collection[Key]:
        raise TransientError("PostgreSQL is away")

    running = asyncio.create_task(supervisor(bench, file, "one", seconds=0.4).run(stop))
    gauge = bench.metrics.running.labels("a", "api")
    await until(lambda: gauge._value.get() == 1)
    bench.store.renew = away  # type: ignore[method-assign]
    await until(lambda: gauge._value.get() == 0)
    if not bench.store.rows[("acme", "a")].free:
        ends.append("before its end")
    bench.store.renew = renew  # type: ignore[method-assign]
    await until(lambda: gauge._value.get() == 1)
    stop.set()
    await running
    assert ends == ["before its end"]


async def test_a_connection_that_changes_begins_with_what_it_says_now() -> None:
    bench, file, stop = Bench(TEST_SOURCE, page()), File("a", "b"), asyncio.Event()
    running = asyncio.create_task(supervisor(bench, file, "one", seconds=0.2).run(stop))
    await until(lambda: len(owners(bench)) == 2 and None not in owners(bench))
    tokens = [row.token for _, row in sorted(bench.store.rows.items())]
    file.declare("b", poll_seconds=7)
    await until(lambda: bench.store.rows[("acme", "b")].token > tokens[1] and owners(bench) == [None, "one"])
    assert bench.store.rows[("acme", "a")].token == tokens[0]
    stop.set()
    await running


async def test_a_fault_of_ours_stops_the_process() -> None:
    bench, file, stop = Bench(TEST_SOURCE, page()), File("a"), asyncio.Event()

    async def wrong(*_: object, **__: object) -> list[object]:
        raise LookupError("no such table")

    bench.store.claim = wrong  # type: ignore[method-assign, assignment]
    with pytest.raises(LookupError):
        await supervisor(bench, file, "one").run(stop)
