"""The demo: simulated customers talk to a running stack, simulated agents answer, and everything is counted."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from voz.v1.case_pb2 import SupportCase
from voz_devstack.clients import (
    BusyError,
    IngestClient,
    Kpi,
    MetricsClient,
    Queue,
    RouterClient,
    SourceClient,
    http_client,
)
from voz_devstack.desk import Desk
from voz_devstack.places import SOURCES
from voz_devstack.senders import Senders
from voz_devstack.simulator import simulate
from voz_devstack.stackfile import StackInfo
from voz_devstack.stories import load_stories
from voz_devstack.tally import Tally, tallying

# What the terminal shows, in this order.
SHOWN_KPIS = (
    "net_sentiment",
    "complaint_rate",
    "nps",
    "csat",
    "ces",
    "response_rate",
    "resolution_rate",
    "first_response_time",
    "time_to_resolution",
)
WINDOW = "15m"
_TICK_SECONDS = 0.1
_LOOK_EVERY_SECONDS = 1.0
_SETTLE_SECONDS = 60.0
_CASES_QUIET_SECONDS = 1.5
_DESK_SECONDS = 15.0
# A customer speaks every three seconds or so: long enough to follow, and a story is over in a quarter of a minute.
_SECONDS_BETWEEN_STEPS = 3
_SMALLEST_CROWD = 8
_EVENTS_PER_AGENT = 2
_SHOWN_CASES = 6


@dataclass(frozen=True)
class DemoOptions:
    """`seconds` None: until stopped. `rate` in events a second; `seed` chooses who comes in which order."""

    seconds: float | None
    rate: float
    seed: int


@dataclass(frozen=True)
class Summary:
    """What became of one run. `accepted`, `enriched` and `counted` agree when nothing was lost or doubled."""

    sent: int
    accepted: int
    enriched: int
    counted: int
    cases_opened: int
    cases_resolved: int
    dead_letters: int
    rejected: Sequence[str] = ()

    @property
    def agrees(self) -> bool:
        return self.accepted == self.enriched == self.counted

    def as_json(self) -> str:
        """The demo's last line."""
        names = ("sent", "accepted", "enriched", "counted", "cases_opened", "cases_resolved", "dead_letters")
        return json.dumps({name: getattr(self, name) for name in names})


@dataclass
class Progress:
    """What the views show, kept up to date while the demo runs."""

    board_url: str
    began: float = field(default_factory=time.monotonic)
    sent: int = 0
    accepted: set[str] = field(default_factory=set)
    rejected: list[str] = field(default_factory=list)
    by_source: Mapping[str, int] = field(default_factory=dict)
    """Accepted events by where they came from: `simulator` is `/v1/events`, all others are webhooks."""
    enriched: int = 0
    cases_opened: int = 0
    cases_resolved: int = 0
    kpis: Mapping[str, Kpi] = field(default_factory=dict)
    queues: Sequence[Queue] = ()
    newest_cases: Sequence[SupportCase] = ()
    phase: str = "customers are talking"

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.began


class View(Protocol):
    """Somewhere to show the progress."""

    def show(self, progress: Progress) -> None:
        """Show how it stands."""


async def run_demo(
    info: StackInfo,
    api_key: str,
    secrets: Mapping[str, str],
    options: DemoOptions,
    view: View,
    stop: asyncio.Event,
) -> Summary:
    """Play the demo on a running stack until its time is over or `stop`, then wait until all is counted.

    `secrets`: of the development connections; without them everybody speaks by `/v1/events`.
    """
    if info.api_key is None:
        raise ValueError(
            "the stack's keys are yours: name one with all scopes in VOZ_API_KEY and start the stack again"
        )
    started = datetime.now(UTC)
    run = f"demo-{started:%Y%m%dt%H%M%S}"
    async with http_client(api_key) as http, tallying(info.kafka_bootstrap, info.topic_prefix) as tally:
        senders = Senders(IngestClient(http, info.ingest_url), SourceClient(http, info.ingest_url), secrets, started)
        demo = _Demo(
            run,
            options,
            senders,
            RouterClient(http, info.router_url),
            MetricsClient(http, info.metrics_api_url),
            tally,
            Progress(info.board_url, accepted=tally.accepted, by_source=senders.accepted),
            view,
            started,
        )
        return await demo.play(stop)


