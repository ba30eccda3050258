"""`voz-enrich shadow report`: how far the shadow model agrees with the live one, from the workers' metrics."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http.client import HTTPException
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

from voz_enrich.domain.agreement import Agreement, agreement

DEFAULT_URL = "http://127.0.0.1:8011/metrics"
_HEADS = ("sentiment", "emotion", "topic", "effort", "stage")
_MOST_DISAGREEMENTS = 10
_PATIENCE_SECONDS = 5.0


class ReportError(Exception):
    """There is nothing to report. Says why and what to do."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Time for each text, in milliseconds. Percentiles are estimated within the histogram's buckets."""

    mean_ms: float
    p50_ms: float
    p95_ms: float


@dataclass(slots=True)
class Counted:
    """What the workers counted, added up."""

    workers: int = 0
    models: set[tuple[str, str]] = field(default_factory=set)
    shares: set[str] = field(default_factory=set)
    pairs: defaultdict[str, Counter[tuple[str, str]]] = field(default_factory=lambda: defaultdict(Counter))
    buckets: defaultdict[str, Counter[float]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    errors: int = 0

    def add(self, exposed: str) -> None:
        """Add what one worker exposes. Raises ValueError for a text that is no exposition."""
        self.workers += 1
        for family in text_string_to_metric_families(exposed):
            for name, labels, value, *_ in family.samples:
                match name:
                    case "voz_enrich_shadow_info" if value:
                        self.models.add((labels["live"], labels["shadow"]))
                        self.shares.add(labels["share"])
                    case "voz_enrich_shadow_pairs_total":
                        self.pairs[labels["head"]][labels["live"], labels["shadow"]] += round(value)
                    case "voz_enrich_shadow_text_seconds_bucket":
                        self.buckets[labels["model"]][float(labels["le"])] += round(value)
                    case "voz_enrich_shadow_text_seconds_sum":
                        self.seconds[labels["model"]] += value  # type: ignore[assignment]  # seconds, not a count
                    case "voz_enrich_shadow_dropped_total":
                        self.dropped += round(value)
                    case "voz_enrich_shadow_errors_total":
                        self.errors += round(value)


@dataclass(frozen=True, slots=True)
class Report:
    """Two models compared."""

    live: str
    shadow: str
    share: str
    workers: int
    texts: int
    dropped: int
    errors: int
    heads: Mapping[str, Agreement]
    latency: Mapping[str, Latency]


def main(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Runs the command; 1 when there is nothing to report."""
    options = _arguments().parse_args(argv)
    try:
        made = report(counted(options.urls or default_urls(environ)))
    except ReportError as error:
        print(f"voz-enrich shadow: {error}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(made), indent=2) if options.json else table(made))
    return 0


def default_urls(environ: Mapping[str, str]) -> list[str]:
    """The enrich processes of the stack that runs here (`make up`), else a worker on its usual port."""
    file = Path(environ.get("VOZ_STATE_DIR") or ".voz") / "stack.json"
    try:
        processes = json.loads(file.read_text(encoding="utf-8"))["processes"]
        urls = [each["metrics_url"] for each in processes if each["name"].startswith("enrich") and each["metrics_url"]]
    except (OSError, ValueError, KeyError, TypeError):
        urls = []
    return urls or [DEFAULT_URL]


def counted(urls: Iterable[str]) -> Counted:
    """What these workers counted. A worker that doesn't answer is named on standard error. Raises ReportError."""
    total, silent = Counted(), []
    opener = build_opener(ProxyHandler({}))
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise ReportError(f"{url} is no URL of a worker's metrics, such as {DEFAULT_URL}")
        try:
            with opener.open(url, timeout=_PATIENCE_SECONDS) as response:
                total.add(response.read().decode())
        except (OSError, HTTPException, ValueError) as error:
            silent.append(f"{url}: {error}")
    if not total.workers:
        raise ReportError(f"no worker answers ({'; '.join(silent)}). Name the metrics of yours: URL …")
    for each in silent:
        print(f"voz-enrich shadow: left out, {each}", file=sys.stderr)
    return total


def report(total: Counted) -> Report:
    """The comparison. Raises ReportError where there is no shadow, several, or nothing compared yet."""
    if not total.models and total.errors:
        raise ReportError("the shadow model can't be used; the worker's log says why")
    if not total.models:
        raise ReportError("no shadow model runs: name one in VOZ_ENRICH_SHADOW_MODEL and start the worker again")
    if len(total.models) > 1:
        named = ", ".join(f"{live} with {shadow}" for live, shadow in sorted(total.models))
        raise ReportError(f"the workers don't compare the same models: {named}. Name those that do: URL …")
    (live, shadow), share = next(iter(total.models)), "/".join(sorted(total.shares))
    if not total.pairs:
        raise ReportError(
            f"{shadow} runs beside {live} and nothing is compared yet "
            f"(share {share}, {total.dropped} dropped, {total.errors} errors)"
        )
    heads = {head: agreement(total.pairs[head]) for head in sorted(total.pairs, key=_order)}
    return Report(
        live=live,
        shadow=shadow,
        share=share,
        workers=total.workers,
        texts=max(each.texts for each in heads.values()),
        dropped=total.dropped,
        errors=total.errors,
        heads=heads,
        latency={model: _latency(total.buckets[model], total.seconds[model]) for model in ("live", "shadow")},
    )


def table(made: Report) -> str:
    """The report for people."""
    lines = [
        f"live     {made.live}",
        f"shadow   {made.shadow}",
        f"texts    {made.texts:,} compared (share {made.share}), {made.dropped:,} dropped, {made.errors:,} errors, "
        f"{made.workers} worker{'s' if made.workers > 1 else ''}",
        "",
        f"{'head':<26}{'texts':>10}{'agreement':>12}{'kappa':>8}",
    ]
    for head, each in made.heads.items():
        kappa = "–" if each.kappa is None else f"{each.kappa:.2f}"
        lines.append(f"{head:<26}{each.texts:>10,}{_percent(each.agreement):>12}{kappa:>8}")
    lines += ["", f"{'label':<36}{'live':>10}{'shadow':>10}{'both of either':>17}"]
    for head, each in made.heads.items():
        for label in each.labels:
            name = f"{head} {label.label}"
            if not head.startswith("intents.") or label.label == "yes":
                shares = f"{_percent(label.live_share):>10}{_percent(label.shadow_share):>10}"
                lines.append(f"{name.removesuffix(' yes'):<36}{shares}{_percent(label.both_of_either):>17}")
    apart = [(each.share, head, each) for head, found in made.heads.items() for each in found.disagreements]
    lines += ["", "largest disagreements" if apart else "no disagreements"]
    for share, head, two in sorted(apart, key=lambda one: (-one[0], one[1]))[:_MOST_DISAGREEMENTS]:
        lines.append(f"  {head}: live {two.live} → shadow {two.shadow}  {_percent(share)} ({two.texts:,})")
    lines += ["", f"{'milliseconds a text':<26}{'mean':>10}{'p50':>10}{'p95':>10}"]
    for model, time in made.latency.items():
        lines.append(f"{model:<26}{time.mean_ms:>10.2f}{time.p50_ms:>10.2f}{time.p95_ms:>10.2f}")
    return "\n".join(lines)


def _latency(buckets: Mapping[float, int], seconds: float) -> Latency:
    count = buckets[math.inf]
    return Latency(
        mean_ms=1000 * seconds / count,
        p50_ms=1000 * _quantile(buckets, 0.5),
        p95_ms=1000 * _quantile(buckets, 0.95),
    )


def _quantile(buckets: Mapping[float, int], share: float) -> float:
    """As Prometheus's histogram_quantile: even within a bucket; above the last bound, that bound."""
    wanted = share * buckets[math.inf]
    low, below = 0.0, 0
    for bound, count in sorted(buckets.items()):
        if count >= wanted and math.isfinite(bound):
            return low + (bound - low) * (wanted - below) / (count - below)
        low, below = (bound if math.isfinite(bound) else low), count
    return low


def _order(head: str) -> tuple[int, str]:
    return (_HEADS.index(head) if head in _HEADS else len(_HEADS), head)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voz-enrich shadow", description="A second model beside the live one: how far the two agree."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    made = commands.add_parser(
        "report",
        help="agreement by head and label, and the time of both, from workers' metrics",
        description="Reads the metrics of the workers that run with VOZ_ENRICH_SHADOW_MODEL, adds them up and says how "
        "far the shadow agrees with the live model. Counts begin when a worker starts.",
        epilog="agreement: texts with the same label. kappa: Cohen's, agreement beyond chance (0.8 and above is "
        "strong, below 0.6 two models that read differently). both of either: of the texts to which one model or the "
        "other gave the label, those to which both did. Each intent is a question of its own, yes or no. Exit status "
        "1 when there is nothing to report.",
    )
    made.add_argument(
        "urls",
        nargs="*",
        metavar="URL",
        help=f"metrics of a worker; by default those of the running stack (.voz/stack.json), or {DEFAULT_URL}",
    )
    made.add_argument("--json", action="store_true", help="the same as one JSON object; shares in 0..1")
    return parser
