"""How far a probability can be believed.

A calibrator turns a model's probabilities into a confidence: the chance that the most probable
label is right. It is fitted on gold items only. With few of them (20 to 60 is usual) one number is
all they can support: a temperature, held near 1 by a prior and kept in a range, so that a handful
of items that all happen to be right never ends in certainty. With hundreds, isotonic regression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..store.errors import UserError
from .acceptance import Threshold, accept_threshold, checked_flags, gold_needed

__all__ = [
    "ISOTONIC_FROM",
    "CalibrationReport",
    "Calibrator",
    "Isotonic",
    "Temperature",
    "Threshold",
    "accept_threshold",
    "calibration_error_interval",
    "choose",
    "expected_calibration_error",
    "fit_isotonic",
    "fit_temperature",
    "gold_needed",
    "out_of_fold",
]

ISOTONIC_FROM = 300

_LOG_T_RANGE = (np.log(0.25), np.log(8.0))
_LOG_T_SPREAD = 0.5
_SMALLEST = 1e-12


class Calibrator(Protocol):
    """Turns probabilities into a confidence that can be believed."""

    @property
    def method(self) -> str:
        """`temperature` or `isotonic`."""
        ...

    @property
    def n(self) -> int:
        """Gold items it was fitted on."""
        ...

    def confidence(self, probabilities: ArrayLike) -> NDArray[np.float32]:
        """Chance that the most probable label is right: (n, C) to (n,), in [0, 1]."""
        ...

    def apply(self, probabilities: ArrayLike) -> NDArray[np.float32]:
        """Calibrated distribution, (n, C) to (n, C); the most probable label stays the same."""
        ...


@dataclass(frozen=True, slots=True)
class Temperature:
    """Probabilities to the power 1 / T (Guo et al., "On calibration of modern neural networks").

    Then mixed with 1 / (n + 2) of the even distribution, after Laplace's rule of succession: n
    gold items, all right, do not support more confidence than that.

    Attributes:
        temperature: T, above 0; above 1 makes the model less sure.
        n: gold items it was fitted on.
    """

    temperature: float
    n: int

    @property
    def method(self) -> str:
        """Its name in reports."""
        return "temperature"

    def apply(self, probabilities: ArrayLike) -> NDArray[np.float32]:
        """Calibrated distribution, (n, C) to (n, C), rows sum to 1, order of labels kept."""
        log_p = np.log(np.maximum(_checked(probabilities), _SMALLEST)) / self.temperature
        powered = np.exp(log_p - log_p.max(axis=1, keepdims=True))
        powered /= powered.sum(axis=1, keepdims=True)
        share = 1 / (self.n + 2)
        return np.asarray((1 - share) * powered + share / powered.shape[1], dtype=np.float32)

    def confidence(self, probabilities: ArrayLike) -> NDArray[np.float32]:
        """Chance that the most probable label is right, (n, C) to (n,)."""
        return np.asarray(self.apply(probabilities).max(axis=1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A rising curve from the highest probability to the chance of being right.

    Attributes:
        knots: highest probability at the corners of the curve, rising.
        values: chance of being right at each corner, not falling.
        n: gold items it was fitted on.
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]
    n: int

    @property
    def method(self) -> str:
        """Its name in reports."""
        return "isotonic"

    def confidence(self, probabilities: ArrayLike) -> NDArray[np.float32]:
        """Chance that the most probable label is right, (n, C) to (n,)."""
        top = _checked(probabilities).max(axis=1)
        return np.asarray(np.interp(top, self.knots, self.values), dtype=np.float32)

    def apply(self, probabilities: ArrayLike) -> NDArray[np.float32]:
        """Distribution whose highest entry is the confidence, (n, C) to (n, C).

        More confidence moves the rest towards the top label, less towards the even distribution.
        A confidence below 1 / C cannot be the highest of C entries and becomes 1 / C here;
        `confidence` reports it as it is.
        """
        p = _checked(probabilities)
        rows, top = np.arange(len(p)), p.argmax(axis=1)
        even = 1 / p.shape[1]
        highest = p[rows, top]
        wanted = np.maximum(self.confidence(p).astype(np.float64), even)
        up = wanted >= highest
        span = np.where(up, 1 - highest, highest - even)
        step = np.where(span > 0, np.abs(wanted - highest) / np.where(span > 0, span, 1), 0.0)
        target = np.full_like(p, even)
        target[up] = 0.0
        target[rows[up], top[up]] = 1.0
        return np.asarray(p + step[:, None] * (target - p), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """Which calibration was chosen, and its error on gold items it was not fitted on.

    Attributes:
        method: `temperature`, `isotonic` or `per class`.
        n: gold items.
        error: expected calibration error after, each item judged by a fit without it (5 folds).
        error_low: lower end of its bootstrap interval.
        error_high: upper end.
        error_before: the same error of the highest probability as the model gave it.
        level: of the interval.
    """

    method: Literal["temperature", "isotonic", "per class"]
    n: int
    error: float
    error_low: float
    error_high: float
    error_before: float
    level: float


def fit_temperature(probabilities: ArrayLike, labels: ArrayLike) -> Temperature:
    """Fit T by maximum a posteriori: log loss plus (log T)^2 / (2 * 0.5^2), T in [0.25, 8].

    Args:
        probabilities: (n, C) of gold items, rows sum to 1.
        labels: (n,) the right labels.

    Raises:
        UserError: no items, or shapes or values that do not fit.
    """
    p, y = _checked_pair(probabilities, labels)
    log_p = np.log(np.maximum(p, _SMALLEST))
    rows = np.arange(len(y))

    def cost(log_t: float) -> float:
        scaled = log_p * np.exp(-log_t)
        shifted = scaled - scaled.max(axis=1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[rows, y]
        return float(losses.sum() + 0.5 * (log_t / _LOG_T_SPREAD) ** 2)

    return Temperature(float(np.exp(_lowest(cost, *_LOG_T_RANGE))), len(y))


def fit_isotonic(confidence: ArrayLike, correct: ArrayLike) -> Isotonic:
    """Fit a rising curve by isotonic regression (Zadrozny & Elkan 2002).

    The level of each block of b items with c right is (c + 1) / (b + 2) rather than c / b, so no
    block claims certainty; the curve joins the blocks' mean confidences by straight lines.

    Args:
        confidence: (n,) in [0, 1], of gold items.
        correct: (n,) whether the label was right.

    Raises:
        UserError: no items, or shapes or values that do not fit.
    """
    x, right = checked_flags(confidence, correct)
    from sklearn.isotonic import isotonic_regression

    order = np.argsort(x, kind="stable")
    x, right = x[order], right[order]
    _, ties = np.unique(x, return_inverse=True)
    at_tie = np.bincount(ties)
    level = isotonic_regression(np.bincount(ties, right) / at_tie, sample_weight=at_tie)[ties]
    _, block = np.unique(level, return_inverse=True)
    size = np.bincount(block)
    smooth = (np.bincount(block, right) + 1) / (size + 2)
    values = isotonic_regression(smooth, sample_weight=size)
    knots = np.bincount(block, x) / size
    return Isotonic(tuple(knots.tolist()), tuple(values.tolist()), len(x))


def choose(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    seed: int,
    isotonic_from: int = ISOTONIC_FROM,
    level: float = 0.95,
) -> tuple[Calibrator, CalibrationReport]:
    """Fit the calibration that the number of gold items supports, and report its error.

    Args:
        probabilities: (n, C) of gold items that the model was not trained on.
        labels: (n,) the right labels.
        seed: of the folds and the bootstrap.
        isotonic_from: gold items from which isotonic regression is used.
        level: of the interval of the error.

    Raises:
        UserError: fewer than 2 items, or shapes or values that do not fit.
    """
    p, y = _checked_pair(probabilities, labels)
    if len(y) < 2:
        raise UserError(f"{len(y)!r} gold item cannot show a calibration error: give 2 or more")
    method: Literal["temperature", "isotonic"] = (
        "isotonic" if len(y) >= isotonic_from else "temperature"
    )
    correct = p.argmax(axis=1) == y
    rng = np.random.default_rng(seed)
    held_out = out_of_fold(p, y, lambda some, truth: _fit(some, truth, method), rng)
    error, low, high = calibration_error_interval(held_out, correct, seed=seed, level=level)
    before = expected_calibration_error(p.max(axis=1), correct)
    report = CalibrationReport(method, len(y), error, low, high, before, level)
    return _fit(p, y, method), report


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by their items.

    sum over bins of n_b / n |accuracy_b - confidence_b| (Naeini et al. 2015), in [0, 1]. Biased
    upwards when bins hold few items.

    Raises:
        UserError: no items, `bins` below 1, or shapes or values that do not fit.
    """
    x, right = checked_flags(confidence, correct)
    gaps = _gaps(x, right, _bins(x, bins), bins, np.arange(len(x))[None, :])
    return float(gaps[0])


