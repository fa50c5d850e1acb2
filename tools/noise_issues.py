"""Labels that a learner, or two of them, surely contradict.

Three readings of out-of-fold probabilities (`noise.out_of_fold`): confident learning
(`label_issues`), the agreement of two different learners with the given labels
(`co_prediction`), and what both of them would say instead (`relabel`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .noise import SMALLEST_PROBABILITY, checked


@dataclass(frozen=True, slots=True)
class LabelIssues:
    """What `label_issues` found.

    Args:
        suspected: (n,) the label is taken to be wrong.
        suggestion: (n,) the label that the item is counted under, the given one where the model
            is sure of none.
        counts: (C, C) confident joint: rows given, columns suggested, sure items only.
        thresholds: (C,) float32 the probability from which a label counts as sure; infinite for
            a label that no item was given.
        noise: estimated share of wrong labels, 0 to 1.
    """

    suspected: NDArray[np.bool_]
    suggestion: NDArray[np.int64]
    counts: NDArray[np.int64]
    thresholds: NDArray[np.float32]
    noise: float


@dataclass(frozen=True, slots=True)
class CoPrediction:
    """Three disjoint parts that together are all rows, each (n,).

    Args:
        clean: both learners predict the given label.
        purify: both predict another one and both are sure: the label needs another look.
        hard: everything else.
    """

    clean: NDArray[np.bool_]
    purify: NDArray[np.bool_]
    hard: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Relabelled:
    """What `relabel` made.

    Args:
        labels: (n,) the new labels.
        changed: (n,) where they differ from the given ones.
    """

    labels: NDArray[np.int64]
    changed: NDArray[np.bool_]


def thresholds_of(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float32]:
    """From which probability on a label counts as sure: t_j, see `label_issues`.

    Args:
        probabilities: (n, C) out-of-fold.
        labels: (n,) given.

    Returns:
        (C,) float32; infinite for a label that no item was given.

    Raises:
        UserError: shapes or values that do not fit.
    """
    given = checked(probabilities, labels)
    classes = probabilities.shape[1]
    sizes = np.bincount(given, minlength=classes)
    own = probabilities[np.arange(len(given)), given]
    sums = np.bincount(given, weights=own, minlength=classes)
    found = np.where(sizes > 0, sums / np.maximum(sizes, 1), np.inf)
    return found.astype(np.float32)


def label_issues(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> LabelIssues:
    """Confident learning: items that the model surely puts under another label.

    t_j is the mean p(j) over the items given j. An item is counted under
    argmax p(j) over the labels with p(j) >= t_j, if there are any; counted elsewhere than
    given, it is suspected (Northcutt, Jiang & Chuang 2021, "Confident Learning", eqs. 1 and 2,
    "C_confusion"). The noise is the off-diagonal mass of the joint, whose rows are scaled to
    how often each label was given (eq. 3).

    Args:
        probabilities: (n, C) out-of-fold.
        labels: (n,) given.

    Returns:
        Suspected items, suggestions and the joint.

    Raises:
        UserError: shapes or values that do not fit.
    """
    given = checked(probabilities, labels)
    total, classes = probabilities.shape
    thresholds = thresholds_of(probabilities, given)
    sure = probabilities >= thresholds - SMALLEST_PROBABILITY
    best = np.where(sure, probabilities, -1.0).argmax(axis=1)
    counted = sure.any(axis=1)
    suggestion = np.where(counted, best, given).astype(np.int64)
    places = given[counted] * classes + suggestion[counted]
    counts = np.bincount(places, minlength=classes * classes).reshape(classes, classes)
    sizes = np.bincount(given, minlength=classes)
    rows = counts.sum(axis=1)
    kept = np.where(rows > 0, counts.diagonal() / np.maximum(rows, 1), 1.0)
    noise = float(1.0 - (kept * sizes).sum() / total)
    return LabelIssues(
        suggestion != given, suggestion, counts.astype(np.int64), thresholds, max(noise, 0.0)
    )


def co_prediction(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> CoPrediction:
    """Where two different learners agree or disagree with the given labels.

    The three parts of Yuan et al. 2025 ("NoiseAL"). Sure means at least the mean probability
    that the learner gives this label on the items that were given it (t_j of `label_issues`), so
    that learners whose confidence is on different scales can be compared.

    Args:
        first: (n, C) out-of-fold probabilities of one learner.
        second: (n, C) of another one; the more the two differ, the more agreement says.
        labels: (n,) given.

    Returns:
        Clean, hard, and to be purified.

    Raises:
        UserError: shapes or values that do not fit.
    """
    given = checked(first, labels)
    checked(second, labels)
    if first.shape != second.shape:
        raise UserError(
            f"probabilities have shapes {first.shape!r} and {second.shape!r}: give both learners' "
            "for the same labels"
        )
    clean = np.ones(len(given), dtype=np.bool_)
    purify = np.ones(len(given), dtype=np.bool_)
    for said in (first, second):
        best = said.argmax(axis=1)
        sure = said.max(axis=1) >= thresholds_of(said, given)[best] - SMALLEST_PROBABILITY
        clean &= best == given
        purify &= (best != given) & sure
    return CoPrediction(clean, purify, ~clean & ~purify)


def relabel(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> Relabelled:
    """Replace a label where both learners surely name the same other one.

    Args:
        first: (n, C) out-of-fold probabilities of one learner.
        second: (n, C) of another one.
        labels: (n,) given.

    Returns:
        The labels, the given ones wherever the rule of `co_prediction` does not purify or the
        two name different labels.

    Raises:
        UserError: shapes or values that do not fit.
    """
    purify = co_prediction(first, second, labels).purify
    best = first.argmax(axis=1)
    changed = purify & (best == second.argmax(axis=1))
    return Relabelled(np.where(changed, best, labels).astype(np.int64), changed)
