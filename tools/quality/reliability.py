"""How often labels of a confidence are right: the numbers of a reliability diagram, and its SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...store.errors import UserError
from ..acceptance import checked_flags
from ..certificate import fixed_interval
from ..figures import diagonal_chart


@dataclass(frozen=True, slots=True)
class Bin:
    """Items whose confidence lies in one range.

    Attributes:
        n: items.
        confidence: their mean confidence.
        accuracy: share of them that is right.
        low: lower end of the exact interval of the accuracy.
        high: upper end.
    """

    n: int
    confidence: float
    accuracy: float
    low: float
    high: float


def reliability(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 10, level: float = 0.95
) -> list[Bin]:
    """Confidence against accuracy in bins of equal width; empty bins are left out.

    Args:
        confidence: (n,) in [0, 1], of items that neither model nor calibration learned from.
        correct: (n,) whether the label was right.
        bins: at least 1.
        level: of the intervals (Clopper & Pearson 1934).

    Raises:
        UserError: no items, or shapes or values that do not fit.
    """
    x, right = checked_flags(confidence, correct)
    if bins < 1:
        raise UserError(f"bins is {bins!r}: give 1 or more")
    place = np.minimum((x * bins).astype(np.int64), bins - 1)
    found = []
    for each in np.unique(place):
        rows = place == each
        hits, n = int(right[rows].sum()), int(rows.sum())
        interval = fixed_interval(hits, n, level=level)
        found.append(Bin(n, float(x[rows].mean()), hits / n, interval.low, interval.high))
    return found


def reliability_diagram(bins: Sequence[Bin]) -> str:
    """Accuracy with its interval over confidence, as one `<svg>`; on the diagonal is calibrated.

    Raises:
        UserError: no bins.
    """
    if not bins:
        raise UserError("there are no bins: give those of reliability()")
    spots = [(each.confidence, each.accuracy, each.low, each.high) for each in bins]
    told = [f"{each.accuracy:.0%} right at {each.confidence:.0%}, n = {each.n}" for each in bins]
    return diagonal_chart("Accuracy against confidence", "confidence", spots, told)


def accuracy_coverage_area(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under accuracy over coverage, labels taken in order of falling confidence.

    mean over k of (right among the k surest) / k, in [0, 1]; one minus it is the area under the
    risk-coverage curve (Geifman & El-Yaniv 2017). Items of equal confidence are taken together:
    each counts as the mean of its group, so no order within it can flatter.

    Raises:
        UserError: no items, or shapes or values that do not fit.
    """
    x, right = checked_flags(confidence, correct)
    order = np.argsort(-x, kind="stable")
    _, group = np.unique(-x, return_inverse=True)
    mean = np.bincount(group, right) / np.bincount(group)
    hits = np.cumsum(mean[group][order])
    return float((hits / np.arange(1, len(x) + 1)).mean())
