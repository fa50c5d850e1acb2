"""A linear chain learned from few texts: scores of tags and steps by maximum a posteriori.

The score of a tag is the sum over its *parts*: being inside of an entity at all, beginning or
continuing one, being of a type, and the tag itself. So what is common to all types is learned from
all of them, and a type met twice can differ from it by what its two examples support. (Weights
shared by addition: Daumé 2007, Frustratingly Easy Domain Adaptation.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .chain import Batch, Scores, Steps, batches, forward, possible_steps

MAX_STEPS = 300
_FLAT = 1e-3
# Kinds of step: out to out, out to in, on within a span, out of one, from one to the next; then
# the kinds of beginning: outside, inside.
_KINDS = 7
_STEP_DECAY = 0.1


@dataclass(frozen=True, slots=True)
class Columns:
    """Features of m words: dense and sparse columns side by side.

    Args:
        dense: (m, a), in the precision that products with it have.
        sparse: (m, b) sparse matrix of scipy; `None` for none.
    """

    dense: NDArray[Any]
    sparse: Any = None

    def times(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(m, k) of weights (a + b, k)."""
        cut = self.dense.shape[1]
        found: NDArray[np.float64]
        found = (self.dense @ weights[:cut].astype(self.dense.dtype)).astype(np.float64)
        return found if self.sparse is None else np.asarray(found + self.sparse @ weights[cut:])

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(a + b, k) sums over the words of feature times value, of values (m, k)."""
        found: NDArray[np.float64]
        found = (self.dense.T @ values.astype(self.dense.dtype)).astype(np.float64)
        if self.sparse is None:
            return found
        return np.concatenate([found, self.sparse.T @ values])


@dataclass(frozen=True, slots=True)
class Chain:
    """Fitted weights.

    Args:
        coefficients: (features, K) of each tag.
        intercept: (K,).
        steps: of steps.
    """

    coefficients: NDArray[np.float64]
    intercept: NDArray[np.float64]
    steps: Steps

    def scores(self, features: Columns) -> Scores:
        """(m, K) of the features of m words."""
        return features.times(self.coefficients) + self.intercept


@dataclass(frozen=True, slots=True)
class Examples:
    """Texts whose tags are known.

    Args:
        features: of all m words.
        tags: (m,).
        offsets: (n + 1,) where texts begin.
        weights: (n,) above 0.
    """

    features: Columns
    tags: NDArray[np.intp]
    offsets: NDArray[np.int64]
    weights: NDArray[np.float64]


def parts_of_tags(types: int) -> NDArray[np.float64]:
    """(parts, K) ones where a tag has a part; `O` has none."""
    tags = 2 * types + 1
    inside = np.arange(1, tags)
    rows = [inside, inside[::2], inside[1::2]]
    rows += [inside[2 * kind : 2 * kind + 2] for kind in range(types)] if types > 1 else []
    rows += [inside[place : place + 1] for place in range(tags - 1)] if types > 1 else []
    parts = np.zeros((len(rows), tags))
    for row, members in enumerate(rows):
        parts[row, members] = 1.0
    return parts


def fit_chain(
    examples: Examples, types: int, penalties: NDArray[np.float64]
) -> tuple[Chain, int, float]:
    """The weights that minimise weighted loss + half the sum of penalties x squared weights.

    The loss of a text is minus the log-probability of its tags; the optimum is found by L-BFGS.

    Args:
        examples: n texts.
        types: C.
        penalties: (f,) above 0, of each feature's weights.

    Returns:
        The weights, the steps it took, and the mean loss a text.
    """
    from scipy.optimize import minimize

    problem = _Problem(examples, types, penalties)
    total = float(examples.weights.sum())

    def mean(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, slope = problem.value_and_slope(x)
        return value / total, slope / total

    found = minimize(
        mean,
        np.zeros(problem.size),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_STEPS, "gtol": _FLAT / 10, "ftol": 1e-7},
    )
    chain = problem.chain(found.x)
    return chain, int(found.nit), problem.loss / total


class _Problem:
    """The function to minimise, and what its argument means."""

    def __init__(self, examples: Examples, types: int, penalties: NDArray[np.float64]) -> None:
        self.examples, self.types = examples, types
        self.parts = parts_of_tags(types)
        self.kinds, self.first_kinds = _step_kinds(types)
        self.shape = len(penalties), len(self.parts)
        self.size = (self.shape[0] + 1) * self.shape[1] + _KINDS
        # An intercept and a step are held only so far that what never occurs stays possible.
        decay = np.full((self.shape[0] + 1, self.shape[1]), _STEP_DECAY)
        decay[:-1] = penalties[:, None]
        self.decay = np.concatenate([decay.ravel(), np.full(_KINDS, _STEP_DECAY)])
        self.each = np.repeat(examples.weights, np.diff(examples.offsets))
        self.loss = 0.0

    def chain(self, x: NDArray[np.float64]) -> Chain:
        weights = x[:-_KINDS].reshape(self.shape[0] + 1, -1) @ self.parts
        steps = possible_steps(self.types)
        kinds = x[-_KINDS:]
        return Chain(
            weights[:-1],
            weights[-1],
            Steps(steps.between + kinds[self.kinds], steps.first + kinds[self.first_kinds]),
        )

    def value_and_slope(self, x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        chain = self.chain(x)
        data = self.examples
        scores = chain.scores(data.features)
        self.loss, residual = 0.0, np.zeros_like(scores)
        between, first = np.zeros_like(chain.steps.between), np.zeros_like(chain.steps.first)
        for batch in batches(scores, data.offsets):
            part = _batch_slope(batch, chain.steps, data.tags, data.weights)
            self.loss += part.loss
            residual[batch.places] = part.scores
            between += part.between
            first += part.first
        slope = np.zeros(self.size)
        inner = slope[:-_KINDS].reshape(self.shape[0] + 1, -1)
        inner[:-1] = data.features.sums(residual) @ self.parts.T
        inner[-1] = residual.sum(axis=0) @ self.parts.T
        np.add.at(slope[-_KINDS:], self.kinds, between)
        np.add.at(slope[-_KINDS:], self.first_kinds, first)
        return self.loss + 0.5 * float(self.decay @ x**2), slope + self.decay * x


@dataclass(frozen=True, slots=True)
class _Slope:
    loss: float
    scores: Scores
    between: Scores
    first: Scores


def _batch_slope(
    batch: Batch, steps: Steps, tags: NDArray[np.intp], weights: NDArray[np.float64]
) -> _Slope:
    """Loss of a batch, and its slope by word scores and step scores."""
    used, w = batch.used, weights[batch.rows]
    ahead = forward(batch, steps)
    back = _backward(batch, steps)
    total = np.logaddexp.reduce(ahead[:, -1], axis=1)
    chances = np.exp(ahead + back - total[:, None, None]) * w[:, None, None]
    top = ahead[:, :-1].max(axis=2, keepdims=True)
    left = np.exp(ahead[:, :-1] - top)
    # Only where a step is impossible can this be large.
    right = np.exp(np.minimum(batch.scores[:, 1:] + back[:, 1:] + top - total[:, None, None], 500))
    right *= (used[:, 1:] * w[:, None])[:, :, None]
    size = batch.scores.shape[2]
    between = np.exp(steps.between) * (left.reshape(-1, size).T @ right.reshape(-1, size))
    first = chances[:, 0].sum(axis=0)
    chain = np.zeros(used.shape, dtype=np.intp)
    chain[used] = tags[batch.places]
    rows, columns = np.nonzero(used)
    right_scores = batch.scores[rows, columns, chain[used]]
    loss = float(w @ total) - float(np.repeat(w, batch.lengths) @ right_scores)
    chances[rows, columns, chain[used]] -= w[rows]
    inner = used[:, 1:]
    here, after, each = chain[:, :-1][inner], chain[:, 1:][inner], np.repeat(w, batch.lengths - 1)
    loss -= float(steps.between[here, after] @ each)
    loss -= float(w @ steps.first[chain[:, 0]])
    np.add.at(between, (here, after), -each)
    np.add.at(first, chain[:, 0], -w)
    return _Slope(loss, chances[used], between, first)


def _backward(batch: Batch, steps: Steps) -> Scores:
    """Log of the sum over all continuations after each word: (b, longest, K)."""
    step = np.exp(steps.between).T
    sums = np.zeros_like(batch.scores)
    for t in range(sums.shape[1] - 2, -1, -1):
        after = sums[:, t + 1] + batch.scores[:, t + 1]
        top = after.max(axis=1, keepdims=True)
        here = np.log(np.exp(after - top) @ step) + top
        sums[:, t] = np.where((t + 1 < batch.lengths)[:, None], here, 0.0)
    return sums


def _step_kinds(types: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which kind each step (K, K) and each beginning (K,) is; the impossible ones any."""
    tags = 2 * types + 1
    kinds = np.full((tags, tags), 4, dtype=np.intp)
    kinds[0, :], kinds[0, 0], kinds[1:, 0] = 1, 0, 3
    kinds[1:, 2::2] = 2
    first = np.full(tags, 6, dtype=np.intp)
    first[0] = 5
    return kinds, first
