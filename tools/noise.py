"""Which of the given labels are probably wrong, whatever learner is asked.

Language models and hurried people give wrong labels. A model that never saw an item's label says
what it thinks of it (`out_of_fold`), and a high loss of the given label is a first suspicion
(`small_loss`). `noise_issues` reads the same opinion in other ways, `noise_weights` makes sample
weights of it. `docs/results/noise.md` has what each gains.

The learner is a callback, `FitPredict`, so that any of them will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..models.mixture import low_heap
from ..store.errors import ModelError, UserError

# The published setting: Xiao et al. 2023 (FreeAL).
CLEAN_ABOVE = 0.7
SMALLEST_PROBABILITY = 1e-6


class FitPredict(Protocol):
    """Train a new model on some rows and ask it about others; see `out_of_fold`."""

    def __call__(
        self,
        train_rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        weights: NDArray[np.float32],
        predict_rows: NDArray[np.int64],
        /,
    ) -> NDArray[np.float32]:
        """Probabilities (len(predict_rows), C) of a model trained on `train_rows` alone.

        Args:
            train_rows: (m,) distinct rows.
            labels: (m,) the label of each.
            weights: (m,) above 0, how much each counts.
            predict_rows: (k,) rows to predict.
        """


@dataclass(frozen=True, slots=True)
class SmallLoss:
    """What `small_loss` found.

    Args:
        clean: (n,) the label is taken to be right.
        probability: (n,) float32, 0 to 1, that it is.
    """

    clean: NDArray[np.bool_]
    probability: NDArray[np.float32]


def out_of_fold(
    fit_predict: FitPredict,
    labels: NDArray[np.int64],
    classes: int,
    *,
    seed: int,
    weights: NDArray[np.float32] | None = None,
    folds: int = 5,
) -> NDArray[np.float32]:
    """The opinion of models that never saw the label of the item: K-fold cross-prediction.

    Every label is spread evenly over the folds. Rows of weight 0 are predicted, never learned
    from.

    Args:
        fit_predict: trains and predicts; called once for each fold.
        labels: (n,) given labels, 0 to classes - 1.
        classes: C, at least 2.
        seed: of the folds.
        weights: (n,) at least 0; all 1 when absent.
        folds: K, from 2 to n.

    Returns:
        (n, C) float32.

    Raises:
        UserError: arguments out of range, or a fold leaves nothing to learn from.
        ModelError: the callback gives no table of finite probabilities of the right shape.
    """
    given = checked_labels(labels, classes)
    total = len(given)
    counted = np.ones(total, dtype=np.float32) if weights is None else weights
    if counted.shape != (total,) or not (np.isfinite(counted) & (counted >= 0)).all():
        raise UserError(
            f"weights have shape {counted.shape!r} for {total!r} labels, or a value below 0: give "
            "one number of at least 0 for each"
        )
    if not 2 <= folds <= total:
        raise UserError(f"folds is {folds!r} for {total!r} rows: give 2 to the number of rows")
    found = np.empty((total, classes), dtype=np.float32)
    fold_of = _folds(given, folds, seed)
    for fold in range(folds):
        held = np.flatnonzero(fold_of == fold)
        kept = np.flatnonzero((fold_of != fold) & (counted > 0))
        if not len(kept):
            raise UserError("no row outside a fold has a weight above 0: give more rows weight")
        said = fit_predict(kept, given[kept], counted[kept].astype(np.float32), held)
        if said.shape != (len(held), classes) or not np.isfinite(said).all():
            raise ModelError(
                f"the learner gave probabilities of shape {said.shape!r} for {len(held)!r} rows "
                f"and {classes!r} labels, or not finite ones: give one finite row for each"
            )
        found[held] = said
    return found


def given_loss(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Cross-entropy of each given label: -log p(given), p taken as at least 1e-6.

    Args:
        probabilities: (n, C) out-of-fold.
        labels: (n,) given.

    Returns:
        (n,) float32, 0 to 13.8.

    Raises:
        UserError: shapes or values that do not fit.
    """
    given = checked(probabilities, labels)
    chosen = probabilities[np.arange(len(given)), given]
    found: NDArray[np.float32] = -np.log(np.clip(chosen, SMALLEST_PROBABILITY, 1.0))
    return found.astype(np.float32)


def small_loss(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    seed: int,
    clean_above: float = CLEAN_ABOVE,
) -> SmallLoss:
    """Split the losses of the given labels into a low and a high heap.

    The heaps are those of `low_heap` (DivideMix); a label is clean if P(low heap | loss) >
    `clean_above`. Losses that are all alike are all clean: none stands out.

    Args:
        probabilities: (n, C) out-of-fold, n at least 2.
        labels: (n,) given.
        seed: of the start of the fit.
        clean_above: from 0 to below 1.

    Returns:
        Clean or not, and the probability.

    Raises:
        UserError: shapes or values that do not fit.
    """
    if not 0.0 <= clean_above < 1.0:
        raise UserError(f"clean_above is {clean_above!r}: give a number from 0 to below 1")
    loss = given_loss(probabilities, labels)
    if len(loss) < 2:
        raise UserError(f"there are {len(loss)!r} labels: give at least 2")
    probability = low_heap(loss, seed=seed)
    return SmallLoss(probability > clean_above, probability)


def checked_labels(labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """The labels as int64.

    Raises:
        UserError: fewer than 2 classes, no row, or a label that is no index of a class.
    """
    if classes < 2:
        raise UserError(f"classes is {classes!r}: give at least 2")
    if labels.ndim != 1 or not len(labels) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"labels have shape {labels.shape!r} and type {str(labels.dtype)!r}: give the index "
            "of each row's label"
        )
    strange = labels[(labels < 0) | (labels >= classes)]
    if len(strange):
        raise UserError(f"label index {int(strange[0])!r} is not within 0 to {classes - 1!r}")
    return labels.astype(np.int64)


def checked(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The labels as int64.

    Raises:
        UserError: not a table of numbers from 0 to 1 with one row for each label.
    """
    if probabilities.ndim != 2 or probabilities.shape[:1] != labels.shape:
        raise UserError(
            f"probabilities have shape {probabilities.shape!r} for labels of shape "
            f"{labels.shape!r}: give one row for each label"
        )
    given = checked_labels(labels, probabilities.shape[1])
    # Rounding of float32 may leave a hair above 1.
    if not ((probabilities >= 0) & (probabilities <= 1.0 + 1e-4)).all():
        raise UserError("a probability is not within 0 to 1: give probabilities, not margins")
    return given


def _folds(labels: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold_of = np.empty(len(labels), dtype=np.int64)
    fold_of[order] = np.arange(len(labels)) % folds
    return fold_of
