"""Logistic regression with soft targets, for one label an item or several, and its posterior.

Scikit-learn's takes one label a row: a soft label would be as many rows as there are classes.
Here the targets are a matrix, and all outputs are found in one optimisation. For hard labels the
result is scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from ..progress import Task
from .base import softmax

MAX_STEPS = 500
# The largest derivative of the mean loss that counts as none, as in scikit-learn.
_FLAT = 1e-4
# Measured on AG News, TREC and Banking77 with 30 to 300 labels: drawn from the posterior as it is,
# the mean prediction is right 1 to 8 points less often than the weights themselves. A quarter of
# the variance costs 0 to 3 points, and what the draws disagree about finds errors better.
TEMPERATURE = 0.25
_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class Logistic:
    """Weights of K outputs: one for each label, or the odds of label 1 against label 0.

    Args:
        coefficients: (K, d).
        intercept: (K,).
        multi_label: each output is a probability by itself; else they are those of one label.
    """

    coefficients: NDArray[np.float32]
    intercept: NDArray[np.float32]
    multi_label: bool

    def probabilities(self, vectors: Any) -> NDArray[np.float32]:
        """(n, C) of vectors (n, d), which may be sparse."""
        return to_probabilities(self.logits(vectors), multi_label=self.multi_label)

    def logits(self, vectors: Any) -> NDArray[np.float32]:
        """(n, K) of vectors (n, d), which may be sparse."""
        result: NDArray[np.float32] = vectors @ self.coefficients.T + self.intercept
        return result


@dataclass(frozen=True, slots=True)
class Posterior:
    """What the labels leave open of the weights: a normal distribution around them.

    Laplace's method: the covariance is the inverse of the loss's curvature, H = W A x B + I / C,
    with A (d + 1, d + 1) the weighted mean of x x' over the n rows x (a 1 appended), B (K, K) that
    of diag(p) - p p' over their predictions p, and W the summed weights. Ritter, Botev and Barber
    2018, A Scalable Laplace Approximation for Neural Networks, eq. 5 and 8, for the last layer;
    the prior is added exactly, in the eigenvectors of both factors. All variances are multiplied
    by `TEMPERATURE`.

    Args:
        inputs: (d + 1, d + 1) eigenvectors of A, in columns.
        outputs: (K, K) eigenvectors of B, in columns.
        variances: (K, d + 1) in those directions.
    """

    inputs: NDArray[np.float32]
    outputs: NDArray[np.float32]
    variances: NDArray[np.float32]

    def draw(self, samples: int, seed: int) -> NDArray[np.float32]:
        """(samples, K, d + 1) steps away from the weights, intercept last.

        Raises:
            UserError: `samples` below 1.
        """
        if samples < 1:
            raise UserError(f"samples is {samples!r}: ask for at least 1")
        normal = np.random.default_rng(seed).standard_normal(
            (samples, *self.variances.shape), dtype=np.float32
        )
        steps: NDArray[np.float32] = self.outputs @ (normal * np.sqrt(self.variances))
        return steps @ self.inputs.T


def to_probabilities(logits: NDArray[Any], *, multi_label: bool) -> NDArray[np.float32]:
    """(n, C) of logits (n, K); K is 1 for two labels of which an item has one."""
    if multi_label:
        return sigmoid(logits)
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    return softmax(logits)


def sigmoid(logits: NDArray[Any]) -> NDArray[np.float32]:
    """1 / (1 + exp(-x)), without overflow."""
    from scipy.special import expit

    result: NDArray[np.float32] = expit(logits).astype(np.float32)
    return result


def inverse_regularisation(classes: int) -> float:
    """C of the logistic regression on vectors of norm 1: 2 sqrt(classes).

    Measured on 75 to 300 random labels: 2 to 4 classes want 3, 77 classes want 10 to 30; the same
    where an item has one to three of 6 or 77 labels.
    """
    return float(2.0 * np.sqrt(classes))


def fit_logistic(
    vectors: NDArray[np.float32],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    *,
    multi_label: bool,
) -> tuple[Logistic, int]:
    """The weights that minimise C x weighted loss + half their squared length.

    C is `inverse_regularisation`; the loss is the cross entropy of the targets, with
    `multi_label` that of each target by itself; the intercept is free. Two labels of which an
    item has one are one output.

    Args:
        vectors: (n, d).
        targets: (n, C) in [0, 1]; rows sum to 1 unless `multi_label`.
        weights: (n,), or (n, C) with `multi_label`; above 0.
        multi_label: whether an item may have several labels.

    Returns:
        The weights, and the steps it took to find them.
    """
    from scipy.optimize import minimize

    classes = targets.shape[1]
    if not multi_label and classes == 2:
        targets, weights = targets[:, 1:], weights[:, None]
    shape = (targets.shape[1], vectors.shape[1] + 1)
    decay = 1.0 / inverse_regularisation(classes)
    options: Any = {
        "maxiter": MAX_STEPS,
        "maxls": 50,
        # With `multi_label` each output has a mean loss of its own.
        "gtol": _FLAT / (classes if multi_label else 1),
        "ftol": 64 * np.finfo(float).eps,
    }
    with one_core():
        solved = minimize(
            _objective(vectors, targets, weights, shape, decay),
            np.zeros(shape[0] * shape[1]),
            jac=True,
            method="L-BFGS-B",
            options=options,
        )
    found = solved.x.reshape(shape).astype(np.float32)
    return Logistic(found[:, :-1].copy(), found[:, -1].copy(), multi_label), int(solved.nit)


def laplace(
    model: Logistic,
    vectors: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> Posterior:
    """What rows leave open of the weights of a model; see `Posterior`.

    Args:
        model: fitted to the rows.
        vectors: (n, d).
        probabilities: (n, C) by the model.
        weights: (n,), or (n, C) with several labels an item; as the model was fitted.
    """
    each = weights if weights.ndim == 2 else weights[:, None]
    chances = probabilities.astype(np.float64)
    if len(model.coefficients) == 1:
        chances = chances[:, 1:]
    curvature = np.diag((each * chances * (1 - chances)).sum(axis=0))
    if not model.multi_label and chances.shape[1] > 1:
        curvature = np.diag((each * chances).sum(axis=0)) - (each * chances).T @ chances
    rows: NDArray[np.float64] = each.mean(axis=1, dtype=np.float64)
    with one_core():
        extended = np.concatenate([vectors, np.ones((len(vectors), 1), dtype=np.float32)], axis=1)
        spread = (extended * (rows / rows.sum())[:, None]).T @ extended
        input_values, inputs = np.linalg.eigh(spread)
        output_values, outputs = np.linalg.eigh(curvature)
    prior = 1.0 / inverse_regularisation(probabilities.shape[1])
    curved = np.outer(np.maximum(output_values, 0), np.maximum(input_values, 0))
    return Posterior(
        inputs.astype(np.float32),
        outputs.astype(np.float32),
        (TEMPERATURE / (curved + prior)).astype(np.float32),
    )


def sampled_probabilities(
    model: Logistic,
    logits: NDArray[np.float32],
    vectors: NDArray[np.float32],
    steps: NDArray[np.float32],
    task: Task,
) -> NDArray[np.float32]:
    """Probabilities (T, n, C) of rows by each of T draws.

    Args:
        model: says how logits become probabilities.
        logits: (n, K) of the rows.
        vectors: (n, d) of the rows, in the space of the posterior.
        steps: (T, K, d + 1) by `Posterior.draw`.
        task: advanced by the rows of each block.
    """
    samples, outputs, width = steps.shape
    classes = outputs if model.multi_label else max(2, outputs)
    result = np.empty((samples, len(vectors), classes), dtype=np.float32)
    flat = steps.reshape(-1, width)
    block = max(1, _BLOCK // len(flat))
    for start in range(0, len(vectors), block):
        part = slice(start, start + block)
        moved = vectors[part] @ flat[:, :-1].T + flat[:, -1]
        moved = moved.reshape(-1, samples, outputs) + logits[part, None]
        found = to_probabilities(moved.reshape(-1, outputs), multi_label=model.multi_label)
        result[:, part] = found.reshape(-1, samples, classes).transpose(1, 0, 2)
        task.advance(len(moved))
    return result


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of norm 1; a row of zeros becomes the first axis."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: NDArray[np.float32] = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    result[lengths[:, 0] == 0, 0] = 1.0
    return result


def no_posterior(name: str) -> UserError:
    """The error for asking a model of an older version for samples."""
    return UserError(f"this {name!r} model was saved without a posterior: train it again")


@contextmanager
def one_core() -> Iterator[None]:
    """Matrix products on one core within: over several, each waits for whatever else runs there.

    Measured with other work on the machine: 77 classes, 300 rows, 6 s on two cores, 0.2 s on one.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield


