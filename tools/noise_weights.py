"""How much each given label should count: sample weights instead of a verdict.

`soft_weights` needs nothing but the labels; `meta_weights` needs a few that are known to be right
and vectors. Both give weights that any learner takes; see `noise` for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .noise import FitPredict, checked_labels, out_of_fold, small_loss

SMALLEST_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True)
class SoftWeights:
    """What `soft_weights` found.

    Args:
        weights: (n,) float32, 0 to 1: 0 is to be left out.
        probabilities: (n, C) float32 out-of-fold, of the last round's models.
        changes: mean absolute change of the weights in each round, from all 1.
    """

    weights: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    changes: tuple[float, ...]


def soft_weights(
    fit_predict: FitPredict,
    labels: NDArray[np.int64],
    classes: int,
    *,
    seed: int,
    rounds: int = 2,
    folds: int = 5,
    first: NDArray[np.float32] | None = None,
) -> SoftWeights:
    """Weigh each label by the probability that it is right, and look again with those weights.

    Round r: out-of-fold probabilities of models trained with the weights of round r - 1 (all 1
    at first), then w_i = P(low heap | loss_i) of `noise.small_loss`. Costs folds x rounds fits.

    Args:
        fit_predict: trains and predicts, see `noise.FitPredict`.
        labels: (n,) given labels, 0 to classes - 1.
        classes: C, at least 2.
        seed: of folds and mixture.
        rounds: at least 1.
        folds: from 2 to n.
        first: (n, C) out-of-fold probabilities with all weights 1, if they are known already;
            spares the fits of the first round.

    Returns:
        Weights; those below 0.001 are 0, and one item of each label keeps a weight above 0.

    Raises:
        UserError: arguments out of range.
        ModelError: the callback's probabilities are unusable.
    """
    if rounds < 1:
        raise UserError(f"rounds is {rounds!r}: give at least 1")
    given = checked_labels(labels, classes)
    weights = np.ones(len(given), dtype=np.float32)
    changes: list[float] = []
    said = (
        out_of_fold(fit_predict, given, classes, seed=seed, folds=folds) if first is None else first
    )
    for turn in range(rounds):
        if turn:
            said = out_of_fold(fit_predict, given, classes, weights=weights, seed=seed, folds=folds)
        found = small_loss(said, given, seed=seed).probability.copy()
        found[found < SMALLEST_WEIGHT] = 0.0
        _keep_every_label(found, said, given)
        changes.append(float(np.abs(found - weights).mean()))
        weights = found
    return SoftWeights(weights, said, tuple(changes))


def meta_weights(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    gold_vectors: NDArray[np.float32],
    gold_labels: NDArray[np.int64],
    classes: int,
    *,
    steps: int = 50,
    rate: float = 1.0,
) -> NDArray[np.float32]:
    """Weigh each label by how much learning from it helps on items known to be right.

    Ren et al. 2018, "Learning to Reweight Examples for Robust Deep Learning", eqs. 5 to 7:
    w_i = relu(-dL_gold/d eps_i) / sum, eps_i being the weight of row i in one gradient step. For
    softmax regression this is closed: with a = [x, 1] and grad_i = (p_i - y_i) a_i^T,
    -dL_gold/d eps_i = rate <grad_i, grad_gold> = rate (p_i - y_i) . (grad_gold a_i). Each step
    moves the regression, from all zeros, by the weighted gradient; the result is the mean over
    the steps. No randomness. O(steps n d C) time.

    Args:
        vectors: (n, d) of the labelled rows.
        labels: (n,) given.
        gold_vectors: (m, d) of rows not among the others.
        gold_labels: (m,) right labels.
        classes: C, at least 2.
        steps: at least 1.
        rate: length of a step, above 0; above 2 it may swing on vectors of norm 1.

    Returns:
        (n,) float32, at least 0, mean 1; 0 is to be left out.

    Raises:
        UserError: arguments out of range or not fitting, or no label helps on gold.
    """
    if steps < 1 or not 0.0 < rate < np.inf:
        raise UserError(f"steps is {steps!r} and rate {rate!r}: give at least 1 and above 0")
    given, gold = checked_labels(labels, classes), checked_labels(gold_labels, classes)
    inputs = _with_constant(vectors, given)
    gold_inputs = _with_constant(gold_vectors, gold)
    if inputs.shape[1] != gold_inputs.shape[1]:
        raise UserError(
            f"vectors have {vectors.shape[1]!r} columns and gold {gold_vectors.shape[1]!r}: "
            "embed both with one encoder"
        )
    model = np.zeros((classes, inputs.shape[1]), dtype=np.float32)
    sum_of_weights = np.zeros(len(given), dtype=np.float64)
    for _ in range(steps):
        gold_gradient = _errors(gold_inputs, gold, model).T @ gold_inputs / np.float32(len(gold))
        errors = _errors(inputs, given, model)
        helps = np.maximum(np.einsum("ij,ij->i", errors, inputs @ gold_gradient.T), 0.0)
        total = float(helps.sum())
        if total <= 0.0:
            break
        weights = helps / np.float32(total)
        sum_of_weights += weights
        model -= np.float32(rate) * ((errors * weights[:, None]).T @ inputs)
    if not sum_of_weights.any():
        raise UserError(
            "no given label helps on the gold items: give gold items of the same kind of texts"
        )
    scaled: NDArray[np.float32] = (sum_of_weights / sum_of_weights.mean()).astype(np.float32)
    return scaled


def _keep_every_label(
    weights: NDArray[np.float32], said: NDArray[np.float32], given: NDArray[np.int64]
) -> None:
    """Without one example a label could not come back in the next round."""
    own = said[np.arange(len(given)), given]
    order = np.lexsort((own, given))
    last = np.flatnonzero(np.append(np.diff(given[order]) != 0, True))
    best = order[last]
    weights[best] = np.maximum(weights[best], SMALLEST_WEIGHT)


def _with_constant(vectors: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    if vectors.ndim != 2 or len(vectors) != len(labels) or not np.isfinite(vectors).all():
        raise UserError(
            f"vectors have shape {vectors.shape!r} for {len(labels)!r} labels, or a value that is "
            "not finite: give one finite row for each label"
        )
    ones = np.ones((len(vectors), 1), dtype=np.float32)
    return np.concatenate([vectors.astype(np.float32), ones], axis=1)


def _errors(
    inputs: NDArray[np.float32], labels: NDArray[np.int64], model: NDArray[np.float32]
) -> NDArray[np.float32]:
    logits = inputs @ model.T
    found: NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
    found /= found.sum(axis=1, keepdims=True)
    found[np.arange(len(labels)), labels] -= 1.0
    return found
