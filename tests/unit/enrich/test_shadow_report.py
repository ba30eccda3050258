"""`voz-enrich shadow report` over metrics as workers expose and serve them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, start_http_server

from voz_devstack.ports import allocate_ports
from voz_devstack.stackfile import Process, StackInfo
from voz_enrich.domain.agreement import compared
from voz_enrich.main import main
from voz_enrich.metrics import EnrichMetrics
from voz_enrich.shadow import DEFAULT_URL, default_urls
from voz_streamkit.metrics import Metrics

from ...chaos.lexicon_model import hashed

pytestmark = pytest.mark.unit
Serve = Callable[[CollectorRegistry], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves a worker's metrics until the test ends; returns the URL."""
    with ExitStack() as stack:

        def served(registry: CollectorRegistry) -> str:
            server, thread = start_http_server(0, "127.0.0.1", registry=registry)
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}/metrics"

        yield served


def worker(*sentiments: tuple[str, str, int], shadow: str | None = "hash-2") -> CollectorRegistry:
    """A worker that compared so many texts: (live, shadow, texts)."""
    shared = Metrics("enrich", CollectorRegistry())
    metrics = EnrichMetrics(shared)
    if shadow is not None:
        metrics.shadow.labels("hash-1", shadow, "0.1").set(1)
    for live, other, texts in sentiments:
        metrics.shadow_pairs.labels("sentiment", live, other).inc(texts)
        for _ in range(texts):
            metrics.shadow_seconds.labels("live").observe(0.004)
            metrics.shadow_seconds.labels("shadow").observe(0.04)
    metrics.shadow_dropped.inc(3)
    return shared.registry


def test_workers_are_added_up(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    one = serve(worker(("negative", "negative", 60), ("negative", "neutral", 12)))
    two = serve(worker(("positive", "positive", 28)))
    assert main(["shadow", "report", one, two, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["live"], said["shadow"], said["workers"], said["texts"], said["dropped"]) == (
        "hash-1", "hash-2", 2, 100, 6,
    )  # fmt: skip
    sentiment = said["heads"]["sentiment"]
    assert sentiment["agreement"] == 0.88
    # By chance: 0.72 * 0.6 + 0.28 * 0.28 = 0.5104.
    assert sentiment["kappa"] == pytest.approx((0.88 - 0.5104) / (1 - 0.5104))
    assert sentiment["disagreements"] == [{"live": "negative", "shadow": "neutral", "texts": 12, "share": 0.12}]
    assert said["latency"]["live"]["mean_ms"] == pytest.approx(4)
    assert 25 < said["latency"]["shadow"]["p95_ms"] < 50


def test_the_table_says_it_to_people(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    registry = worker(("negative", "neutral", 12), ("negative", "negative", 88))
    assert main(["shadow", "report", serve(registry)]) == 0
    table = capsys.readouterr().out
    assert "100 compared (share 0.1), 3 dropped, 0 errors, 1 worker" in table
    assert "sentiment: live negative → shadow neutral  12.0% (12)" in table
    assert next(line.split()[2:] for line in table.splitlines() if line.startswith("sentiment  ")) == ["88.0%", "0.00"]
    assert next(line.split()[2:] for line in table.splitlines() if line.startswith("sentiment negative")) == [
        "100.0%",
        "88.0%",
        "88.0%",
    ]


def test_intents_are_one_line_each(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    registry = CollectorRegistry()
    metrics = EnrichMetrics(Metrics("enrich", registry))
    metrics.shadow.labels("hash-1", "hash-2", "1").set(1)
    for number in range(50):
        for pair in compared(hashed(f"live {number}"), hashed(f"shadow {number}")):
            metrics.shadow_pairs.labels(*pair).inc()
        for model in ("live", "shadow"):
            metrics.shadow_seconds.labels(model).observe(0.001)
    assert main(["shadow", "report", serve(registry)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("intents.complaint ") for line in table) == 2
    heads = [line.split()[0] for line in table[4:] if line.split()[1:2] == ["50"]]
    assert heads[:6] == ["sentiment", "emotion", "topic", "effort", "stage", "intents.churn_risk"]


@pytest.mark.parametrize(
    ("registry", "said"),
    [
        (worker(shadow=None), "no shadow model runs: name one in VOZ_ENRICH_SHADOW_MODEL"),
        (worker(), "nothing is compared yet (share 0.1, 3 dropped, 0 errors)"),
    ],
)
def test_nothing_to_report_is_said_plainly(
    serve: Serve, capsys: pytest.CaptureFixture[str], registry: CollectorRegistry, said: str
) -> None:
    assert main(["shadow", "report", serve(registry)]) == 1
    assert said in capsys.readouterr().err


def test_a_shadow_that_could_not_be_opened_is_told_from_none(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    shared = Metrics("enrich", CollectorRegistry())
    EnrichMetrics(shared).shadow_errors.inc()
    assert main(["shadow", "report", serve(shared.registry)]) == 1
    assert "the worker's log says why" in capsys.readouterr().err


def test_two_comparisons_are_not_mixed(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    urls = [serve(worker(("negative", "negative", 1), shadow=shadow)) for shadow in ("hash-2", "hash-3")]
    assert main(["shadow", "report", *urls]) == 1
    assert "hash-1 with hash-2, hash-1 with hash-3" in capsys.readouterr().err


def test_one_that_is_silent_is_left_out_and_named(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = f"http://127.0.0.1:{allocate_ports(['nobody'])['nobody']}/metrics"
    assert main(["shadow", "report", nobody, serve(worker(("negative", "negative", 1)))]) == 0
    assert f"left out, {nobody}: " in capsys.readouterr().err
    assert main(["shadow", "report", nobody]) == 1
    assert "no worker answers" in capsys.readouterr().err
    assert main(["shadow", "report", "file:///etc/hostname"]) == 1
    assert "is no URL" in capsys.readouterr().err


def test_the_running_stack_is_asked_by_itself(tmp_path: Path) -> None:
    stack = StackInfo(
        "demo", None, "k", "", "p", "i", "r", "m",
        (
            Process("enrich", 1, "http://127.0.0.1:6/metrics"),
            Process("ingest", 2, "http://127.0.0.1:7/metrics"),
            Process("enrich-2", 3, "http://127.0.0.1:8/metrics"),
            Process("kafka", 4, None),
        ),
    )  # fmt: skip
    assert default_urls({"VOZ_STATE_DIR": str(tmp_path)}) == [DEFAULT_URL]
    (tmp_path / "stack.json").write_text(stack.as_json())
    assert default_urls({"VOZ_STATE_DIR": str(tmp_path)}) == [
        "http://127.0.0.1:6/metrics",
        "http://127.0.0.1:8/metrics",
    ]
    (tmp_path / "stack.json").write_text("{}")
    assert default_urls({"VOZ_STATE_DIR": str(tmp_path)}) == [DEFAULT_URL]


def test_help_helps(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in ((["shadow", "--help"], "report"), (["shadow", "report", "--help"], "both of either")):
        with pytest.raises(SystemExit, match="0"):
            main(arguments)
        assert said in " ".join(capsys.readouterr().out.split())