def _objective(
    vectors: NDArray[np.float32],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    shape: tuple[int, int],
    decay: float,
) -> Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]:
    # Divided by the summed weights, so that "flat" means the same for few rows and many.
    total = float(weights.sum(dtype=np.float64))
    loss = _each_alone if weights.ndim == 2 else _one_of_all

    def value_and_slope(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        found = flat.reshape(shape)
        logits = (vectors @ found[:, :-1].T.astype(np.float32)).astype(np.float64)
        value, residual = loss(logits + found[:, -1], targets, weights)
        slope = np.empty(shape)
        slope[:, :-1] = residual.T.astype(np.float32) @ vectors
        slope[:, :-1] += decay * found[:, :-1]
        slope[:, -1] = residual.sum(axis=0)
        length = float((found[:, :-1] ** 2).sum())
        return (value + 0.5 * decay * length) / total, slope.ravel() / total

    return value_and_slope


def _one_of_all(
    logits: NDArray[np.float64], targets: NDArray[np.float32], weights: NDArray[np.float32]
) -> tuple[float, NDArray[np.float64]]:
    logits -= logits.max(axis=1, keepdims=True)
    chances = np.exp(logits)
    sums = chances.sum(axis=1, keepdims=True)
    value = float(weights @ (np.log(sums[:, 0]) - (targets * logits).sum(axis=1)))
    return value, (chances / sums - targets) * weights[:, None]


def _each_alone(
    logits: NDArray[np.float64], targets: NDArray[np.float32], weights: NDArray[np.float32]
) -> tuple[float, NDArray[np.float64]]:
    from scipy.special import expit

    value = float((weights * (np.logaddexp(0.0, logits) - targets * logits)).sum())
    return value, (expit(logits) - targets) * weights
