"""The alerts on the model speak of metrics that the worker exposes, with the labels that these have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from voz_enrich.metrics import EnrichMetrics
from voz_streamkit.metrics import Metrics

from ...chaos.lexicon_model import hashed

pytestmark = pytest.mark.unit
FILE = Path(__file__).parents[3] / "deploy" / "prometheus" / "rules" / "model.yaml"
README = Path(__file__).parents[3] / "services" / "enrich" / "README.md"
METRIC = re.compile(r"\bvoz_\w+")


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def exposed() -> dict[str, set[str]]:
    """The names of its samples, with the labels of each."""
    metrics = EnrichMetrics(Metrics("enrich", registry := CollectorRegistry()))
    metrics.note_text("hash-1", hashed("a"))
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_metric_and_label_of_the_rules_is_exposed(rules: list[dict[str, Any]]) -> None:
    known = exposed()
    for rule in rules:
        named = set(METRIC.findall(rule["expr"]))
        assert named, rule["alert"]
        assert named <= set(known), rule["alert"]
        grouped = {
            label for labels in re.findall(r"(?:by|on) \(([^)]*)\)", rule["expr"]) for label in labels.split(", ")
        }
        assert grouped <= set.union(*(known[name] for name in named)), rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_every_alert_says_what_to_do(rules: list[dict[str, Any]]) -> None:
    assert len(rules) == len({rule["alert"] for rule in rules}) == 3
    for rule in rules:
        assert rule["labels"]["severity"] == "warning"
        assert set(METRIC.findall("".join(rule["annotations"].values()))) == set()
        assert len(rule["annotations"]["runbook"]) > 40
        # What is said of a series must be among its labels.
        shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert shown <= set(re.findall(r"\w+", rule["expr"]))


def test_the_readme_names_metrics_as_they_are() -> None:
    EnrichMetrics(Metrics("enrich", registry := CollectorRegistry()))
    declared = {each.name + ("_total" if each.type == "counter" else "") for each in registry.collect()}
    said = {name for name in METRIC.findall(README.read_text(encoding="utf-8")) if name.startswith("voz_enrich_")}
    assert said - {"voz_enrich_confidence_sum", "voz_enrich_confidence_count"} <= declared
