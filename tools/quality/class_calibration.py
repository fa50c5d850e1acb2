"""A calibration of its own for each label that has enough gold, one for all for the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..calibration import (
    CalibrationReport,
    Calibrator,
    calibration_error_interval,
    choose,
    expected_calibration_error,
    fit_temperature,
    out_of_fold,
)

LEAST = 50
"""Gold items that a label's own temperature needs."""


@dataclass(frozen=True, slots=True)
class PerClass:
    """Calibrators by the label that is predicted.

    Attributes:
        pooled: for labels without one of their own.
        own: label index to its calibrator.
        n: gold items in all.
    """

    pooled: Calibrator
    own: Mapping[int, Calibrator]
    n: int

    @property
    def method(self) -> str:
        """Its name in reports."""
        return f"{self.pooled.method}, {len(self.own)} labels of their own"

    def confidence(self, probabilities: ArrayLike) -> NDArray[np.float32]:
        """Chance that the most probable label is right, (n, C) to (n,)."""
        found = self.pooled.confidence(probabilities)
        p = np.asarray(probabilities, dtype=np.float64)
        for label, calibrator in self.own.items():
            rows = p.argmax(axis=1) == label
            found[rows] = calibrator.confidence(p[rows])
        return found

    def apply(self, probabilities: ArrayLike) -> NDArray[np.float32]:
        """Calibrated distribution, (n, C), rows sum to 1; the most probable label stays."""
        found = self.pooled.apply(probabilities)
        p = np.asarray(probabilities, dtype=np.float64)
        for label, calibrator in self.own.items():
            rows = p.argmax(axis=1) == label
            found[rows] = calibrator.apply(p[rows])
        return found


def fit_per_class(
    pooled: Calibrator, probabilities: ArrayLike, labels: ArrayLike, *, least: int = LEAST
) -> PerClass:
    """Add a temperature for each label that is predicted on `least` gold items or more.

    Args:
        pooled: fitted on the same gold items.
        probabilities: (n, C) of gold items, rows sum to 1.
        labels: (n,) the right labels.
        least: gold items for a label of its own.

    Raises:
        UserError: shapes or values that do not fit.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    pooled.confidence(p)
    predicted = p.argmax(axis=1)
    sizes = np.bincount(predicted, minlength=p.shape[1])
    own = {
        int(label): fit_temperature(p[predicted == label], y[predicted == label])
        for label in np.flatnonzero(sizes >= least)
    }
    return PerClass(pooled, own, len(y))


def choose_per_class(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    seed: int,
    least: int = LEAST,
    level: float = 0.95,
) -> tuple[Calibrator, CalibrationReport]:
    """The calibration of `calibration.choose`, per class if that foretells held-out gold better.

    Better is a lower log loss of "right or wrong", each gold item judged by a fit without it (5
    folds).

    Args:
        probabilities: (n, C) of gold items that the model was not trained on.
        labels: (n,) the right labels.
        seed: of the folds and the bootstrap.
        least: gold items for a label of its own.
        level: of the interval of the error.

    Raises:
        UserError: as `calibration.choose`.
    """
    pooled, report = choose(probabilities, labels, seed=seed, level=level)
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    fitted = fit_per_class(pooled, p, y, least=least)
    if not fitted.own:
        return pooled, report
    correct = p.argmax(axis=1) == y

    def pooled_fit(some: NDArray[np.float64], truth: NDArray[np.int64]) -> Calibrator:
        return choose(some, truth, seed=seed)[0]

    def class_fit(some: NDArray[np.float64], truth: NDArray[np.int64]) -> Calibrator:
        return fit_per_class(pooled_fit(some, truth), some, truth, least=least)

    together = out_of_fold(p, y, pooled_fit, np.random.default_rng(seed))
    apart = out_of_fold(p, y, class_fit, np.random.default_rng(seed))
    if _log_loss(apart, correct) >= _log_loss(together, correct):
        return pooled, report
    error, low, high = calibration_error_interval(apart, correct, seed=seed, level=level)
    before = expected_calibration_error(p.max(axis=1), correct)
    return fitted, CalibrationReport("per class", len(y), error, low, high, before, level)


def _log_loss(confidence: NDArray[np.float32], correct: NDArray[np.bool_]) -> float:
    chance = np.where(correct, confidence, 1 - confidence.astype(np.float64))
    return float(-np.log(np.maximum(chance, 1e-12)).mean())
