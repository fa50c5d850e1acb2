"""Items that cover the pool under a Gaussian kernel: a soft radius in place of a hard one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Candidates, Need, Selection, nothing, prepare, spread
from .coverage import greedy_cover
from .part import part


@dataclass(frozen=True, slots=True)
class MaxHerding:
    """MaxHerding (Bae 2024): greedy generalised coverage with a Gaussian kernel.

    After Bae, Noh & Sutherland, "Generalized Coverage for More Robust Low-Budget Active Learning"
    (2024): each pick is the x of largest mean_u max(K(x, u) - c(u), 0), c(u) being the largest
    K(l, u) over labelled items and picks l, and K(x, u) = exp(-|x - u|^2 / `width`^2). The utility
    of a pick is that gain, in [0, 1]. Up to `limit` candidates this is exact; above, x and u range
    over a seeded sample of `limit`, and the reason says so. 4 limit^2 bytes (400 MB),
    O(limit^2 (d + k)) time at most. Equal gains go to the smaller row.

    Raises (from `select`):
        UserError: more than `limit` items are wanted.
    """

    name: str = "max_herding"
    needs: frozenset[Need] = frozenset({"vectors"})
    limit: int = 10_000
    width: float = 1.0

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take what covers most, one by one; see `Strategy.select`."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        if len(ordered) == 0:
            return nothing(ordered)
        rng = np.random.default_rng(seed)
        seen = part(self, ordered, k, self.limit, rng)
        covered = np.zeros(len(seen), dtype=np.float32)
        if len(seen.labelled):
            covered = self._kernel(seen.nearest_label())
        kernel = self._kernel(seen.vectors @ seen.vectors.T)
        chosen, gains = greedy_cover(kernel, covered, seen.wanted)
        return Selection(
            seen.rows[chosen],
            gains,
            f"{len(chosen)} items, each the one that adds most to the coverage of {seen} under a "
            f"Gaussian kernel ({len(seen.labelled)} labelled); gain {spread(gains)}.",
        )

    def _kernel(self, cosine: NDArray[np.float32]) -> NDArray[np.float32]:
        """Gaussian kernel from cosines of unit vectors, in place: |x - u|^2 = 2 - 2 cos."""
        cosine -= 1.0
        cosine *= 2.0 / self.width**2
        np.minimum(cosine, 0.0, out=cosine)
        return np.exp(cosine, out=cosine)