def calibration_error_interval(
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    seed: int,
    bins: int = 10,
    level: float = 0.95,
    resamples: int = 1000,
) -> tuple[float, float, float]:
    """The expected calibration error with a percentile bootstrap interval over the items.

    Returns:
        Estimate, low, high. The interval is widened to hold the estimate, as resampling adds to
        the upward bias of this error.

    Raises:
        UserError: as `expected_calibration_error`.
    """
    x, right = checked_flags(confidence, correct)
    estimate = expected_calibration_error(x, right, bins)
    picks = np.random.default_rng(seed).integers(0, len(x), size=(resamples, len(x)))
    gaps = _gaps(x, right, _bins(x, bins), bins, picks)
    low, high = np.quantile(gaps, [(1 - level) / 2, (1 + level) / 2])
    return estimate, min(float(low), estimate), max(float(high), estimate)


def out_of_fold(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    fit: Callable[[NDArray[np.float64], NDArray[np.int64]], Calibrator],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Confidence in each gold item by a calibration that was fitted without it (5 folds).

    Args:
        probabilities: (n, C), rows sum to 1.
        labels: (n,) the right labels.
        fit: makes a calibrator from some of both.
        rng: of the folds.

    Returns:
        (n,) float32, in [0, 1].
    """
    folds = min(5, len(labels))
    fold = rng.permutation(len(labels)) % folds
    confidence = np.empty(len(labels), dtype=np.float32)
    for f in range(folds):
        held = fold == f
        fitted = fit(probabilities[~held], labels[~held])
        confidence[held] = fitted.confidence(probabilities[held])
    return confidence


def _fit(
    p: NDArray[np.float64], y: NDArray[np.int64], method: Literal["temperature", "isotonic"]
) -> Calibrator:
    if method == "isotonic":
        return fit_isotonic(p.max(axis=1), p.argmax(axis=1) == y)
    return fit_temperature(p, y)


def _lowest(cost: Callable[[float], float], low: float, high: float) -> float:
    """Where a smooth function of one number is lowest: a grid, then finer ones around its best."""
    for _ in range(5):
        points = np.linspace(low, high, 25)
        best = int(np.argmin([cost(float(point)) for point in points]))
        low, high = float(points[max(best - 1, 0)]), float(points[min(best + 1, 24)])
    return (low + high) / 2


def _bins(x: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    if bins < 1:
        raise UserError(f"bins is {bins!r}: give 1 or more")
    return np.minimum((x * bins).astype(np.int64), bins - 1)


def _gaps(
    x: NDArray[np.float64],
    right: NDArray[np.bool_],
    bin_of: NDArray[np.int64],
    bins: int,
    picks: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The calibration error of each (r, n) resample: sum over bins of |sum(right - x)| / n."""
    resamples, n = picks.shape
    slot = bin_of[picks] + bins * np.arange(resamples)[:, None]
    signed = np.bincount(slot.ravel(), (right - x)[picks].ravel(), minlength=bins * resamples)
    return np.asarray(np.abs(signed.reshape(resamples, bins)).sum(axis=1) / n, dtype=np.float64)


def _checked(probabilities: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] < 2:
        raise UserError(f"probabilities have the shape {p.shape!r}: give (items, labels >= 2)")
    if not (np.isfinite(p).all() and (p >= 0).all() and np.allclose(p.sum(axis=1), 1, atol=1e-3)):
        raise UserError("probabilities hold a row that is negative, not finite or not of sum 1")
    return np.asarray(p / p.sum(axis=1, keepdims=True), dtype=np.float64)


def _checked_pair(
    probabilities: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    p, y = _checked(probabilities), np.asarray(labels, dtype=np.int64)
    if len(p) == 0 or y.shape != (len(p),):
        raise UserError(
            f"{len(p)!r} rows and labels of shape {y.shape!r}: give 1 gold item or more"
        )
    if not ((y >= 0) & (y < p.shape[1])).all():
        raise UserError(f"a gold label is outside 0..{p.shape[1] - 1!r}: give label indices")
    return p, y
