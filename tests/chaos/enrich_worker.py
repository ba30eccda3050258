"""The enrich worker with a stand-in model, as a process that tests start, stop and kill.

Settings are those of `voz-enrich worker`, and
VOZ_TEST_TEXT_SECONDS: how long the stand-in takes for a text.
VOZ_TEST_FAUST_REPAIR=0: leave Faust's recovery as it is, to see the guard heal what it loses.
"""

from __future__ import annotations

import os

from voz_enrich.adapters.inbound import faust_app
from voz_enrich.config import EnrichSettings
from voz_enrich.wiring import run_worker
from voz_streamkit.logs import configure_logging
from voz_streamkit.run import read_settings, run_service

from .lexicon_model import HashModel

if __name__ == "__main__":
    settings = read_settings(EnrichSettings)
    configure_logging("enrich", settings.log_level)
    if os.environ.get("VOZ_TEST_FAUST_REPAIR") == "0":
        setattr(faust_app, "repair_recovery", lambda: None)  # noqa: B010
    model = HashModel(float(os.environ.get("VOZ_TEST_TEXT_SECONDS", "0")))
    raise SystemExit(run_service(lambda stop: run_worker(settings, model, stop)))
