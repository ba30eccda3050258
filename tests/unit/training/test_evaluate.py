"""The figure that every head is judged by."""

from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("onnx", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("scipy", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("sklearn", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("torch", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("tqdm", reason="the optional extra [train] isn't installed", exc_type=ImportError)

from corpus import Message
from evaluate import beside_table, by_group, macro_f1
from sets import Example

pytestmark = pytest.mark.unit


def judged(example: Example, answer: Mapping[str, Any], language: str = "en") -> tuple[Message, Mapping[str, Any]]:
    return Message("m", language, "email", example), answer


def test_macro_f1_of_one_label_is_the_mean_over_the_labels_that_are_wanted_or_answered() -> None:
    wanted = ["negative", "negative", "negative", "neutral"]
    answered = ["negative", "negative", "positive", "neutral"]
    pairs = [
        judged(Example("t", {"sentiment": right}), {"sentiment": answer})
        for right, answer in zip(wanted, answered, strict=True)
    ]
    # negative: precision 1, recall 2/3; neutral: 1; positive, which nobody has: 0
    assert macro_f1("sentiment", pairs) == pytest.approx(100 * (0.8 + 1 + 0) / 3)
    assert macro_f1("sentiment", pairs[:2]) == 100  # only the one label that is there
    unknown = judged(Example("t", {"topic": "billing"}), {"sentiment": "positive"})
    assert macro_f1("sentiment", [*pairs, unknown]) == macro_f1("sentiment", pairs)


def test_macro_f1_of_intents_is_the_mean_over_all_nine() -> None:
    pairs = [
        judged(Example("t", intents=frozenset({"praise", "question"})), {"intents": {"praise"}}),
        judged(Example("t", intents=frozenset({"praise"})), {"intents": {"praise", "request"}}),
        judged(Example("t", intents=frozenset({"question"})), {"intents": {"question"}}),
    ]
    # praise: 1; question: precision 1, recall 1/2; request: 0; six that nobody has nor got: 0
    assert macro_f1("intents", pairs) == pytest.approx(100 * (1 + 2 / 3) / 9)


def test_a_head_that_no_message_of_a_group_tells_of_has_no_figure_there() -> None:
    labels = {"sentiment": "neutral", "emotion": "none", "topic": "billing", "effort": "normal", "stage": "use"}
    answer = {**labels, "intents": set()}
    spam = {head: label for head, label in labels.items() if head != "stage"}
    pairs = [judged(Example("t", labels), answer, "de"), judged(Example("t", spam), answer, "en")]
    assert macro_f1("stage", pairs[1:]) is None
    lines = by_group(pairs, lambda message: message.language).splitlines()
    assert "| head | de | en | all |" in lines
    assert "| topic | 100 | 100 | 100.0 |" in lines
    assert "| stage | 100 |  | 100.0 |" in lines
    beside = beside_table({"one": (pairs[1:], {("airline tweets", "en"): 71.5})}).splitlines()
    assert beside[2] == "| one | 100.0 | 100.0 | 0.0 | 100.0 | 100.0 |  |  | 71.5 |  |"
