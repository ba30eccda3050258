"""Simulated agents: they take cases of simulated customers from the queues by the router's HTTP interface."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voz_devstack.clients import BusyError, ConflictError, RouterClient
from voz_devstack.places import SOURCES
from voz_devstack.stories import Story

_NAMES = ("marta", "tom", "aisha", "paulo", "camille", "jonas", "giulia", "ines")
_ADVOCATES = "advocates"
_LOOK_EVERY_SECONDS = 0.5
_REOPENED_SHARE = 1 / 12
# For a case whose story isn't known here, such as one that an earlier run left.
NOTES = {
    "de": "Kunde angerufen, Anliegen geklärt.",
    "en": "Called the customer, sorted.",
    "es": "Llamado al cliente, resuelto.",
    "fr": "Client rappelé, demande traitée.",
    "it": "Cliente richiamato, risolto.",
    "pt": "Cliente contactado, resolvido.",
}
REOPENED = {
    "de": "Die Kundin schreibt, dass es noch nicht geht.",
    "en": "The customer writes that it still isn't right.",
    "es": "Escribe que sigue igual; lo retomo.",
    "fr": "La personne signale que rien n'a changé.",
    "it": "Scrive che il problema c'è ancora.",
    "pt": "Escreveu a dizer que continua na mesma.",
}


@dataclass
class Desk:
    """Some agents and what they know: which customer lives which story (filled while customers appear)."""

    router: RouterClient
    agents: int
    chance: random.Random
    run_id: str
    stories: dict[str, Story] = field(default_factory=dict)
    resolved: int = 0
    _taken: set[str] = field(default_factory=set)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; each agent then still finishes the case in hand."""
        waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(self.agents)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look(waiting, stop))
            for number in range(self.agents):
                name = _NAMES[number % len(_NAMES)] + ("" if number < len(_NAMES) else str(number))
                group.create_task(self._work(name, waiting, stop))

    async def _look(self, waiting: asyncio.Queue[dict[str, Any]], stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                for queue in await self.router.queues():
                    if queue.waiting and not waiting.full():
                        await self._hand_out(await self.router.open_cases(queue.name), waiting, stop)
            except BusyError:
                pass  # the router is away; the next look will tell
            await _pause(_LOOK_EVERY_SECONDS, stop)

    async def _hand_out(
        self, cases: list[dict[str, Any]], waiting: asyncio.Queue[dict[str, Any]], stop: asyncio.Event
    ) -> None:
        for case in cases:
            # Only simulated customers: on a stack that is in use there are others, whom real people answer.
            if case["source"] not in SOURCES or case["id"] in self._taken or waiting.full() or stop.is_set():
                continue
            self._taken.add(case["id"])
            waiting.put_nowait(case)

    async def _work(self, agent: str, waiting: asyncio.Queue[dict[str, Any]], stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                case = await asyncio.wait_for(waiting.get(), _LOOK_EVERY_SECONDS)
            except TimeoutError:
                continue
            try:
                await self._handle(agent, case)
            except ConflictError:
                pass  # somebody else was quicker
            except BusyError:
                self._taken.discard(case["id"])

    async def _handle(self, agent: str, case: Mapping[str, Any]) -> None:
        language = case["signals"]["language"] or "en"
        await self._solve(agent, case, language, 1)
        if self.chance.random() < _REOPENED_SHARE:
            await self._think()
            await self._act(case, "reopen", 2, agent=agent, reason=REOPENED.get(language, REOPENED["en"]))
            await self._solve(agent, case, language, 3)
        self.resolved += 1

    async def _solve(self, agent: str, case: Mapping[str, Any], language: str, turn: int) -> None:
        customer = case["customer"]
        story = self.stories.get(customer["id"] or customer["handle"] or "")
        note = story.note if story else NOTES.get(language, NOTES["en"])
        outcome = "thanked" if case["queue"] == _ADVOCATES else story.outcome if story else "solved"
        await self._act(case, "claim", turn, agent=agent)
        await self._think()
        await self._act(case, "notes", turn, agent=agent, text=note)
        await self._think()
        await self._act(case, "resolve", turn, agent=agent, outcome=outcome)

    async def _act(self, case: Mapping[str, Any], call: str, turn: int, agent: str, **body: str) -> None:
        # A repetition after a lost answer is the same act.
        key = f"{self.run_id}/{case['id']}/{turn}/{call}"
        await self.router.act(case["id"], call, key, agent=agent, **body)

    async def _think(self) -> None:
        await asyncio.sleep(self.chance.uniform(0.3, 1.2))


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        pass
