"""Kills enrich workers and lets others join and leave, with events flowing; then proves that nothing was lost.

    python -m tests.chaos.enrich_chaos --kills 40 --rebalances 12 [--bootstrap HOST:PORT]

The last line is one JSON object; the exit code is 1 when anything in it is wrong. Without --bootstrap it starts a Kafka
of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from voz_devstack.testing import kafka_server

from .enrich_harness import Feeder, Installation, Proof, Worker, prove


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done, and how. `static`: static membership. `repair`: Faust's recovery repaired, as in production."""

    kills: int
    rebalances: int
    rate: float = 300.0
    seed: int = 1
    static: bool = False
    repair: bool = True
    session_seconds: int = 4
    bad_every: int = 37


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the run came to; `stuck`: 1 when answers stopped coming."""

    plan: Plan
    proof: Proof
    stuck: int
    counted: dict[str, int]

    @property
    def clean(self) -> bool:
        """Whether the promise was kept."""
        return self.proof.clean and not self.stuck

    def summary(self) -> dict[str, int]:
        """The figures of the last line."""
        proof = self.proof
        return {
            "kills": self.plan.kills,
            "rebalances": self.plan.rebalances,
            "sent": proof.sent,
            "lost": proof.lost,
            "doubled": proof.doubled,
            "out_of_order": proof.out_of_order,
            "wrong_stage": proof.wrong_stage,
            "stuck": self.stuck,
        }


class Workers:
    """Worker processes by name; those that ended by themselves are started again, as a supervisor would."""

    def __init__(self, installation: Installation, folder: Path, plan: Plan) -> None:
        self._installation, self._folder, self._plan = installation, folder, plan
        self._running: dict[str, Worker] = {}

    def start(self, name: str) -> None:
        """Start the worker of that name."""
        plan = self._plan
        worker = Worker(
            self._installation,
            self._folder,
            name,
            VOZ_ENRICH_SESSION_SECONDS=str(plan.session_seconds),
            VOZ_ENRICH_INSTANCE_ID=name if plan.static else "",
            VOZ_TEST_FAUST_REPAIR=str(int(plan.repair)),
            VOZ_TEST_TEXT_SECONDS="0.0005",
        )
        worker.start()
        self._running[name] = worker

    def kill(self, name: str) -> None:
        """SIGKILL and start again at once."""
        self._running[name].kill()
        self.start(name)

    def leave(self, name: str, *, politely: bool) -> None:
        """SIGTERM or SIGKILL, for good."""
        worker = self._running.pop(name)
        if politely:
            worker.stop()
        else:
            worker.kill()

    def revive(self) -> None:
        """Start again whoever ended."""
        for name, worker in list(self._running.items()):
            if worker.process.poll() is not None:
                self.start(name)

    def stop(self) -> None:
        """End them all."""
        for worker in self._running.values():
            worker.stop()


async def run(installation: Installation, folder: Path, plan: Plan) -> Outcome:
    """Carry out the plan on an installation with empty topics."""
    draw = random.Random(plan.seed)
    feeder = Feeder(installation, seed=plan.seed, bad_every=plan.bad_every)
    workers = Workers(installation, folder, plan)
    feeding, flowing = True, asyncio.Event()

    async def feed() -> None:
        while feeding:
            await feeder.feed(int(plan.rate), plan.rate)
            flowing.set()

    async def resumed(patience_seconds: float = 60) -> bool:
        """Whether answers come (again)."""
        before = await installation.answered()
        for _ in range(int(patience_seconds / 0.2)):
            workers.revive()
            if await installation.answered() > before + 20:
                return True
            await asyncio.sleep(0.2)
        return False

    workers.start("one")
    task = asyncio.create_task(feed())
    stuck = 0
    try:
        await flowing.wait()
        steps = ["kill"] * plan.kills + ["rebalance"] * plan.rebalances
        draw.shuffle(steps)
        joined = False
        for index, step in enumerate(steps):
            if not await resumed():
                stuck = 1
                break
            await asyncio.sleep(draw.uniform(0, 2))
            print(f"{index + 1}/{len(steps)} {step}", flush=True)
            if step == "kill":
                workers.kill("two" if joined and draw.random() < 0.5 else "one")
            elif joined:
                workers.leave("two", politely=draw.random() < 0.7)
                joined = False
            else:
                workers.start("two")
                joined = True
        feeding = False
        await task
        if not stuck:
            stuck = int(not await _all_answered(installation, feeder, workers))
    finally:
        task.cancel()
        workers.stop()
    return Outcome(plan, await prove(installation), stuck, _counted(folder))


async def _all_answered(installation: Installation, feeder: Feeder, workers: Workers) -> bool:
    for _ in range(12):
        if await installation.wait_answered(feeder.sent, patience_seconds=10):
            await asyncio.sleep(1)  # a repeat would come now
            return True
        workers.revive()
    return False


def _counted(folder: Path) -> dict[str, int]:
    """How often the workers' logs tell of something."""
    said = "".join(log.read_text(errors="replace") for log in folder.glob("*.log"))
    words = {
        "gaps": '"event": "gap"',
        "opened": "partition opened",
        "frozen": "FrozenError",
        "failures": "ended by an error",
    }
    return {name: said.count(text) for name, text in words.items()}


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--rebalances", type=int, default=12, help="joins and leaves")
    parser.add_argument("--rate", type=float, default=300, help="events a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--static", action="store_true", help="static membership")
    parser.add_argument("--no-repair", action="store_true", help="leave Faust's recovery as it is")
    parser.add_argument("--bootstrap", help="a running Kafka")
    options = parser.parse_args()
    plan = Plan(
        options.kills, options.rebalances, options.rate, options.seed, options.static, repair=not options.no_repair
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="voz-chaos-")))
        bootstrap = options.bootstrap or stack.enter_context(kafka_server(folder / "kafka")).bootstrap

        async def whole() -> Outcome:
            installation = Installation(bootstrap, f"chaos{uuid.uuid4().hex[:8]}-")
            await installation.create_topics()
            return await run(installation, folder, plan)

        outcome = asyncio.run(whole())
    print("; ".join(f"{name} {count}" for name, count in outcome.counted.items()))
    for example in outcome.proof.examples:
        print(f"wrong: {example}")
    print(json.dumps(outcome.summary()))
    return 0 if outcome.clean else 1


if __name__ == "__main__":
    sys.exit(main())
