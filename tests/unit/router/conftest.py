"""Events, policies and a time to build cases from."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from voz_router.domain.events import Customer, Event, Signals
from voz_router.domain.policy import Conditions, Policy, Queue, Rule

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
MakeEvent = Callable[..., Event]


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def event() -> MakeEvent:
    """Makes an inbound message by Ana; names of signals go to the signals."""

    def make(**given: Any) -> Event:
        plain = Event(
            id=uuid.uuid4(),
            tenant="acme",
            source="api",
            channel="social",
            kind="message",
            audience="customer",
            direction="inbound",
            customer=Customer(key="ana", id="c-42"),
            occurred_at=NOW,
            signals=Signals(),
            text="Tercera vez que se cae la app al pagar",
        )
        signals = {name: given.pop(name) for name in list(given) if name in Signals.__slots__ and name != "stage"}
        return replace(plain, **given, signals=Signals(**signals))

    return make


@pytest.fixture
def policy() -> Policy:
    """Churn to retention before complaints to care; praise is not acted upon; spam per topic to moderation."""

    def when(**intents: str) -> Conditions:
        mine = {"direction": frozenset({"inbound"}), "audience": frozenset({"customer"})}
        return Conditions(words=mine, intents_any=frozenset(intents.values()))

    queues = [Queue("retention", timedelta(hours=1)), Queue("care", timedelta(hours=8)), Queue("ideas", timedelta(3))]
    return Policy(
        version="7+abc",
        queues={queue.name: queue for queue in queues},
        rules=(
            Rule("churn", when(any="churn_risk"), True, "The customer is leaving", "retention"),
            Rule("complaint", when(any="complaint"), True, "A complaint", "care"),
            Rule("idea", when(any="suggestion"), True, "An idea", "ideas", case_per="customer_topic"),
            Rule("praise", when(any="praise"), False, "Happy, nothing to be done"),
        ),
    )
