"""Fits the heads on the frozen encoder's vectors: multinomial logistic regression, calibrated on held-out folds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fit:
    """How heads are fitted; see config.toml."""

    inverse_regularisation: float
    balance_power: float
    folds: int
    seed: int


@dataclass(frozen=True)
class FittedHead:
    """weight [size, labels] and bias [labels] give logits; temperature divides them; thresholds as in the bundle."""

    weight: Floats
    bias: Floats
    temperature: float
    thresholds: tuple[float, ...]


def fit_one_label(vectors: Vectors, classes: Classes, labels: int, fit: Fit) -> FittedHead:
    """A head whose labels exclude each other. The temperature makes held-out probabilities as likely as can be."""
    weight, bias = _fit(vectors, classes, labels, fit)
    held_out = np.zeros((len(classes), labels))
    for train, test in _folds(len(classes), fit):
        fold_weight, fold_bias = _fit(vectors[train], classes[train], labels, fit)
        held_out[test] = vectors[test] @ fold_weight + fold_bias

    def surprise(temperature: float) -> float:
        scaled = held_out / temperature
        top = scaled.max(axis=1, keepdims=True)
        total = np.log(np.exp(scaled - top).sum(axis=1)) + top[:, 0]
        return float((total - scaled[np.arange(len(classes)), classes]).mean())

    found = minimize_scalar(surprise, bounds=(0.3, 3.0), method="bounded")
    return FittedHead(weight, bias, round(float(found.x), 3), ())


def fit_many_labels(vectors: Vectors, present: Sequence[npt.NDArray[np.bool_]], fit: Fit) -> FittedHead:
    """A head of labels that don't exclude each other, `present[label][row]`. A label's threshold is the one with the
    best F1 on held-out folds, half-way to 0.5, since few rows chose it."""
    columns, biases, thresholds = [], [], []
    for truth in present:
        classes = truth.astype(np.int64)
        held_out = np.zeros(len(classes))
        for train, test in _folds(len(classes), fit):
            weight, bias = _fit(vectors[train], classes[train], 2, fit)
            held_out[test] = _sigmoid(vectors[test] @ weight + bias)
        steps = np.arange(0.2, 0.81, 0.02)
        best = steps[int(np.argmax([f1_score(truth, held_out >= step) for step in steps]))]
        weight, bias = _fit(vectors, classes, 2, fit)
        columns.append(weight)
        biases.append(bias)
        thresholds.append(round((float(best) + 0.5) / 2, 3))
    return FittedHead(np.stack(columns, axis=1), np.array(biases), 1.0, tuple(thresholds))


def _fit(vectors: Vectors, classes: Classes, labels: int, fit: Fit) -> tuple[Floats, Floats]:
    """Weight and bias on the vectors as they are; the scaling that the regression needs is folded into them. With two
    classes: of the logit of the second."""
    scaler = StandardScaler().fit(vectors)
    counts = np.bincount(classes, minlength=labels)
    weights = (len(classes) / labels / counts[classes]) ** fit.balance_power
    model = LogisticRegression(C=fit.inverse_regularisation, max_iter=1000, tol=1e-6)
    model.fit(scaler.transform(vectors).astype(np.float64), classes, sample_weight=weights)
    weight = model.coef_.T / scaler.scale_[:, None]
    bias = model.intercept_ - scaler.mean_ @ weight
    return (weight[:, 0], bias[0]) if labels == 2 else (weight, bias)


def _folds(rows: int, fit: Fit) -> list[tuple[Classes, Classes]]:
    return list(KFold(fit.folds, shuffle=True, random_state=fit.seed).split(np.zeros(rows)))


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))
