"""Region uncertainty: parts of the pool where the model is unsure and of more than one mind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from ..uncertainty import Probabilities, entropy
from .base import (
    Candidates,
    Need,
    Selection,
    in_order,
    nothing,
    part_of,
    prepare,
    sample,
    spread,
    turns,
)
from .geometry import k_means

# Weights of k-means must be positive, also where the model is certain.
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True)
class RegionUncertainty:
    """AcTune's regions (Yu 2022): the least sure items of the least sure and most mixed regions.

    After Yu et al., "AcTune: Uncertainty-Based Active Self-Training for Active Fine-Tuning of
    Pretrained Language Models" (2022), section 3.2: k-means by `region_uncertainty` into `regions`,
    then from the region of highest score down the items of largest entropy, from each at most
    `most` and at most a `share` of the region (but one). When every region has given that and fewer
    than k are chosen, each gives as many again. The utility of a pick is the score of its region,
    from 0 to 1 + `beta`. Up to `limit` candidates are all clustered; above, a seeded sample of
    `limit` (or k), and the reason says so. O(n regions d) time an iteration of k-means.
    """

    name: str = "region"
    needs: frozenset[Need] = frozenset({"vectors", "probabilities"})
    regions: int = 25
    beta: float = 0.5
    most: int = 10
    share: float = 0.05
    limit: int = 20_000

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the unsure of unsure regions; see `Strategy.select` for arguments and errors."""
        ordered = in_order(candidates, k, self.name)
        rng = np.random.default_rng(seed)
        seen = sample(len(ordered), max(k, self.limit), rng)
        part = prepare(ordered if len(seen) == len(ordered) else ordered.at(seen), k, self)
        assert part.vectors is not None
        assert part.probabilities is not None
        if len(part) == 0:
            return nothing(part)
        found = region_uncertainty(
            part.probabilities, part.vectors, regions=self.regions, beta=self.beta, seed=seed
        )
        sizes = np.bincount(found.region, minlength=len(found.score))
        quota = np.maximum(np.minimum(self.most, (self.share * sizes).astype(np.int64)), 1)
        # Ties in random order, as everywhere; a stable sort keeps the shuffle.
        shuffled = rng.permutation(len(part))
        region, doubt = found.region[shuffled], entropy(part.probabilities)[shuffled]
        turn = turns(region, -doubt)
        order = np.lexsort((turn, region, -found.score[region], turn // quota[region]))
        chosen = shuffled[order[:k]]
        scores = found.item_score[chosen]
        return Selection(
            part.rows[chosen],
            scores,
            f"{len(chosen)} items of largest entropy in {len(np.unique(found.region[chosen]))} of "
            f"{len(found.score)} regions of {part_of(len(part), len(ordered))}, those first where "
            f"the model is most unsure and of more than one mind; score of their regions "
            f"{spread(scores)} (all regions: {spread(found.score)}).",
        )


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
