"""Simulated customers: each lives one story, many at a time, as events in the plain JSON form of `POST /v1/events`.

Pure and deterministic: the same stories, seed, run and crowd give the same events in the same order. When an event is
sent is the sender's business; between the steps of a story there is less for hours and days than in life, but what is
longer in the story is longer here.
"""

from __future__ import annotations

import heapq
import math
import random
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from voz_devstack.stories import (
    SCALES,
    Behaviour,
    Message,
    Reply,
    Step,
    Story,
    Subscription,
    SurveyAnswer,
    Ticket,
    Transaction,
    What,
)

SOURCE = "simulator"
# Followers: most have few, some have very many (Pareto).
_REACH_SCALE, _REACH_SHAPE, _REACH_LIMIT = 30, 1.1, 50_000
_FIVE_MINUTES = timedelta(minutes=5)
# Letters that Unicode doesn't take apart into an ASCII letter and a mark.
_LETTERS = str.maketrans({"ı": "i", "ß": "ss", "ø": "o", "æ": "ae", "œ": "oe"})


@dataclass(frozen=True)
class SimulatedCustomer:
    """Somebody who lives a story."""

    id: str
    handle: str
    name: str
    reach: int
    story: Story


@dataclass(frozen=True)
class Happening:
    """One event of one customer. `body` lacks `occurred_at`: whoever sends it knows the time."""

    customer: SimulatedCustomer
    step: int
    body: dict[str, Any]


def simulate(stories: Sequence[Story], *, seed: int, run: str, crowd: int) -> Iterator[Happening]:
    """Events without end, of `crowd` customers at a time; one who has come to the end makes room for the next.

    `run` stands in every id: another run's events are other events, of other customers. Every story is told before
    one is told again.
    """
    chance = random.Random(seed)
    arrivals = _arrivals(stories, chance, run)
    # (when in the crowd's time, order of pushing, customer, step); the order keeps ties deterministic.
    due: list[tuple[float, int, SimulatedCustomer, int]] = []
    pushed = 0
    for _ in range(crowd):
        # They come one after the other, not all at once.
        heapq.heappush(due, (chance.uniform(0, 10), pushed, next(arrivals), 0))
        pushed += 1
    while True:
        now, _, customer, number = heapq.heappop(due)
        yield Happening(customer, number, _body(customer, number, run))
        if number + 1 < len(customer.story.steps):
            wait = _wait(customer.story.steps[number + 1], chance)
            heapq.heappush(due, (now + wait, pushed, customer, number + 1))
        else:
            heapq.heappush(due, (now + chance.uniform(0, 2), pushed, next(arrivals), 0))
        pushed += 1


def _arrivals(stories: Sequence[Story], chance: random.Random, run: str) -> Iterator[SimulatedCustomer]:
    number = 0
    while True:
        for story in chance.sample(stories, len(stories)):
            number += 1
            given, family = chance.choice(story.cast.given[story.voice]), chance.choice(story.cast.family)
            reach = int(_REACH_SCALE * chance.paretovariate(_REACH_SHAPE))
            yield SimulatedCustomer(
                id=f"{run}-c{number}",
                handle=f"@{_ascii(given)}.{_ascii(family)}{number}",
                name=f"{given} {family}",
                reach=min(reach, _REACH_LIMIT),
                story=story,
            )


def _wait(step: Step, chance: random.Random) -> float:
    """In the crowd's time: 1 for five minutes, 5 for two hours, 10 for three days, more or less."""
    return math.log2(1 + step.after / _FIVE_MINUTES) * chance.uniform(0.5, 1.5)


def _body(customer: SimulatedCustomer, number: int, run: str) -> dict[str, Any]:
    story = customer.story
    what = story.steps[number].what
    body: dict[str, Any] = {
        "id": f"{customer.id}-{number}",
        "source": SOURCE,
        "channel": _channel(story, number),
        "customer": {
            "id": customer.id,
            "handle": customer.handle,
            "name": customer.name,
            "reach": customer.reach,
        },
        "conversation": {"id": f"{customer.id}-talk"},
        "attributes": dict(story.attributes),
        "language": story.language,
        **_payload(what, customer),
    }
    if isinstance(what, Reply):
        body["direction"] = "outbound"
        body["conversation"]["reply_to"] = f"{customer.id}-{_last_message(story, number)}"
    return body


def _payload(what: What, customer: SimulatedCustomer) -> dict[str, Any]:
    match what:
        case Message(text=text) | Reply(text=text):
            return {"text": text}
        case SurveyAnswer(metric, score, comment):
            lowest, highest = SCALES[metric]
            survey = {"metric": metric, "score": score, "scale": {"min": lowest, "max": highest}}
            return {"survey": {**survey, "comment": comment} if comment else survey}
        case Transaction(kind, amount, currency):
            order = f"{customer.id}-order"
            return {"transaction": {"type": kind, "amount": amount, "currency": currency, "order_id": order}}
        case Subscription(status, plan):
            return {"subscription": {"status": status, "plan": plan}}
        case Behaviour(kind, url, element):
            behaviour = {"type": kind, "url": url}
            return {"behaviour": {**behaviour, "element": element} if element else behaviour}
        case Ticket(status, priority):
            return {"ticket": {"id": f"{customer.id}-ticket", "status": status, "priority": priority}}


def _channel(story: Story, number: int) -> str:
    """Where it happens: what isn't said somewhere has its own place, or that of what was said last."""
    match story.steps[number].what:
        case Message(channel=channel):
            return channel
        case SurveyAnswer():
            return "survey"
        case Ticket():
            return "ticket"
        case Subscription():
            return "crm"
        case Behaviour():
            return "app" if story.attributes.get("product") == "app" else "web"
        case Transaction() | Reply():
            last = _last_message(story, number)
            said = story.steps[last].what if last is not None else None
            channel = said.channel if isinstance(said, Message) else "web"
            return channel if isinstance(story.steps[number].what, Reply) or channel == "store" else "web"


def _last_message(story: Story, number: int) -> int | None:
    """The number of the customer's last message before this step."""
    before = (n for n in range(number - 1, -1, -1) if isinstance(story.steps[n].what, Message))
    return next(before, None)


def _ascii(name: str) -> str:
    apart = unicodedata.normalize("NFKD", name.lower().translate(_LETTERS))
    return "".join(letter for letter in apart if letter.isascii() and letter.isalnum())
