"""Alive means progress, ready means that what we depend on answers."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_streamkit.health import Health, ProgressMonitor


def test_a_consumer_that_stands_still_while_its_lag_grows_is_stalled() -> None:
    monitor = ProgressMonitor(patience_seconds=60)
    monitor.observe(0, "voz.events/0", position=10, end=20)
    monitor.observe(50, "voz.events/0", position=10, end=30)
    assert monitor.stalled(59) == []
    assert monitor.stalled(61) == ["voz.events/0"]
    monitor.observe(62, "voz.events/0", position=11, end=30)
    assert monitor.stalled(63) == [], "one step is progress"


def test_a_consumer_with_nothing_new_to_do_is_alive() -> None:
    monitor = ProgressMonitor(patience_seconds=60)
    monitor.observe(0, "quiet", position=10, end=10)
    monitor.observe(500, "quiet", position=10, end=10)
    monitor.observe(0, "waiting", position=10, end=12)
    assert monitor.stalled(1000) == [], "its lag does not grow: nobody sends, a retry is under way"


def test_a_partition_that_moved_away_is_no_longer_watched() -> None:
    monitor = ProgressMonitor(patience_seconds=1)
    monitor.observe(0, "a", position=0, end=1)
    monitor.observe(1, "a", position=0, end=9)
    monitor.forget(keep={"b"})
    assert monitor.stalled(100) == []


@given(st.lists(st.integers(1, 50), min_size=1))
def test_a_consumer_that_moves_between_looks_is_never_stalled(steps: list[int]) -> None:
    monitor, position = ProgressMonitor(patience_seconds=10), 0
    for look, step in enumerate(steps):
        position += step
        monitor.observe(look * 9.0, "busy", position, position + 1000 * (look + 1))
        assert monitor.stalled(look * 9.0 + 9) == []


async def test_ready_needs_every_check_and_says_which_failed() -> None:
    health = Health(check_timeout_seconds=0.05)

    async def fine() -> None:
        return None

    async def broken() -> None:
        raise ConnectionRefusedError("postgres is away")

    health.add_readiness("kafka", fine)
    assert (await health.ready()).ok
    health.add_readiness("postgres", broken)
    health.add_readiness("slow", lambda: asyncio.sleep(5))
    report = await health.ready()
    assert not report.ok
    assert report.checks["kafka"] == "ok"
    assert "postgres is away" in report.checks["postgres"]
    assert "no answer within" in report.checks["slow"]


async def test_a_draining_process_is_alive_and_not_ready() -> None:
    health = Health()
    health.drain()
    assert health.live().ok
    assert not (await health.ready()).ok


@pytest.mark.parametrize("stalled", [False, True])
def test_liveness_reports_the_stalled_partition(stalled: bool) -> None:
    health = Health(patience_seconds=0.0)
    health.progress.observe(-2, "voz.events/3", 5, 6)
    health.progress.observe(-1, "voz.events/3", 5, 9 if stalled else 6)
    assert health.live().ok is not stalled
    assert ("voz.events/3" in health.live().checks) is stalled
