"""Temperatures, thresholds and the calibration error, on figures that can be worked out by hand."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the optional extra [train] isn't installed", exc_type=ImportError)
pytest.importorskip("sklearn", reason="the optional extra [train] isn't installed", exc_type=ImportError)

from calibration import Classes, Floats, expected_calibration_error, many_labels, one_label, readings

pytestmark = pytest.mark.unit


def truthful() -> tuple[Floats, Classes]:
    """Logits whose softmax is exactly how often each label is right, and what is right, by rows."""
    counts = [(70, 20, 10), (15, 80, 5), (30, 30, 40)]
    logits = np.concatenate([np.tile(np.log(row), (100, 1)) for row in counts])
    return logits, np.concatenate([np.repeat(np.arange(3), row) for row in counts])


def likelihood(logits: Floats, classes: Classes) -> float:
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return float(np.log(shares[np.arange(len(classes)), classes]).mean())


@pytest.mark.parametrize("factor", [0.5, 2.5])
def test_a_temperature_undoes_too_much_and_too_little_confidence(factor: float) -> None:
    logits, classes = truthful()
    distorted = logits * factor
    temperature = one_label(distorted, classes).temperature
    assert temperature == pytest.approx(factor, abs=0.01)
    assert likelihood(distorted / temperature, classes) > likelihood(distorted, classes)
    assert np.array_equal(np.argsort(distorted / temperature), np.argsort(distorted))


def test_a_temperature_stays_in_its_bounds_and_never_turns_the_order_round() -> None:
    logits, classes = truthful()
    assert 0.2 <= one_label(logits * 1000, classes).temperature <= 5
    assert 0.2 <= one_label(-logits, classes).temperature <= 5


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_each_intent_has_the_threshold_of_its_best_f1_half_way_to_a_half(factor: float) -> None:
    """By label, (its share, how many of 100 have it). The first label: counting from 0.8 gives F1 160/215, from 0.31
    on 222/316, so 0.32 is the first best step; the second: counting from 0.45 on gives 250/330, from 0.8 only 160/230,
    so 0.2 is."""
    groups = [[(0.8, 80), (0.31, 31), (0.05, 5)], [(0.8, 80), (0.45, 45), (0.05, 5)]]
    shares = np.array([np.repeat([share for share, _ in label], 100) for label in groups]).T
    present = np.array(
        [np.concatenate([np.arange(100) < count for _, count in label]).astype(float) for label in groups]
    ).T
    reading = many_labels(factor * np.log(shares / (1 - shares)), present)
    assert reading.temperature == pytest.approx(factor, abs=0.01)
    assert reading.thresholds == (0.41, 0.35)


def test_the_calibration_error_is_the_gap_in_each_tenth_by_how_many_are_there() -> None:
    shares = np.array([0.95, 0.95, 1.0, 0.65, 0.65])
    right = np.array([True, False, True, True, False])
    # 0.9..1: says 0.9667, is 0.6667, three of five; 0.6..0.7: says 0.65, is 0.5, two of five
    assert expected_calibration_error(shares, right) == pytest.approx(0.3 * 3 / 5 + 0.15 * 2 / 5)
    assert expected_calibration_error(shares, right, bins=1) == pytest.approx(0.84 - 0.6)
    assert expected_calibration_error(np.ones(4), np.zeros(4, dtype=bool)) == 1


def test_a_head_is_read_by_the_rows_whose_label_is_known() -> None:
    logits, classes = truthful()
    misleading = np.tile([0.0, 0.0, 50.0], (40, 1))
    intents = np.random.default_rng(1).normal(size=(len(logits) + 40, 2))
    found = readings(
        {"sentiment": np.concatenate([logits, misleading]), "intents": intents},
        {"sentiment": np.concatenate([classes, np.full(40, -100)])},
        (intents > 0).astype(float),
    )
    assert found["sentiment"] == one_label(logits, classes)
    assert found["sentiment"].thresholds == ()
    assert len(found["intents"].thresholds) == 2
