"""A second model that answers beside the live one, for comparison only."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from voz_enrich.domain.agreement import chosen, compared
from voz_enrich.domain.text import cleaned
from voz_enrich.metrics import EnrichMetrics
from voz_enrich.ports import Analysed, SignalModel

_log = structlog.get_logger(__name__)
WAITING_TEXTS = 256
"""Texts that wait for the shadow at most; what comes beyond is dropped. Each is cleaned, so of 4,000 characters."""
_BATCH_TEXTS = 64
_LOG_EVERY_SECONDS = 60.0
_PATIENCE_SECONDS = 5.0
_NICENESS = 10


class ShadowModel:
    """Answers a share of the texts a second time and counts where the two differ. Implements the port `Shadow`.

    Its own thread, of lower priority, opens the model and asks it. Whatever goes wrong there, a model that can't be
    opened, raises, hangs or is slow, costs comparisons and nothing else: they are dropped and counted.
    """

    def __init__(self, open_model: Callable[[], SignalModel], live: str, share: float, metrics: EnrichMetrics) -> None:
        """live: the live model's version. share: of the texts, 0..1."""
        self._open, self._live, self._share, self._metrics = open_model, live, share, metrics
        self._changed = threading.Condition()
        self._waiting: deque[Analysed] = deque()
        self._closed = False
        self._logged_at: float | None = None
        # A daemon: a model that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def offer(self, answered: Sequence[Analysed]) -> None:
        """Take those of the share, as far as there is room; see the port."""
        wanted = [
            replace(each, text=text)
            for each in answered
            if chosen(each.event_id, self._share) and (text := cleaned(each.text))
        ]
        with self._changed:
            taken = 0 if self._closed else min(len(wanted), WAITING_TEXTS - len(self._waiting))
            self._waiting.extend(wanted[:taken])
            self._changed.notify()
        self._metrics.shadow_dropped.inc(len(wanted) - taken)

    def close(self) -> None:
        """Ends the thread after the texts in its hands, or leaves it behind when that takes more than some seconds."""
        self._end()
        self._thread.join(_PATIENCE_SECONDS)
        if self._thread.is_alive():
            _log.warning("the shadow model hangs, left behind")

    def _run(self) -> None:
        _lower_priority()
        try:
            model = self._open()
        except Exception as error:
            self._metrics.shadow_errors.inc()
            _log.error("the shadow model can't be used, nothing is compared", error=str(error)[:500])
            self._end()
            return
        self._metrics.shadow.labels(self._live, model.version, f"{self._share:g}").set(1)
        while texts := self._next():
            try:
                self._compare(model, texts)
            except Exception as error:
                self._metrics.shadow_errors.inc()
                self._failed(error, len(texts))

    def _next(self) -> list[Analysed]:
        """What waits, when something does; nothing when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return [self._waiting.popleft() for _ in range(min(_BATCH_TEXTS, len(self._waiting)))]

    def _end(self) -> None:
        with self._changed:
            self._closed = True
            self._metrics.shadow_dropped.inc(len(self._waiting))
            self._waiting.clear()
            self._changed.notify()

    def _compare(self, model: SignalModel, texts: Sequence[Analysed]) -> None:
        began = time.perf_counter()
        answers = model.analyse([each.text for each in texts], [each.language_hint for each in texts])
        seconds = (time.perf_counter() - began) / len(texts)
        for each, answer in zip(texts, answers, strict=True):
            self._metrics.shadow_seconds.labels("live").observe(each.seconds)
            self._metrics.shadow_seconds.labels("shadow").observe(seconds)
            for pair in compared(each.signals, answer):  # last: whoever sees pairs finds their times, too
                self._metrics.shadow_pairs.labels(*pair).inc()

    def _failed(self, error: Exception, texts: int) -> None:
        now = time.monotonic()
        if self._logged_at is None or now - self._logged_at >= _LOG_EVERY_SECONDS:
            self._logged_at = now
            # Its class alone: a message may quote what a customer wrote.
            _log.warning("the shadow model failed", error=type(error).__name__, texts=texts)


def _lower_priority() -> None:
    """The live model goes first where cores are short. Threads that this one starts are as patient as itself."""
    if sys.platform == "linux":
        this = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, this, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, this)))
