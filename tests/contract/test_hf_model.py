"""Foreign models: checkpoints of several architectures and labels, saved as their makers save them, and broken ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from voz_enrich.adapters.outbound.bundle import find_bundle
from voz_enrich.adapters.outbound.hf_model import HfModelError, HfSentimentModel, with_neutral
from voz_enrich.adapters.outbound.models import DEFAULT_BUNDLE, open_model
from voz_enrich.domain.labels import Sentiment
from voz_enrich.ports import SignalModel

from ..chaos.lexicon_model import HashModel
from .hf_checkpoints import TEXTS, save_checkpoint, save_tokenizer

pytestmark = pytest.mark.contract
NEGATIVE, NEUTRAL, POSITIVE = Sentiment
STARS = ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]
# A text longer than any position table here, and one of tokens that no tokenizer knows.
ODD = ["waiting " * 5_000, "包裹还没到 \u202e\x00 😡", "x" * 100_000]


def opened(folder: Path, others: SignalModel | None = None, **label_map: Sentiment) -> HfSentimentModel:
    return HfSentimentModel(str(folder), label_map, others or HashModel(), threads=1)


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta", "xlm-roberta"])
def test_scores_are_those_that_transformers_itself_computes(tmp_path: Path, architecture: str) -> None:
    torch: Any = pytest.importorskip("torch", reason="the optional extra [hf] isn't installed", exc_type=ImportError)
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = save_checkpoint(tmp_path, ["negative", "neutral", "positive"], architecture=architecture)
    answers = opened(folder).analyse(TEXTS)
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for text, answer in zip(TEXTS, answers, strict=True):
        with torch.inference_mode():
            inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
            expected = model.eval()(**inputs).logits.double().softmax(-1)[0].tolist()
        assert list(answer.scores["sentiment"].values()) == pytest.approx(expected, abs=2e-4)
        assert answer.sentiment is list(Sentiment)[expected.index(max(expected))]
        assert answer.sentiment_score == pytest.approx(expected[2] - expected[0], abs=4e-4)
    assert len({answer.sentiment_score for answer in answers}) == len(TEXTS)


@pytest.mark.parametrize(("positions", "longest"), [(64, 62), (514, 128), (20, 18)])
def test_long_and_odd_texts_are_cut_to_what_the_position_table_takes(
    tmp_path: Path, positions: int, longest: int
) -> None:
    folder = save_checkpoint(
        tmp_path, ["negative", "neutral", "positive"], architecture="xlm-roberta", positions=positions
    )
    model = opened(folder)
    rows: list[int] = []
    model._model.register_forward_pre_hook(
        lambda _, __, inputs: rows.append(inputs["input_ids"].shape[1]), with_kwargs=True
    )
    assert len(model.analyse([*ODD, *TEXTS])) == len(ODD) + len(TEXTS)
    assert max(rows) == longest


@pytest.mark.parametrize(
    ("labels", "says", "expected"),
    [
        (["negative", "neutral", "positive"], 0, NEGATIVE),
        (["Positive", "Negative", "Neutral"], 2, NEUTRAL),
        (["NEG", "NEU", "POS"], 2, POSITIVE),
        (["NEGATIVE", "POSITIVE"], 0, NEGATIVE),
        (["NEGATIVE", "POSITIVE"], 1, POSITIVE),
        (["Very Negative", "Negative", "Neutral", "Positive", "Very Positive"], 0, NEGATIVE),
        *((STARS, star, expected) for star, expected in enumerate([NEGATIVE, NEGATIVE, NEUTRAL, POSITIVE, POSITIVE])),
    ],
)
def test_labels_that_speak_for_themselves(
    tmp_path: Path, labels: Sequence[str], says: int, expected: Sentiment
) -> None:
    (answer,) = opened(save_checkpoint(tmp_path, labels, says=says)).analyse(["what time do you open"])
    assert answer.sentiment is expected
    assert answer.scores["sentiment"][expected] == max(answer.scores["sentiment"].values()) > 0.9
    assert sum(answer.scores["sentiment"].values()) == pytest.approx(1, abs=1e-3)


def test_numbered_labels_need_a_map_and_follow_it(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, ["LABEL_0", "LABEL_1", "LABEL_2"], says=0)
    with pytest.raises(HfModelError, match=r"LABEL_0, LABEL_1, LABEL_2; name them in VOZ_ENRICH_LABEL_MAP"):
        opened(folder)
    (answer,) = opened(folder, LABEL_0=POSITIVE, LABEL_1=NEUTRAL, LABEL_2=NEGATIVE).analyse(TEXTS[:1])
    assert answer.sentiment is POSITIVE
    with pytest.raises(HfModelError, match=r"names label_3; the model has LABEL_0, LABEL_1, LABEL_2"):
        opened(folder, LABEL_0=POSITIVE, LABEL_1=NEUTRAL, LABEL_2=NEGATIVE, LABEL_3=NEGATIVE)


@pytest.mark.parametrize(
    ("positive", "sentiment"),
    [(0.99, POSITIVE), (0.76, POSITIVE), (0.74, NEUTRAL), (0.5, NEUTRAL), (0.26, NEUTRAL), (0.24, NEGATIVE)],
)
def test_what_a_model_of_two_sides_gives_to_both_is_neutral(positive: float, sentiment: Sentiment) -> None:
    scores = with_neutral({NEGATIVE: 1 - positive, NEUTRAL: 0, POSITIVE: positive})
    assert max(scores, key=lambda label: scores[label]) is sentiment
    assert sum(scores.values()) == pytest.approx(1)
    assert scores[POSITIVE] - scores[NEGATIVE] == pytest.approx(positive - (1 - positive))


def test_two_labels_in_a_near_tie_are_neutral(tmp_path: Path) -> None:
    torch: Any = pytest.importorskip("torch", reason="the optional extra [hf] isn't installed", exc_type=ImportError)
    model = opened(save_checkpoint(tmp_path, ["negative", "positive"], says=1))
    with torch.no_grad():
        model._model.classifier.bias[1] = 0.5  # 0.62 against 0.38
    (answer,) = model.analyse(TEXTS[:1])
    assert answer.sentiment is NEUTRAL
    assert answer.sentiment_score == pytest.approx(0.2449, abs=1e-3)


def test_other_weights_and_other_meanings_are_other_versions(tmp_path: Path) -> None:
    folders = [save_checkpoint(tmp_path / name / "stars", STARS, says=says) for name, says in (("a", 0), ("b", 1))]
    copied = shutil.copytree(folders[0], tmp_path / "c" / "stars")
    versions = [opened(folder).version for folder in (*folders, copied)]
    assert versions[0] == versions[2] != versions[1]
    assert versions[0].startswith("hf:stars@")
    assert versions[0].endswith("+hash-1")
    assert HfSentimentModel(str(folders[0]), {"3 stars": POSITIVE}, HashModel(), threads=1).version != versions[0]


def test_a_tokenizer_that_cannot_pad_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, STARS, pad_token=None)
    with pytest.raises(HfModelError, match=r"can't be loaded: .*a padding token is needed") as refused:
        opened(folder)
    assert "\n" not in str(refused.value)


def test_a_model_without_a_trained_classifier_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the optional extra [hf] isn't installed", exc_type=ImportError)
    from transformers import AutoModel

    save_checkpoint(tmp_path, STARS)
    AutoModel.from_pretrained(tmp_path).save_pretrained(tmp_path)  # its classifier is gone, as in a plain encoder
    described = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**described, "architectures": ["BertModel"]}))
    with pytest.raises(HfModelError, match=r"isn't a trained classifier: it has no weights for classifier\.bias"):
        opened(tmp_path)


def test_a_model_of_several_labels_for_a_text_is_refused(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, ["negative", "positive"], problem_type="multi_label_classification")
    with pytest.raises(HfModelError, match="several labels"):
        opened(folder)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, STARS, vocab_size=3)
    with pytest.raises(HfModelError, match="can't read a text"):
        opened(tmp_path)


@pytest.mark.parametrize("broken", ["nothing", "no model", "no tokenizer", "weights", "config", "architecture"])
def test_what_cannot_be_loaded_is_said_in_one_line(tmp_path: Path, broken: str) -> None:
    folder = save_checkpoint(tmp_path / "model", STARS)
    match broken:
        case "nothing":
            folder = tmp_path / "nowhere"
        case "no model":
            shutil.rmtree(folder)
            save_tokenizer(folder)
        case "no tokenizer":
            (folder / "tokenizer.json").unlink()
            (folder / "tokenizer_config.json").unlink()
        case "weights":
            (folder / "model.safetensors").write_bytes(b"\x00" * 64)
        case "config":
            (folder / "config.json").write_text("{")
        case "architecture":
            (folder / "config.json").write_text(json.dumps({"model_type": "no-such-thing"}))
    with pytest.raises(HfModelError) as refused:
        opened(folder)
    assert str(refused.value).startswith(f"hf:{folder} ")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500


def test_by_its_setting_it_stands_beside_the_shipped_model(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "stars", STARS, says=4)
    model, own = open_model(f"hf:{folder}", threads=1), open_model(f"bundle:{DEFAULT_BUNDLE}", threads=1)
    for theirs, ours in zip(model.analyse([*TEXTS, *ODD]), own.analyse([*TEXTS, *ODD]), strict=True):
        assert theirs.sentiment is POSITIVE
        assert (theirs.topic, theirs.intents, theirs.language) == (ours.topic, ours.intents, ours.language)
    assert model.version.endswith(f"+{own.version}")
    assert find_bundle(DEFAULT_BUNDLE).name in model.version
