"""What a batch of labels gained, without a test set: the reward of `adaptive`.

The labels that were there before the batch are predicted by cross-validation twice, by models
that learn from the others alone and by models that learn from the others and the batch. Both see
the same folds, so what differs is the batch. Items of the batch are never judged: a strategy that
looks for difficult items would pay for their difficulty, or be paid for it, whatever they teach.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ....store.errors import UserError

_FOLDS = 5
# No label is impossible, and no single item decides.
_FLOOR = 1e-4


def gain(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    batch_vectors: NDArray[np.float32],
    batch_labels: NDArray[np.int64],
    *,
    seed: int,
) -> float | None:
    """How fast a batch lowered the error on the labels that were there before it.

    A logistic regression on the vectors stands in for the learner, whichever that is: it takes
    ten fits, a fraction of a second for some hundred labels.

    Args:
        vectors: unit vectors of the m items labelled before, shape (m, d).
        labels: their label indices, shape (m,).
        batch_vectors: unit vectors of the b items of the batch, shape (b, d).
        batch_labels: their label indices, shape (b,).
        seed: of the folds.

    Returns:
        See `reward`; `None` where there are too few labels to measure it: fewer than 10, or
        fewer than two different ones.

    Raises:
        UserError: an empty batch, or numbers of vectors and labels that differ.
    """
    if len(vectors) != len(labels) or len(batch_vectors) != len(batch_labels):
        raise UserError(
            f"there are {len(vectors)} vectors for {len(labels)} labels and "
            f"{len(batch_vectors)} for {len(batch_labels)} of the batch: give one label each"
        )
    if len(batch_labels) == 0:
        raise UserError("a batch of 0 items has no gain: measure one with labels")
    if len(labels) < 2 * _FOLDS or len(np.unique(labels)) < 2:
        return None
    fold = np.random.default_rng(seed).permutation(len(labels)) % _FOLDS
    classes = int(max(labels.max(), batch_labels.max())) + 1
    before = np.empty((len(labels), classes), dtype=np.float32)
    after = np.empty_like(before)
    for held in range(_FOLDS):
        mine, others = fold == held, fold != held
        known, truth = vectors[others], labels[others]
        before[mine] = _probe(known, truth, vectors[mine], classes)
        more = np.concatenate([known, batch_vectors])
        after[mine] = _probe(more, np.concatenate([truth, batch_labels]), vectors[mine], classes)
    learnt = len(labels) * (_FOLDS - 1) / _FOLDS
    return reward(before, after, labels, growth=(learnt + len(batch_labels)) / learnt)


def reward(
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    growth: float,
) -> float:
    """The exponent with which log loss falls as labels grow: log(L / L') / log(growth).

    Learning curves are close to power laws (Hestness et al. 2017), on which this exponent is the
    same early and late, where the loss itself falls less and less: so batches of different
    rounds and sizes can be compared.

    Args:
        before: probabilities (m, C) of labelled items by a model that knew neither them nor the
            batch.
        after: the same by one that knew the batch and not them.
        labels: label indices of the items, shape (m,).
        growth: labels that the model learnt from with the batch, divided by those without; above 1.

    Returns:
        Above 0 where the batch helped, below where it harmed.

    Raises:
        UserError: tables of different shapes, or a growth of 1 or less.
    """
    if before.shape != after.shape or len(before) != len(labels) or len(labels) == 0:
        raise UserError(
            f"probabilities before and after have shapes {before.shape!r} and {after.shape!r} for "
            f"{len(labels)} labels: give one row for each"
        )
    if not growth > 1:
        raise UserError(f"growth is {growth!r}: give a number above 1")
    lost, left = _log_loss(before, labels), _log_loss(after, labels)
    return math.log(lost / left) / math.log(growth)


def _log_loss(p: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    right = np.clip(p[np.arange(len(labels)), labels].astype(np.float64), _FLOOR, 1 - _FLOOR)
    return float(-np.log(right).mean())


def _probe(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    asked: NDArray[np.float32],
    classes: int,
) -> NDArray[np.float32]:
    """Probabilities (n, C) by a logistic regression; labels it never saw get none."""
    from sklearn.linear_model import LogisticRegression

    from ....models.learners.logistic import one_core

    found = np.zeros((len(asked), classes), dtype=np.float32)
    if len(np.unique(labels)) == 1:
        found[:, labels[0]] = 1.0
        return found
    with one_core():
        probe = LogisticRegression(C=10.0, max_iter=1000, tol=1e-3).fit(vectors, labels)
    found[:, probe.classes_] = probe.predict_proba(asked)
    return found
