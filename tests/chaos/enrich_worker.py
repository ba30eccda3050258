"""The enrich worker with a stand-in model, as a process that tests start, stop and kill.

Settings are those of `voz-enrich worker`, and
VOZ_TEST_MODEL=settings: no stand-in, but the model that the settings name.
VOZ_TEST_TEXT_SECONDS: how long the stand-in takes for a text.
VOZ_TEST_FAILING_WORD: the stand-in raises on texts with this word, and quotes them.
VOZ_TEST_SHADOW: a shadow that `answers` (otherwise than the stand-in), `raises` or `hangs`.
VOZ_TEST_FAUST_REPAIR=0: leave Faust's recovery as it is, to see the guard heal what it loses.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

from voz_enrich.adapters.inbound import faust_app
from voz_enrich.config import EnrichSettings
from voz_enrich.domain.signals import TextSignals
from voz_enrich.main import main
from voz_enrich.ports import SignalModel
from voz_enrich.wiring import run_worker
from voz_streamkit.logs import configure_logging
from voz_streamkit.run import read_settings, run_service

from .lexicon_model import HashModel


class FailingModel(HashModel):
    """Raises on texts with a word in them, and quotes them."""

    def __init__(self, seconds_per_text: float, word: str) -> None:
        super().__init__(seconds_per_text)
        self._word = word

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        """One answer for each text."""
        if any(self._word in text for text in texts):
            raise ValueError(f"can't read {texts}")
        return super().analyse(texts, languages)


class ShadowStandIn(HashModel):
    """Reads texts backwards, raises or hangs."""

    version = "hash-2"

    def __init__(self, manner: str) -> None:
        super().__init__()
        self._manner = manner

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        """One answer for each text, if any."""
        if self._manner == "raises":
            raise ValueError(f"can't read {texts}")
        if self._manner == "hangs":
            threading.Event().wait()
        return super().analyse([text[::-1] for text in texts], languages)


def shadow_of(manner: str) -> Callable[[], SignalModel] | None:
    """How to open the shadow that VOZ_TEST_SHADOW names."""
    return (lambda: ShadowStandIn(manner)) if manner else None


if __name__ == "__main__":
    if os.environ.get("VOZ_TEST_MODEL") == "settings":
        raise SystemExit(main(["worker"]))
    settings = read_settings(EnrichSettings)
    configure_logging("enrich", settings.log_level)
    if os.environ.get("VOZ_TEST_FAUST_REPAIR") == "0":
        setattr(faust_app, "repair_recovery", lambda: None)  # noqa: B010
    seconds, word = float(os.environ.get("VOZ_TEST_TEXT_SECONDS", "0")), os.environ.get("VOZ_TEST_FAILING_WORD")
    model = HashModel(seconds) if word is None else FailingModel(seconds, word)
    shadow = shadow_of(os.environ.get("VOZ_TEST_SHADOW", ""))
    raise SystemExit(run_service(lambda stop: run_worker(settings, model, stop, shadow)))
