"""Above which confidence a label needs no person.

The threshold is not a constant: it comes from Learn-then-Test. Either the gold items support the
promised risk, or there is no threshold and every label is asked about.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..store.errors import UserError

MIN_GOLD = 8
"""Gold items below which no confidence is given: absent means that a person is asked."""
DELTA = 0.1
"""Chance with which the threshold may fail to keep the risk it was chosen for."""
GRID = tuple(round(0.99 - 0.01 * step, 2) for step in range(99))
"""Thresholds from strict to loose, fixed before any gold item is seen."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """The confidence from which labels are accepted without a person.

    Attributes:
        value: accept when confidence >= value.
        risk: the share of errors among accepted labels that is promised not to be exceeded.
        delta: the chance that the promise fails.
        n_accepted: gold items at or above it.
        n_errors: wrong ones among them.
        n: gold items in all.
    """

    value: float
    risk: float
    delta: float
    n_accepted: int
    n_errors: int
    n: int


def accept_threshold(
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    risk: float,
    delta: float,
    grid: ArrayLike = GRID,
) -> Threshold | None:
    """The loosest threshold for which the accepted labels keep the risk, or none.

    Learn-then-Test (Angelopoulos et al. 2021) by fixed-sequence testing: from the strictest
    threshold of the grid to the loosest, "more than `risk` of the accepted are wrong" is tested by
    the exact binomial p-value P(Binomial(accepted, risk) <= errors); the last threshold before
    the first p-value above `delta` is taken. The sequence begins where enough gold items are
    accepted to support the risk with one error among them, if half of the gold items suffice for
    that, else with none (`gold_needed`). Both look at how many are accepted, not at how many are
    right. With probability at least 1 - delta the promise holds, provided that errors do not become
    more frequent as confidence rises: then the first threshold that breaks the promise is tested by
    a p-value that is valid given the number accepted.

    Args:
        confidence: (n,) of gold items drawn at random from the pool, in [0, 1], by a model and a
            calibration that did not learn from these items.
        correct: (n,) whether the label was right.
        risk: errors allowed among the accepted, in (0, 1).
        delta: chance allowed for breaking the promise, in (0, 1).
        grid: thresholds, fixed before looking at the gold items.

    Returns:
        None when no threshold is supported: then every label is to be asked about.

    Raises:
        UserError: shapes or values that do not fit.
    """
    x, right = checked_flags(confidence, correct, empty_allowed=True)
    steps, n, errors = _counts(x, right, grid)
    best = last_supported(n, errors, gold=len(x), risk=risk, delta=delta)
    if best is None:
        return None
    return Threshold(float(steps[best]), risk, delta, int(n[best]), int(errors[best]), len(x))


def threshold_possible(
    confidence: ArrayLike,
    correct: ArrayLike,
    size: int,
    *,
    risk: float,
    delta: float,
    grid: ArrayLike = GRID,
) -> bool:
    """Whether `size` gold items could support a threshold, the n there are among them.

    They are taken to be like those there are, but for the errors: each threshold of the grid
    accepts the same share of them, and no error comes to those there are. If no threshold is
    supported even so, more gold is hardly worth its labels. It says what is worth asking and
    promises nothing: `accept_threshold` decides, on all of them.

    Args:
        confidence: (n,) as for `accept_threshold`, n at least 1.
        correct: (n,) whether the label was right.
        size: gold items there would be.
        risk: errors allowed among the accepted, in (0, 1).
        delta: chance allowed for breaking the promise, in (0, 1).
        grid: thresholds, fixed before looking at the gold items.

    Raises:
        UserError: shapes or values that do not fit, or no items.
    """
    x, right = checked_flags(confidence, correct)
    _, n, errors = _counts(x, right, grid)
    # A product of whole numbers may miss the whole number by a hair.
    most = np.floor(n * (size / len(x)) + 1e-9).astype(np.int64)
    return last_supported(most, errors, gold=size, risk=risk, delta=delta) is not None


def _counts(
    x: NDArray[np.float64], right: NDArray[np.bool_], grid: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Thresholds from strict to loose, how many each accepts, and how many of those are wrong."""
    steps = np.sort(np.asarray(grid, dtype=np.float64))[::-1]
    accepted = x[None, :] >= steps[:, None]
    return steps, accepted.sum(axis=1), (accepted & ~right[None, :]).sum(axis=1)


def last_supported(
    accepted: NDArray[np.int64], errors: NDArray[np.int64], *, gold: int, risk: float, delta: float
) -> int | None:
    """The last of a sequence of settings that gold supports, see `accept_threshold`.

    Args:
        accepted: (s,) gold items accepted by each setting; the order was fixed before any gold.
        errors: (s,) wrong ones among them.
        gold: items in all.
        risk: errors allowed among the accepted, in (0, 1).
        delta: chance allowed for breaking the promise, in (0, 1).

    Returns:
        Its place, or `None` when none is supported.

    Raises:
        UserError: `risk` or `delta` outside (0, 1).
    """
    tested = np.flatnonzero(accepted >= _begin(gold, risk, delta))
    from scipy.stats import binom

    failed = np.atleast_1d(binom.cdf(errors[tested], accepted[tested], risk) > delta)
    supported = tested[: int(failed.argmax()) if failed.any() else len(tested)]
    return int(supported[-1]) if len(supported) else None


def gold_needed(risk: float, delta: float) -> int:
    """Accepted gold items, all right, from which a risk can be supported: (1 - risk)^n <= delta.

    For example 45 for a risk of 0.05 at delta 0.1, 22 for 0.1.

    Raises:
        UserError: `risk` or `delta` outside (0, 1).
    """
    if not (0 < risk < 1 and 0 < delta < 1):
        raise UserError(f"risk={risk!r}, delta={delta!r}: give numbers between 0 and 1")
    return int(np.ceil(np.log(delta) / np.log1p(-risk) - 1e-9))


def _begin(gold: int, risk: float, delta: float) -> int:
    """How many gold items the first tested threshold must accept.

    Beginning at the bare minimum lets a single early error end the sequence.
    """
    without = gold_needed(risk, delta)
    n = np.arange(without, gold // 2 + 1)
    p_value = (1 - risk) ** n + n * risk * (1 - risk) ** (n - 1.0)
    enough = np.flatnonzero(p_value <= delta)
    return int(n[enough[0]]) if len(enough) else without


def checked_flags(
    confidence: ArrayLike, correct: ArrayLike, *, empty_allowed: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence and correctness of n items as arrays, both (n,).

    Raises:
        UserError: shapes differ, a confidence is outside [0, 1] or missing, or there are no items.
    """
    x, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    if x.ndim != 1 or x.shape != right.shape or (len(x) == 0 and not empty_allowed):
        raise UserError(
            f"confidence {x.shape!r} and correct {right.shape!r}: give one of each a gold item"
        )
    if not ((x >= 0) & (x <= 1 + 1e-6)).all():
        raise UserError("a confidence is outside [0, 1] or missing: leave such items out")
    return x, right
