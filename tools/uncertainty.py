"""How unsure a classifier is of each item, from its class probabilities alone.

Every measure takes probabilities of shape (n, C) and gives n numbers in [0, 1]: 0 when all the
probability is on one class, 1 when the classes cannot be told apart by it. For two classes the
three measures order the items in the same way; they differ from three classes on. Survey and
names: Settles, "Active Learning Literature Survey" (2009), section 3.1.

Where an item may have several labels, each probability stands by itself. `MULTI_LABEL_MEASURES`
has a form of each measure for that, by the same names: 0 when every label is certain, on or off,
1 when all are at even odds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError

Probabilities: TypeAlias = NDArray[np.floating[Any]]
Measure: TypeAlias = Callable[[Probabilities], NDArray[np.float32]]

# Float16 storage and softmax in float32 both stay well inside this.
_SUM_TOLERANCE = 1e-2
# Up to this many classes, going over whole columns is faster than over short rows: measured.
_FEW = 24
_BLOCK = 8192


def least_confidence(p: Probabilities) -> NDArray[np.float32]:
    """One minus the largest probability, stretched so that even odds give 1.

    u = (1 - max_c p_c) * C / (C - 1), after Lewis & Gale (1994).

    Args:
        p: probabilities, shape (n, C) with C >= 2, rows summing to 1.

    Returns:
        Shape (n,), float32, in [0, 1].

    Raises:
        UserError: not a table of probabilities; the message names the first bad row.
    """
    checked = check_probabilities(p)
    classes = checked.shape[1]
    best = _top_two(checked)[0] if classes <= _FEW else checked.max(axis=1)
    return _unit((1.0 - best) * np.float32(classes / (classes - 1)))


def margin(p: Probabilities) -> NDArray[np.float32]:
    """One minus the lead of the first class over the second.

    u = 1 - (p_(1) - p_(2)), after Scheffer, Decomain & Wrobel (2001).

    Args:
        p: probabilities, shape (n, C) with C >= 2, rows summing to 1.

    Returns:
        Shape (n,), float32, in [0, 1].

    Raises:
        UserError: not a table of probabilities; the message names the first bad row.
    """
    best, second = _top_two(check_probabilities(p))
    return _unit(1.0 - (best - second))


def entropy(p: Probabilities) -> NDArray[np.float32]:
    """Shannon entropy as a share of the largest it could be.

    u = -sum_c p_c log p_c / log C, after Shannon (1948); 0 log 0 counts as 0.

    Args:
        p: probabilities, shape (n, C) with C >= 2, rows summing to 1.

    Returns:
        Shape (n,), float32, in [0, 1].

    Raises:
        UserError: not a table of probabilities; the message names the first bad row.
    """
    checked = check_probabilities(p)
    return _unit(shannon(checked) / np.float32(np.log(checked.shape[1])))


def label_set_least_confidence(p: Probabilities) -> NDArray[np.float32]:
    """One minus the probability of the likeliest set of labels, stretched so that even odds give 1.

    u = (1 - prod_c max(p_c, 1 - p_c)) / (1 - 2^-C): `least_confidence` over the 2^C sets of
    labels, with labels independent of one another.

    Args:
        p: probability of each label, shape (n, C) with C >= 1, each in [0, 1].

    Returns:
        Shape (n,), float32, in [0, 1].

    Raises:
        UserError: not a table of such probabilities; the message names the first bad row.
    """
    checked = check_label_probabilities(p)
    best = np.maximum(checked, 1.0 - checked).prod(axis=1)
    return _unit((1.0 - best) / np.float32(1.0 - 0.5 ** checked.shape[1]))


def binary_minimum(p: Probabilities) -> NDArray[np.float32]:
    """One minus the lead of the two answers about the label where it is smallest.

    u = 1 - min_c |2 p_c - 1|: one doubtful label is enough (BinMin, after Brinker 2006).

    Args:
        p: probability of each label, shape (n, C) with C >= 1, each in [0, 1].

    Returns:
        Shape (n,), float32, in [0, 1].

    Raises:
        UserError: not a table of such probabilities; the message names the first bad row.
    """
    return _unit(1.0 - np.abs(2.0 * check_label_probabilities(p) - 1.0).min(axis=1))


def mean_label_entropy(p: Probabilities) -> NDArray[np.float32]:
    """Mean over the labels of the entropy of having it or not, as a share of the largest.

    u = mean_c(-p_c log p_c - (1 - p_c) log(1 - p_c)) / log 2, which is the entropy of the set of
    labels, with labels independent of one another, over C log 2.

    Args:
        p: probability of each label, shape (n, C) with C >= 1, each in [0, 1].

    Returns:
        Shape (n,), float32, in [0, 1].

    Raises:
        UserError: not a table of such probabilities; the message names the first bad row.
    """
    checked = check_label_probabilities(p)
    nats = shannon(checked) + shannon(1.0 - checked)
    return _unit(nats / np.float32(checked.shape[1] * np.log(2.0)))


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {"least_confidence": least_confidence, "margin": margin, "entropy": entropy}
)
MULTI_LABEL_MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "least_confidence": label_set_least_confidence,
        "margin": binary_minimum,
        "entropy": mean_label_entropy,
    }
)


def measures(*, multi_label: bool) -> Mapping[str, Measure]:
    """The measures by name, in the form for one label an item or for several."""
    return MULTI_LABEL_MEASURES if multi_label else MEASURES


def shannon(p: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shannon entropy over the last axis, in nats, of probabilities that were checked before.

    H = -sum_c p_c log p_c; 0 log 0 counts as 0.

    Args:
        p: shape (..., C), float32, non-negative.

    Returns:
        Shape (...), float32, from 0 to log C.
    """
    logs = np.maximum(p, np.finfo(np.float32).tiny)
    np.log(logs, out=logs)
    # One pass over both, without an array for the products.
    total: NDArray[np.float32] = -np.einsum("...c,...c->...", p, logs)
    return total


