"""Items whose labels would change the model most, each in another direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..uncertainty import check_probabilities
from .base import Candidates, Need, Selection, prepare, spread


@dataclass(frozen=True, slots=True)
class Badge:
    """BADGE (Ash 2020): k-means++ draws among the gradients of the last layer.

    After Ash et al., "Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds"
    (2020). The gradient of the loss at the likeliest class is the outer product of
    a = p - onehot(argmax p) and the vector h, so the squared distance of two of them is
    |a|^2 |h|^2 + |b|^2 |g|^2 - 2 (a.b)(h.g), and the product of C d numbers is never made: O(n C)
    memory beside the vectors, O(k n (C + d)) time. Each pick is drawn in proportion to its squared
    distance from the picks before it (Arthur & Vassilvitskii 2007), the first in proportion to
    |a|^2 |h|^2; that distance is the utility of a pick. Where all distance is gone, the rest is
    drawn evenly with utility 0.
    """

    name: str = "badge"
    needs: frozenset[Need] = frozenset({"vectors", "probabilities"})

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Draw gradients far apart; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        assert ordered.probabilities is not None
        gradient = check_probabilities(ordered.probabilities).copy()
        gradient[np.arange(len(gradient)), np.argmax(gradient, axis=1)] -= 1.0
        chosen, utilities = _far_apart(
            ordered.vectors, gradient, min(k, len(ordered)), np.random.default_rng(seed)
        )
        return Selection(
            ordered.rows[chosen],
            utilities,
            f"{len(chosen)} of {len(ordered)} items drawn so that the gradients which their labels "
            f"would give are large and unlike one another; squared distance from the picks before "
            f"{spread(utilities)}.",
        )


def _far_apart(
    vectors: NDArray[np.float32], gradient: NDArray[np.float32], k: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    squares = np.einsum("ij,ij->i", gradient, gradient)
    squares *= np.einsum("ij,ij->i", vectors, vectors)
    chosen = np.empty(k, dtype=np.int64)
    utilities = np.zeros(k, dtype=np.float32)
    # Before the first pick: the distance from no gradient at all. It is not kept as a centre.
    distance = squares
    for place in range(k):
        mass = np.cumsum(distance, dtype=np.float64)
        if mass[-1] <= 0.0:
            left = np.setdiff1d(np.arange(len(vectors)), chosen[:place])
            chosen[place:] = rng.permutation(left)[: k - place]
            break
        # The first position whose mass is above the draw has a distance above 0.
        pick = int(np.searchsorted(mass, rng.random() * mass[-1], side="right"))
        pick = min(pick, len(vectors) - 1)
        chosen[place] = pick
        utilities[place] = distance[pick]
        apart = vectors @ vectors[pick]
        apart *= gradient @ gradient[pick]
        apart *= -2.0
        apart += squares
        apart += squares[pick]
        np.maximum(apart, 0.0, out=apart)
        distance = apart if place == 0 else np.minimum(distance, apart, out=distance)
        distance[chosen[: place + 1]] = 0.0
    return chosen, utilities
