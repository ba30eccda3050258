"""A shadow model compares, and whatever happens to it costs comparisons and nothing else."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from voz_enrich.adapters.outbound.shadow import WAITING_TEXTS, ShadowModel
from voz_enrich.domain.agreement import chosen
from voz_enrich.domain.signals import TextSignals
from voz_enrich.domain.text import MAX_CHARACTERS
from voz_enrich.metrics import EnrichMetrics
from voz_enrich.ports import Analysed, SignalModel
from voz_streamkit.metrics import Metrics

from ...chaos.lexicon_model import HashModel, hashed

pytestmark = pytest.mark.unit
SECRET = "Marta Quintanilla"


class Watched(HashModel):
    """Notes what it was asked, and does something before it answers."""

    version = "hash-2"

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._before = before

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        self.texts += texts
        self._before()
        return super().analyse(texts, languages)


def make(model: SignalModel | Callable[[], SignalModel], share: float = 1.0) -> tuple[ShadowModel, CollectorRegistry]:
    shared = Metrics("enrich", CollectorRegistry())
    opened: Callable[[], SignalModel] = model if callable(model) else lambda: model
    shadow = ShadowModel(opened, "hash-1", share, EnrichMetrics(shared))
    shadow.start()
    return shadow, shared.registry


def asked(*texts: str, first: int = 0) -> list[Analysed]:
    return [
        Analysed(f"event-{number}", text, None, hashed(text), 0.002) for number, text in enumerate(texts, start=first)
    ]


def eventually(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "nothing happened for 30 s"
        time.sleep(0.005)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


def seen(registry: CollectorRegistry) -> float:
    return value(registry, "voz_enrich_shadow_text_seconds_count", model="shadow")


def test_what_both_said_is_counted_and_timed() -> None:
    shadow, registry = make(Watched())
    texts = [f"text {number}" for number in range(40)]
    shadow.offer(asked(*texts))
    eventually(lambda: seen(registry) == 40)
    shadow.close()  # which waits for the texts in its hands
    pairs = {
        (sample.labels["live"], sample.labels["shadow"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "voz_enrich_shadow_pairs_total" and sample.labels["head"] == "sentiment"
    }
    assert sum(pairs.values()) == 40
    assert all(live == other for live, other in pairs)  # one model reads as the other does
    assert value(registry, "voz_enrich_shadow_text_seconds_count", model="live") == 40
    assert value(registry, "voz_enrich_shadow_text_seconds_sum", model="live") == pytest.approx(0.08)
    assert value(registry, "voz_enrich_shadow_info", live="hash-1", shadow="hash-2", share="1") == 1
    assert value(registry, "voz_enrich_shadow_dropped_total") == 0


def test_only_the_share_is_asked_cleaned_and_where_there_is_something_to_read() -> None:
    model = Watched()
    shadow, registry = make(model, share=0.5)
    offered = asked(*(f"text\u200b {number}" for number in range(100)), "x" * 100_000, "\u202e\x00")
    wanted = [each for each in offered if chosen(each.event_id, 0.5) and each.text != "\u202e\x00"]
    shadow.offer(offered)
    eventually(lambda: seen(registry) == len(wanted))
    shadow.close()
    assert model.texts == [each.text.replace("\u200b", "")[:MAX_CHARACTERS] for each in wanted]
    assert 20 < len(wanted) < 80


def test_a_shadow_that_hangs_holds_up_nobody_and_what_it_misses_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voz_enrich.adapters.outbound.shadow._PATIENCE_SECONDS", 0.05)
    begun, let_go = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        let_go.wait()

    shadow, registry = make(Watched(hang))
    shadow.offer(asked("the first"))
    assert begun.wait(30)
    for turn in range(3):
        shadow.offer(asked(*(f"text {number}" for number in range(WAITING_TEXTS)), first=1000 * turn))
    assert value(registry, "voz_enrich_shadow_dropped_total") == 2 * WAITING_TEXTS
    with capture_logs() as logs:
        shadow.close()
    assert [log["event"] for log in logs] == ["the shadow model hangs, left behind"]
    assert value(registry, "voz_enrich_shadow_dropped_total") == 3 * WAITING_TEXTS
    shadow.offer(asked("too late"))
    assert value(registry, "voz_enrich_shadow_dropped_total") == 3 * WAITING_TEXTS + 1
    let_go.set()
    shadow.close()


def test_a_shadow_that_raises_is_counted_and_logged_once_a_minute_without_a_text() -> None:
    def fail() -> None:
        raise ValueError(f"can't read {SECRET}")

    with capture_logs() as logs:
        shadow, registry = make(Watched(fail))
        for turn in range(3):
            shadow.offer(asked(SECRET, first=turn))
            eventually(lambda: value(registry, "voz_enrich_shadow_errors_total") == turn + 1)  # noqa: B023
        shadow.close()
    assert [log["event"] for log in logs] == ["the shadow model failed"]
    assert logs[0]["error"] == "ValueError"
    assert SECRET not in str(logs)
    assert seen(registry) == 0


def test_a_shadow_that_answers_too_little_is_an_error() -> None:
    class Short(HashModel):
        def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
            return super().analyse(texts[1:])

    shadow, registry = make(Short())
    shadow.offer(asked("one", "two"))
    eventually(lambda: value(registry, "voz_enrich_shadow_errors_total") == 1)
    shadow.close()


def test_a_shadow_that_cannot_be_opened_is_said_once_and_nothing_waits_for_it() -> None:
    def nothing() -> SignalModel:
        raise FileNotFoundError("no bundle nothing-9")

    with capture_logs() as logs:
        shadow, registry = make(nothing)
        eventually(lambda: value(registry, "voz_enrich_shadow_errors_total") == 1)
        shadow._thread.join(30)
        shadow.offer(asked("one", "two"))
        shadow.close()
    assert "nothing-9" in logs[0]["error"]
    assert value(registry, "voz_enrich_shadow_dropped_total") == 2


def test_it_runs_after_the_live_model_has_had_its_share_of_the_cores() -> None:
    at_work: list[int] = []
    model = Watched(lambda: at_work.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
    shadow, registry = make(model)
    shadow.offer(asked("one"))
    eventually(lambda: seen(registry) == 1)
    shadow.close()
    assert at_work == [max(10, os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))]