@dataclass
class _Demo:
    run: str
    options: DemoOptions
    senders: Senders
    router: RouterClient
    metrics: MetricsClient
    tally: Tally
    progress: Progress
    view: View
    started: datetime
    counted_before: int = 0

    async def play(self, stop: asyncio.Event) -> Summary:
        self.counted_before = await self._counted()
        agents = max(4, round(self.options.rate / _EVENTS_PER_AGENT))
        desk = Desk(self.router, agents, random.Random(self.options.seed), self.run)
        over = asyncio.Event()
        working = asyncio.create_task(desk.run(over))
        looking = asyncio.create_task(self._look())
        try:
            await self._send(desk, stop)
            over.set()
            self.progress.phase = "the agents finish what they have in hand"
            await asyncio.wait({working}, timeout=_DESK_SECONDS)
            self.progress.phase = "waiting until everything accepted is counted"
            counted = await self._settle()
        finally:
            working.cancel()
            looking.cancel()
            await asyncio.gather(working, looking, return_exceptions=True)
        self._refresh()
        return Summary(
            sent=self.progress.sent,
            accepted=len(self.progress.accepted),
            enriched=self.progress.enriched,
            counted=counted,
            cases_opened=len(self.tally.cases),
            cases_resolved=self.tally.resolved,
            dead_letters=self.tally.dead_letters,
            rejected=tuple(self.progress.rejected),
        )

    async def _send(self, desk: Desk, stop: asyncio.Event) -> None:
        """Events at the rate, each stamped with the moment it is sent; one batch at a time, so that order holds."""
        crowd = max(_SMALLEST_CROWD, round(self.options.rate * _SECONDS_BETWEEN_STEPS))
        happenings = simulate(load_stories(), seed=self.options.seed, run=self.run, crowd=crowd)
        began = time.monotonic()
        while not stop.is_set() and not self._over(elapsed := time.monotonic() - began):
            due = int(elapsed * self.options.rate) - self.progress.sent
            if due > 0:
                batch = [next(happenings) for _ in range(due)]
                for happening in batch:
                    for name in self.senders.names(happening.customer):
                        desk.stories[name] = happening.customer.story
                sent = await self.senders.send(batch)
                self.progress.sent += len(batch)
                self.progress.accepted.update(sent.ids)
                self.progress.rejected += sent.rejected
            try:
                await asyncio.wait_for(stop.wait(), _TICK_SECONDS)
            except TimeoutError:
                pass

    def _over(self, elapsed_seconds: float) -> bool:
        return self.options.seconds is not None and elapsed_seconds >= self.options.seconds

    async def _look(self) -> None:
        """Keep the view up to date; while something is away it shows what was known last."""
        while True:
            try:
                self.progress.kpis = await self.metrics.kpis(SHOWN_KPIS, WINDOW)
                self.progress.queues = await self.router.queues()
            except BusyError:
                pass
            self._refresh()
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    def _refresh(self) -> None:
        cases = self.tally.cases
        self.progress.enriched = self.tally.enriched
        self.progress.cases_opened = len(cases)
        self.progress.cases_resolved = self.tally.resolved
        self.progress.newest_cases = tuple(cases[-_SHOWN_CASES:])
        self.view.show(self.progress)

    async def _settle(self) -> int:
        """Wait until answers, counts and cases have caught up, a minute at most. Returns what is counted."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        cases, quiet_since = (-1, -1), time.monotonic()
        while True:
            try:
                counted = await self._counted() - self.counted_before
            except BusyError:
                counted = -1
            self._refresh()
            now = time.monotonic()
            if (seen := (self.progress.cases_opened, self.progress.cases_resolved)) != cases:
                cases, quiet_since = seen, now
            caught_up = len(self.progress.accepted) == self.progress.enriched == counted
            if (caught_up and now - quiet_since > _CASES_QUIET_SECONDS) or now > deadline:
                return counted
            await asyncio.sleep(0.2)

    async def _counted(self) -> int:
        """Simulated events counted since the start; the window begins with its minute."""
        end = self.started + timedelta(days=1)
        return sum([await self.metrics.volume(source, self.started, end) for source in SOURCES])
