"""Which model a setting names, and how a foreign model's labels become sentiments."""

import sys
from pathlib import Path

import pytest

from voz_enrich.adapters.outbound.bundle import BundleError
from voz_enrich.adapters.outbound.hf_model import HfModelError, map_labels, parse_label_map
from voz_enrich.adapters.outbound.models import DEFAULT_BUNDLE, open_model
from voz_enrich.domain.labels import Sentiment

pytestmark = pytest.mark.unit

NEGATIVE, NEUTRAL, POSITIVE = Sentiment


@pytest.mark.parametrize(
    ("labels", "sentiments"),
    [
        (["negative", "neutral", "positive"], [NEGATIVE, NEUTRAL, POSITIVE]),
        (["POS", "NEU", "NEG"], [POSITIVE, NEUTRAL, NEGATIVE]),
        (["NEGATIVE", "POSITIVE"], [NEGATIVE, POSITIVE]),
        (["1 star", "2 stars", "3 stars", "4 stars", "5 stars"], [NEGATIVE, NEGATIVE, NEUTRAL, POSITIVE, POSITIVE]),
    ],
)
def test_labels_that_speak_for_themselves(labels: list[str], sentiments: list[Sentiment]) -> None:
    assert map_labels(dict(enumerate(labels)), {}) == sentiments


def test_the_map_goes_before_a_name() -> None:
    assert map_labels({0: "LABEL_0", 1: "LABEL_1"}, parse_label_map("label_0=positive, LABEL_1 = negative")) == [
        POSITIVE,
        NEGATIVE,
    ]
    assert map_labels({0: "negative", 1: "positive"}, {"negative": POSITIVE, "positive": NEGATIVE}) == [
        POSITIVE,
        NEGATIVE,
    ]


def test_a_label_without_a_sentiment_is_named_with_what_to_do() -> None:
    with pytest.raises(HfModelError, match=r"LABEL_1; name them in VOZ_ENRICH_LABEL_MAP.*LABEL_0=negative"):
        map_labels({0: "LABEL_0", 1: "LABEL_1"}, {"LABEL_0": NEGATIVE})


def test_a_model_that_never_says_positive_is_refused() -> None:
    with pytest.raises(HfModelError, match="no label means positive"):
        map_labels({0: "toxic", 1: "neutral"}, {"toxic": NEGATIVE})


@pytest.mark.parametrize(
    "text", ["LABEL_0=negative,LABEL_1=positive", '{"LABEL_0": "negative", "LABEL_1": "positive"}']
)
def test_both_forms_of_a_label_map(text: str) -> None:
    assert parse_label_map(text) == {"LABEL_0": NEGATIVE, "LABEL_1": POSITIVE}
    assert parse_label_map("") == {}


@pytest.mark.parametrize("text", ["LABEL_0", "LABEL_0=angry", "{", '{"a": 1}', "=,="])
def test_a_broken_label_map_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_label_map(text)


@pytest.mark.parametrize("name", [DEFAULT_BUNDLE, "hf:", "bundle:", "onnx:x", ""])
def test_a_name_of_no_kind_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no model"):
        open_model(name, threads=1)


def test_a_bundle_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle nothing-9"):
        open_model("bundle:nothing-9", threads=1, models_dir=tmp_path)


@pytest.mark.parametrize("absent", ["torch", "transformers"])
def test_without_the_extra_the_reply_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    monkeypatch.setitem(sys.modules, absent, None)  # as if it weren't installed
    with pytest.raises(HfModelError, match=r"needs torch and transformers.*voz-enrich\[hf\]"):
        open_model("hf:some/model", threads=1)
