"""A draw that prefers what is far from the middle of the pool: one pass, no model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Candidates, Need, Selection, nothing, prepare, spread
from .geometry import mean_vector


@dataclass(frozen=True, slots=True)
class LightweightCoreset:
    """A draw in proportion to q, half even and half by distance from the mean (Bachem 2018).

    After Bachem, Lucic & Krause, "Scalable k-Means Clustering via Lightweight Coresets" (2018),
    algorithm 1: q(x) = 1/2 1/n + 1/2 |x - mean|^2 / sum |x' - mean|^2. The paper draws with
    replacement; here an exponential race draws k distinct items (Efraimidis & Spirakis 2006). The
    utility of a pick is n q(x): 1 is the chance of an even draw, and none is below 0.5. O(n d)
    time, O(n) memory beside the vectors.
    """

    name: str = "lightweight_coreset"
    needs: frozenset[Need] = frozenset({"vectors"})

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Draw min(k, n) rows; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        vectors = ordered.vectors
        assert vectors is not None
        if len(ordered) == 0:
            return nothing(ordered)
        mean = mean_vector(vectors)
        # |x|^2 is 1 for all.
        apart = np.maximum(1.0 + float(mean @ mean) - 2.0 * (vectors @ mean), 0.0)
        total = float(apart.sum(dtype=np.float64))
        chance = np.ones(len(vectors), dtype=np.float32)
        if total > 0.0:
            chance = (0.5 + 0.5 * len(vectors) / total * apart).astype(np.float32)
        race = np.random.default_rng(seed).standard_exponential(len(vectors)) / chance
        chosen = np.argsort(race, kind="stable")[:k]
        return Selection(
            ordered.rows[chosen],
            chance[chosen],
            f"{len(chosen)} of {len(ordered)} items drawn, those far from the middle of the pool "
            f"with more chance; {spread(chance[chosen])} times that of an even draw.",
        )
