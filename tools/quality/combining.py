"""A better label from the votes of machines, learned from the labels that people gave anyway.

Language models err in the same direction: many call an act about courts what people file under
government. No vote among them can mend that; a few hundred human labels can. `Combiner` starts
at the votes and moves away from them only as far as the human labels support.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError

STRENGTH = 0.5
"""Of the pull of the coefficients to 0."""
_TRUST_PULL = 4.0
_STEPS = 100


@dataclass(frozen=True, slots=True)
class Combiner:
    """p = softmax(trust * log prior + [1, features] W).

    Attributes:
        trust: how far the prior is believed; 1 before anything is learned.
        weights: (1 + d, C).
        n: human labels it was fitted on.
    """

    trust: float
    weights: NDArray[np.float64]
    n: int

    def predict(
        self, prior: NDArray[np.float64], features: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Distribution of each item's label, (n, C), rows sum to 1; not calibrated.

        Args:
            prior: (n, C), above 0, such as `aggregation.smoothed_share`.
            features: (n, d), those it was fitted with.

        Raises:
            UserError: shapes or values that do not fit.
        """
        log_prior, inputs = _checked(prior, features)
        if (inputs.shape[1], log_prior.shape[1]) != self.weights.shape:
            raise UserError(
                f"features and prior have shapes {features.shape!r} and {prior.shape!r}, fitted "
                f"were {self.weights.shape[0] - 1!r} columns and {self.weights.shape[1]!r} labels: "
                "give the same"
            )
        return _softmax(self.trust * log_prior + inputs @ self.weights)


def fit_combiner(
    prior: NDArray[np.float64],
    features: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    strength: float = STRENGTH,
    start: Combiner | None = None,
) -> Combiner:
    """Fit by maximum a posteriori: log loss + strength / 2 |W|^2 + 2 (trust - 1)^2.

    A multinomial logistic regression whose offset is the prior, so that no human label at all
    gives the prior back. Convex, hence no seed. Human labels may come from active selection: then
    its confidence is not calibrated, but it is an order in which to ask on.

    Args:
        prior: (n, C), above 0, of the items that people labelled; n may be 0.
        features: (n, d) about size 1, e.g. shares of votes and unit vectors of the text.
        labels: (n,) what people said.
        strength: above 0.
        start: one fitted on fewer labels of the same items: the search begins there, and ends at
            the same minimum sooner.

    Raises:
        UserError: shapes or values that do not fit.
    """
    log_prior, inputs = _checked(prior, features)
    rows, classes = log_prior.shape
    if start is not None and start.weights.shape != (inputs.shape[1], classes):
        raise UserError("the start was fitted with other features or labels: leave it out")
    if labels.shape != (rows,) or not ((labels >= 0) & (labels < classes)).all():
        raise UserError(
            f"labels have shape {labels.shape!r} for {rows!r} items, or are no label indices: "
            "give one for each"
        )
    if not 0 < strength < np.inf:
        raise UserError(f"strength is {strength!r}: give a number above 0")
    truth = np.zeros((rows, classes))
    truth[np.arange(rows), labels] = 1.0
    # The best weights lie in the span of the rows: with fewer rows than columns there is less to
    # search, and the penalty is the same since the axes are orthonormal.
    few = rows < inputs.shape[1]
    axes = np.linalg.qr(inputs.T)[0].T if few else np.eye(inputs.shape[1])
    inputs = inputs @ axes.T

    def cost(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        trust, weights = flat[0], flat[1:].reshape(-1, classes)
        said = _softmax(trust * log_prior + inputs @ weights)
        own = said[np.arange(rows), labels]
        value = -np.log(np.maximum(own, 1e-300)).sum() + strength / 2 * (weights**2).sum()
        error = said - truth
        slope = inputs.T @ error + strength * weights
        pull = (error * log_prior).sum() + _TRUST_PULL * (trust - 1)
        value += _TRUST_PULL / 2 * (trust - 1) ** 2
        return float(value), np.concatenate([[pull], slope.ravel()])

    from scipy.optimize import minimize

    first = np.zeros(1 + inputs.shape[1] * classes)
    first[0] = 1.0
    if start is not None:
        first = np.concatenate([[start.trust], (axes @ start.weights).ravel()])
    found = minimize(cost, first, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x
    return Combiner(float(found[0]), axes.T @ found[1:].reshape(-1, classes), rows)


def _checked(
    prior: NDArray[np.float64], features: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if prior.ndim != 2 or features.ndim != 2 or len(prior) != len(features):
        raise UserError(
            f"prior and features have shapes {prior.shape!r} and {features.shape!r}: give one row "
            "of each an item"
        )
    if not ((prior > 0) & np.isfinite(prior)).all() or not np.isfinite(features).all():
        raise UserError("a prior is not above 0, or a feature is not finite: smooth the votes")
    constant = np.ones((len(features), 1))
    return np.log(prior.astype(np.float64)), np.hstack([constant, features.astype(np.float64)])


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)
