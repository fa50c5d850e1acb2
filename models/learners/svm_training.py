"""One linear SVM for each label on weighted, soft rows, and what its margins mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..progress import Task
from .base import Training
from .estimators import mean_log_loss
from .logistic import to_probabilities

INVERSE_REGULARISATION = 1.0
# One temperature is one number: from 40 margins of unseen rows on it is known well enough.
CALIBRATION_ROWS = 40
FOLDS = 4
DEFAULT_TEMPERATURE = 0.4
_LOWEST, _HIGHEST = np.log(0.02), np.log(5.0)


@dataclass(frozen=True, slots=True)
class SvmRows:
    """n rows, the last C of them the texts of the labels.

    Args:
        features: (n, F) sparse.
        targets: (n, C) in [0, 1].
        weights: (n,), or (n, C) with several labels an item; above 0.
        multi_label: whether an item may have several labels.
    """

    features: Any
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    multi_label: bool

    def at(self, rows: NDArray[np.int64]) -> SvmRows:
        """The rows at these places."""
        return SvmRows(
            self.features[rows], self.targets[rows], self.weights[rows], self.multi_label
        )


@dataclass(frozen=True, slots=True)
class Scale:
    """Makes logits of margins: margin * slope + shift."""

    slope: float
    shift: float


def train_svms(rows: SvmRows, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """A linear SVM for each label against the rest; of two labels, one of which holds, one SVM.

    A soft label counts for its label with its target and against it with the rest: the squared
    hinge loss of both is least at the margin 2t - 1.

    Returns:
        Coefficients (K, F), intercept (K,), and the most steps that one of them took.
    """
    each = rows.weights if rows.multi_label else rows.weights[:, None]
    shares = rows.targets
    if not rows.multi_label and shares.shape[1] == 2:
        shares = shares[:, 1:]
    found = [
        _train_one(rows.features, positive, negative, seed)
        for positive, negative in zip((each * shares).T, (each * (1 - shares)).T, strict=True)
    ]
    return (
        np.concatenate([svm.coef_ for svm in found]),
        np.concatenate([np.atleast_1d(svm.intercept_) for svm in found]),
        max(int(np.max(svm.n_iter_)) for svm in found),
    )


def calibrate(rows: SvmRows, training: Training, seed: int, task: Task) -> tuple[Scale, str]:
    """What makes margins logits, and how it was found.

    Args:
        rows: the training rows and the label texts.
        training: the training rows as they were given, without any balancing.
        seed: divides the rows into folds.
        task: advanced once for each fold.
    """
    count = len(training.inputs)
    if count < CALIBRATION_ROWS:
        task.advance(FOLDS)
        note = (
            f"confidence comes from the margins with the fixed temperature {DEFAULT_TEMPERATURE}: "
            f"{count} labelled items are fewer than the {CALIBRATION_ROWS} needed to fit one"
        )
        return Scale(1.0 / DEFAULT_TEMPERATURE, 0.0), note
    margins = _unseen_margins(rows, count, seed, task)
    targets = training.targets(rows.targets.shape[1])
    if rows.multi_label:
        scale = _slope_and_shift(margins, targets, training.weights)
        return scale, (
            f"confidence comes from the margins, temperature {1 / scale.slope:.3f} "
            f"and shift {scale.shift:.3f} fitted"
        )
    temperature = _temperature(margins, targets, training.weights)
    note = f"confidence is a softmax of the margins, temperature {temperature:.3f} fitted"
    return Scale(1.0 / temperature, 0.0), note


def _train_one(features: Any, positive: NDArray[Any], negative: NDArray[Any], seed: int) -> Any:
    from sklearn.svm import LinearSVC

    svm = LinearSVC(C=INVERSE_REGULARISATION, random_state=seed, max_iter=5_000)
    if not (positive * negative).any():
        return svm.fit(features, positive > 0, sample_weight=positive + negative)
    yes, no = np.flatnonzero(positive), np.flatnonzero(negative)
    sides = np.concatenate([np.ones(len(yes), dtype=bool), np.zeros(len(no), dtype=bool)])
    weights = np.concatenate([positive[yes], negative[no]])
    return svm.fit(features[np.concatenate([yes, no])], sides, sample_weight=weights)


def _unseen_margins(rows: SvmRows, count: int, seed: int, task: Task) -> NDArray[np.float64]:
    # The label rows stay in every fold's training part, so each fold knows every label.
    labels = rows.targets[:count].argmax(axis=1)
    order = np.random.default_rng(seed).permutation(count)
    order = order[np.argsort(labels[order], kind="stable")]
    parts = []
    for fold in range(FOLDS):
        keep = np.setdiff1d(np.arange(rows.features.shape[0]), order[fold::FOLDS])
        coefficients, intercept, _ = train_svms(rows.at(keep), seed)
        parts.append(rows.features[order[fold::FOLDS]] @ coefficients.T + intercept)
        task.advance()
    margins = np.empty((count, parts[0].shape[1]))
    for fold, part in enumerate(parts):
        margins[order[fold::FOLDS]] = part
    return margins


def _temperature(
    margins: NDArray[Any], targets: NDArray[np.float32], weights: NDArray[Any]
) -> float:
    from scipy.optimize import minimize_scalar

    def loss(log_t: float) -> float:
        found = to_probabilities(margins / np.exp(log_t), multi_label=False)
        return mean_log_loss(found, targets, weights, multi_label=False)

    found = minimize_scalar(loss, bounds=(_LOWEST, _HIGHEST), method="bounded")
    return float(np.exp(found.x))


def _slope_and_shift(
    margins: NDArray[Any], targets: NDArray[np.float32], weights: NDArray[Any]
) -> Scale:
    from scipy.optimize import minimize

    def loss(point: NDArray[np.float64]) -> float:
        found = to_probabilities(margins / np.exp(point[0]) + point[1], multi_label=True)
        return mean_log_loss(found, targets, weights, multi_label=True)

    start = np.array([np.log(DEFAULT_TEMPERATURE), 0.0])
    bounds = [(_LOWEST, _HIGHEST), (-10.0, 10.0)]
    found = minimize(loss, start, method="Nelder-Mead", bounds=bounds, options={"maxiter": 100})
    return Scale(float(np.exp(-found.x[0])), float(found.x[1]))
