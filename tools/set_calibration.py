"""How far the probabilities of several labels an item can be believed, each and together.

Each label gets a temperature and a shift, so that a label is in the set exactly when its
calibrated probability is a half or more: the shift is the label's threshold. The whole set is
right when every label is, and labels err together more than independence says; so the product of
their probabilities is raised to a power that gold items choose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..store.errors import UserError
from .uncertainty import check_label_probabilities

FOLDS = 5
_SPREAD_T = 0.5
_SPREAD_SHIFT = 0.3
_SPREAD_POWER = 0.7
_SMALLEST = 1e-6
_BLOCK = 65_536
"""Rows at a time: bounds the memory in double precision."""
_POWERS = np.exp(np.linspace(np.log(0.02), np.log(4.0), 241))


@dataclass(frozen=True, slots=True)
class SetConfidence:
    """The chance that a whole set of labels is right, from the probability of each.

    c = (1 - 1 / (n + 2)) q^a with q = prod_c max(p_c, 1 - p_c), the probability of the likeliest
    set if labels were independent. n gold items, all right, do not support more than
    (n + 1) / (n + 2), after Laplace's rule of succession.

    Attributes:
        power: a, above 0; 1 is independence, below 1 says that labels err together.
        n: gold items it was fitted on; None for q as it is, which nothing was calibrated on.
    """

    power: float = 1.0
    n: int | None = None

    def of(self, probabilities: ArrayLike) -> NDArray[np.float32]:
        """(n, C) calibrated probabilities of the labels to (n,) in [0, 1]."""
        p = check_label_probabilities(np.asarray(probabilities))
        most = 1.0 if self.n is None else 1 - 1 / (self.n + 2)
        result = np.empty(len(p), dtype=np.float32)
        for start in range(0, len(p), _BLOCK):
            part = p[start : start + _BLOCK].astype(np.float64)
            result[start : start + _BLOCK] = most * np.exp(self.power * _log_together(part))
        return result


@dataclass(frozen=True, slots=True)
class SetCalibration:
    """Calibrated probability of each label, and of the set.

    Attributes:
        temperatures: (C,) T_c, above 0.
        shifts: (C,) b_c: the probability of label c is sigmoid(logit(p_c) / T_c + b_c).
        sets: the confidence of the whole set.
    """

    temperatures: tuple[float, ...]
    shifts: tuple[float, ...]
    sets: SetConfidence

    @property
    def method(self) -> str:
        """Its name in reports."""
        return "temperature and threshold for each label"

    @property
    def n(self) -> int:
        """Gold items it was fitted on."""
        return self.sets.n or 0

    @property
    def thresholds(self) -> tuple[float, ...]:
        """(C,) the uncalibrated probability from which on an item has the label."""
        logits = -np.array(self.shifts) * np.array(self.temperatures)
        return tuple(np.round(_sigmoid(logits), 6).tolist())

    def apply(self, probabilities: ArrayLike) -> NDArray[np.float32]:
        """(n, C) to (n, C), each in [0, 1] by itself; the label is in the set from 0.5 on."""
        p = check_label_probabilities(np.asarray(probabilities))
        temperatures, shifts = np.array(self.temperatures), np.array(self.shifts)
        result = np.empty(p.shape, dtype=np.float32)
        for start in range(0, len(p), _BLOCK):
            logits = _logit(p[start : start + _BLOCK].astype(np.float64))
            result[start : start + _BLOCK] = _sigmoid(logits / temperatures + shifts)
        return result

    def confidence(self, probabilities: ArrayLike) -> NDArray[np.float32]:
        """Chance that the whole set is right, (n, C) uncalibrated to (n,)."""
        return self.sets.of(self.apply(probabilities))


def fit_labels(
    probabilities: ArrayLike, truth: ArrayLike, *, spread: float = _SPREAD_SHIFT
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Temperature and shift of each label by maximum a posteriori.

    For each label log loss plus (log T)^2 / (2 0.5^2) + b^2 / (2 0.3^2): with few items near T = 1
    and b = 0. This is Platt scaling (1999) with a prior, one label at a time. The priors were
    chosen on news in pairs, tweets and African sentences with 40 gold items: shifts that move
    freely (0.5 and more) lose one to three sets in a hundred there.

    Args:
        probabilities: (n, C) of items that the model did not learn from.
        truth: (n, C) zeros and ones.
        spread: standard deviation of the prior of b, above 0.

    Returns:
        T (C,) and b (C,).

    Raises:
        UserError: no items, or shapes that do not fit.
    """
    p, y = checked_sets(probabilities, truth)
    from scipy.optimize import minimize

    logits, signs, classes = _logit(p), 2.0 * y - 1.0, p.shape[1]

    def cost(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_t, shift = x[:classes], x[classes:]
        scaled = logits * np.exp(-log_t)
        margin = signs * (scaled + shift)
        push = -signs * _sigmoid(-margin)
        prior = (log_t / _SPREAD_T) ** 2 + (shift / spread) ** 2
        slope_t = (push * -scaled).sum(axis=0) + log_t / _SPREAD_T**2
        slope_b = push.sum(axis=0) + shift / spread**2
        total = np.logaddexp(0.0, -margin).sum() + 0.5 * prior.sum()
        return float(total), np.concatenate([slope_t, slope_b])

    found = minimize(cost, np.zeros(2 * classes), jac=True, method="L-BFGS-B").x
    return tuple(np.exp(found[:classes]).tolist()), tuple(found[classes:].tolist())


def fit_sets(probabilities: ArrayLike, truth: ArrayLike) -> SetCalibration:
    """Fit each label on all gold items, and the power of the set on held-out parts of them.

    The power minimises log loss of "the whole set is right" plus (log a)^2 / (2 0.7^2), with the
    probabilities of each item calibrated without it (5 folds, item i in fold i mod 5): the shifts
    have one number a label, and on the items they were chosen on they look better than they are.

    Args:
        probabilities: (n, C) of gold items that the model did not learn from.
        truth: (n, C) zeros and ones.

    Raises:
        UserError: fewer than 2 items, or shapes that do not fit.
    """
    p, y = checked_sets(probabilities, truth)
    if len(p) < 2:
        raise UserError(f"{len(p)!r} gold item cannot calibrate a set of labels: give 2 or more")
    held_out = np.empty_like(p)
    fold = np.arange(len(p)) % min(FOLDS, len(p))
    for part in np.unique(fold):
        held = fold == part
        without = SetCalibration(*fit_labels(p[~held], y[~held]), SetConfidence())
        held_out[held] = without.apply(p[held])
    right = ((held_out >= 0.5) == (y > 0.5)).all(axis=1)
    power = _fit_power(_log_together(held_out), right)
    return SetCalibration(*fit_labels(p, y), SetConfidence(power, len(p)))


def fit_confidence(probabilities: ArrayLike, right: ArrayLike) -> SetConfidence:
    """The power alone, for probabilities whose thresholds were not chosen on these items.

    Args:
        probabilities: (n, C) of gold items.
        right: (n,) whether the set that they amount to was right.

    Raises:
        UserError: no items, or shapes that do not fit.
    """
    p, flags = _checked(probabilities), np.asarray(right, dtype=bool)
    if len(p) == 0 or flags.shape != (len(p),):
        raise UserError(f"{len(p)!r} rows and flags {flags.shape!r}: give one each, 1 or more")
    return SetConfidence(_fit_power(_log_together(p), flags), len(p))


def checked_sets(
    probabilities: ArrayLike, truth: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities and truth of the same items and labels, both (n, C), n at least 1.

    Raises:
        UserError: no items, shapes that differ, or values that are no probabilities.
    """
    p, y = _checked(probabilities), np.asarray(truth, dtype=np.float64)
    if len(p) == 0 or p.shape != y.shape or not np.isin(y, (0.0, 1.0)).all():
        raise UserError(
            f"probabilities {p.shape!r} and sets {y.shape!r}: give zeros and ones, a column a "
            "label, for 1 item or more"
        )
    return p, y


def _fit_power(log_q: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    log_c = np.minimum(_POWERS[:, None] * log_q[None, :], -_SMALLEST)
    losses = np.where(right[None, :], -log_c, -np.log1p(-np.exp(log_c)))
    total = losses.sum(axis=1) + 0.5 * (np.log(_POWERS) / _SPREAD_POWER) ** 2
    return float(_POWERS[int(total.argmin())])


def _log_together(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log prod_c max(p_c, 1 - p_c), (n,)."""
    return np.asarray(np.log(np.maximum(p, 1 - p)).sum(axis=1), dtype=np.float64)


def _checked(probabilities: ArrayLike) -> NDArray[np.float64]:
    return check_label_probabilities(np.asarray(probabilities)).astype(np.float64)


def _logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    cut = np.clip(p, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(cut) - np.log1p(-cut), dtype=np.float64)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import expit

    return np.asarray(expit(x), dtype=np.float64)
