"""The alerts on the model speak of metrics that the worker exposes, with the labels that these have."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from voz_enrich.domain.signals import UNDETERMINED_LANGUAGE
from voz_enrich.metrics import EnrichMetrics
from voz_streamkit.metrics import Metrics

from ...chaos.lexicon_model import hashed

pytestmark = pytest.mark.unit
FILE = Path(__file__).parents[3] / "deploy" / "prometheus" / "rules" / "model.yaml"
STORIES = FILE.parents[1] / "tests" / FILE.name  # what `promtool test rules` plays to them
README = Path(__file__).parents[3] / "services" / "enrich" / "README.md"
METRIC = re.compile(r"\bvoz_\w+")
MATCHER = re.compile(r'(\w+)=~?"([^"]*)"')
Exposed = dict[str, dict[str, set[str]]]


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def exposed() -> Exposed:
    """The names of its samples, with the labels of each and their values."""
    metrics = EnrichMetrics(Metrics("enrich", registry := CollectorRegistry()))
    for language in (UNDETERMINED_LANGUAGE, "en", "ja"):
        metrics.note_text("one", replace(hashed("a"), language=language))
    found: Exposed = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            for label, value in sample.labels.items():
                found.setdefault(sample.name, {}).setdefault(label, set()).add(value)
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
        assert grouped <= set.union(*(set(known[name]) for name in named)), rule["alert"]
        for name, matchers in re.findall(r"(voz_\w+)\{([^}]*)\}", rule["expr"]):
            for label, values in MATCHER.findall(matchers):
                assert set(values.split("|")) <= known[name][label], rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_rules_are_tried_on_series_that_are_exposed_and_each_fires_and_keeps_still(
    rules: list[dict[str, Any]],
) -> None:
    """`tests/integration/enrich/test_alerts.py` has Prometheus try them."""
    known, fired = exposed(), set()
    stories = yaml.safe_load(STORIES.read_text(encoding="utf-8"))["tests"]
    for story in stories:
        for series in story["input_series"]:
            name, _, labels = series["series"].partition("{")
            assert {label for label, _ in MATCHER.findall(labels)} - {"instance"} == set(known[name]), story["name"]
        samples = [each for asked in story["promql_expr_test"] for each in asked.get("exp_samples", [])]
        fired.add(frozenset(re.findall(r'alertname="(\w+)", alertstate="firing"', str(samples))))
    alerts = {rule["alert"] for rule in rules}
    assert frozenset.union(*fired) == alerts
    assert frozenset() in fired  # and in the other stories only some do


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