def check_probabilities(p: Probabilities) -> NDArray[np.float32]:
    """The same table in float32, after making sure that it is one of probabilities.

    Args:
        p: shape (n, C) with C >= 2; n may be 0.

    Returns:
        Shape (n, C), float32; the same memory where the input was float32 already.

    Raises:
        UserError: another shape, fewer than two classes, a value that is negative or not a
            number, a row of zeros, or a row that does not sum to 1 within 0.01.
    """
    table = np.asarray(p, dtype=np.float32)
    if table.ndim != 2 or table.shape[1] < 2:
        raise UserError(
            f"probabilities have shape {table.shape!r}: give one row per item and one column "
            "per class, with at least two classes"
        )
    # A product with ones, as numpy sums short rows one at a time.
    # What is no number is found below, and BLAS kernels may set the flag for numbers too.
    with np.errstate(invalid="ignore", over="ignore"):
        sums = table @ np.ones(table.shape[1], dtype=np.float32)
    # A comparison with NaN is false, so one test of what is right catches it too.
    good = np.abs(sums - 1.0) <= _SUM_TOLERANCE
    if not (good.all() and table.min(initial=0.0) >= 0.0):
        good &= table.min(axis=1, initial=0.0) >= 0.0
        row = int(np.argmin(good))
        raise UserError(
            f"row {row} of the probabilities is {_short(table[row])} and sums to "
            f"{float(sums[row])!r}: every row must be non-negative and sum to 1 "
            "(a row of zeros means that the model gave no prediction)"
        )
    return table


def check_label_probabilities(p: Probabilities) -> NDArray[np.float32]:
    """The same table in float32, after making sure that each value is a probability by itself.

    Args:
        p: probability of each label, shape (n, C) with C >= 1; n may be 0.

    Returns:
        Shape (n, C), float32; the same memory where the input was float32 already.

    Raises:
        UserError: another shape, or a value that is not in [0, 1].
    """
    table = np.asarray(p, dtype=np.float32)
    if table.ndim != 2 or table.shape[1] < 1:
        raise UserError(
            f"probabilities have shape {table.shape!r}: give one row per item and one column "
            "per label"
        )
    # NaN comes through both, and no comparison with it is true.
    if len(table) and not (table.min() >= 0.0 and table.max() <= 1.0):
        good = ((table >= 0.0) & (table <= 1.0)).all(axis=1)
        row = int(np.argmin(good))
        raise UserError(
            f"row {row} of the probabilities is {_short(table[row])}: every label must have a "
            "probability from 0 to 1"
        )
    return table


def _top_two(p: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The largest and the second largest of each row of (n, C), C >= 2."""
    if p.shape[1] > _FEW:
        top = np.partition(p, p.shape[1] - 2, axis=1)
        return top[:, -1], top[:, -2]
    best, second = np.empty((2, len(p)), dtype=np.float32)
    for start in range(0, len(p), _BLOCK):
        columns = np.ascontiguousarray(p[start : start + _BLOCK].T)
        first, runner_up = best[start : start + _BLOCK], second[start : start + _BLOCK]
        np.maximum(columns[0], columns[1], out=first)
        np.minimum(columns[0], columns[1], out=runner_up)
        for column in columns[2:]:
            np.maximum(runner_up, np.minimum(first, column), out=runner_up)
            np.maximum(first, column, out=first)
    return best, second


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(values, 0.0, 1.0).astype(np.float32, copy=False)


def _short(row: NDArray[np.float32]) -> str:
    shown = ", ".join(f"{value:.3g}" for value in row[:6])
    return f"[{shown}{', …' if len(row) > 6 else ''}]"
