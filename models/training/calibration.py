"""How logits are read: temperatures and thresholds, found on rows that nothing was trained on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.metrics import f1_score

Floats = npt.NDArray[np.floating]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """temperature: divides logits. thresholds: from which probability a label counts, for a head of many labels."""

    temperature: float
    thresholds: tuple[float, ...] = ()


def one_label(logits: Floats, classes: Classes) -> Reading:
    """The temperature that makes the right answers as likely as can be (Guo et al., ICML 2017). logits [rows, labels];
    classes [rows]."""

    def surprise(temperature: float) -> float:
        scaled = logits / temperature
        top = scaled.max(axis=1, keepdims=True)
        total = np.log(np.exp(scaled - top).sum(axis=1)) + top[:, 0]
        return float((total - scaled[np.arange(len(classes)), classes]).mean())

    return Reading(_least(surprise))


def many_labels(logits: Floats, present: Floats) -> Reading:
    """The same for labels that don't exclude each other, [rows, labels]; and for each label the threshold with the best
    F1, half-way to 0.5, since few rows chose it."""

    def surprise(temperature: float) -> float:
        scaled = logits / temperature
        return float((np.logaddexp(0.0, scaled) - present * scaled).mean())

    temperature = _least(surprise)
    shares = 1.0 / (1.0 + np.exp(-logits / temperature))
    steps = np.arange(0.2, 0.71, 0.02)
    best = [
        steps[int(np.argmax([f1_score(truth, share >= step) for step in steps]))]
        for truth, share in zip(present.T > 0, shares.T, strict=True)
    ]
    return Reading(temperature, tuple(round((float(step) + 0.5) / 2, 3) for step in best))


def expected_calibration_error(shares: Floats, right: npt.NDArray[np.bool_], bins: int = 10) -> float:
    """How far confidence and success are apart, weighted by how often (Naeini et al., AAAI 2015), 0..1. shares: the
    probability of the chosen label, [rows]."""
    places = bin_of(shares, bins)
    return sum(
        abs(float(shares[places == place].mean()) - float(right[places == place].mean()))
        * float((places == place).mean())
        for place in range(bins)
        if (places == place).any()
    )


def bin_of(shares: Floats, bins: int) -> Classes:
    """Which of so many equal parts of 0..1 each lies in, [rows]."""
    return np.minimum((shares * bins).astype(np.int64), bins - 1)


def readings(logits: Mapping[str, Floats], classes: Mapping[str, Classes], present: Floats) -> dict[str, Reading]:
    """Of every head. classes: head -> index of the label, negative where it is unknown, [rows]."""
    found = {}
    for head, values in logits.items():
        if head == "intents":
            found[head] = many_labels(values.astype(np.float64), present)
        else:
            known = classes[head] >= 0
            found[head] = one_label(values[known].astype(np.float64), classes[head][known])
    return found


def _least(surprise: Callable[[float], float]) -> float:
    return round(float(minimize_scalar(surprise, bounds=(0.2, 5.0), method="bounded").x), 3)
