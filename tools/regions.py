"""Region uncertainty: parts of the pool where the model is unsure and of more than one mind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .strategies.geometry import k_means
from .uncertainty import Probabilities, entropy

# Weights of k-means must be positive, also where the model is certain.
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True)
class Regions:
    """A pool in r regions.

    `region` (n,) is the region of each item, `score` (r,) that of each region, from 0 to
    1 + beta; 0 for a region without items.
    """

    region: NDArray[np.int64]
    score: NDArray[np.float32]

    @property
    def item_score(self) -> NDArray[np.float32]:
        """(n,) score of each item's region."""
        found: NDArray[np.float32] = self.score[self.region]
        return found


def region_uncertainty(
    p: Probabilities,
    vectors: NDArray[np.float32],
    *,
    regions: int,
    beta: float = 0.5,
    seed: int,
) -> Regions:
    """Score regions by mean entropy and by how mixed their predicted classes are.

    The regions are those of k-means with the items' entropy as weights, so that centres lie where
    doubt is; a_r = mean_{x in r} H(p_x) + beta * H(shares of predicted classes in r), after
    AcTune (Yu et al. 2022), both entropies as shares of log C.

    Args:
        p: probabilities, shape (n, C) with C >= 2, rows summing to 1.
        vectors: shape (n, d).
        regions: how many, from 1; n when there are fewer items.
        beta: weight of the mix, at least 0.
        seed: for the first centres; the same seed gives the same regions.

    Returns:
        The region of each item and the score of each region.

    Raises:
        UserError: not a table of probabilities, vectors that do not fit, or regions or beta out
            of range.
    """
    doubt = entropy(p)
    if vectors.ndim != 2 or len(vectors) != len(doubt):
        raise UserError(
            f"vectors have shape {vectors.shape!r} for {len(doubt)} rows of probabilities: give "
            "one row each"
        )
    if regions < 1:
        raise UserError(f"regions is {regions!r}: give at least 1")
    if not 0.0 <= beta < np.inf:
        raise UserError(f"beta is {beta!r}: give a number of at least 0")
    if not len(doubt):
        return Regions(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
    count, classes = min(regions, len(doubt)), np.shape(p)[1]
    rng = np.random.default_rng(seed)
    weights = np.maximum(doubt, np.float32(_LEAST_WEIGHT))
    region = k_means(vectors, count, rng, weights=weights).assigned
    sizes = np.bincount(region, minlength=count)
    mean = np.bincount(region, weights=doubt, minlength=count) / np.maximum(sizes, 1)
    cells = region * classes + np.argmax(p, axis=1)
    votes = np.bincount(cells, minlength=count * classes).reshape(count, classes)
    mixed = np.zeros(count, dtype=np.float32)
    filled = sizes > 0
    mixed[filled] = entropy(votes[filled] / sizes[filled, None])
    return Regions(region, (mean + beta * mixed).astype(np.float32))
