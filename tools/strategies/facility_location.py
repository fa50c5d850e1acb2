"""Items that stand for as much of the pool as possible that the labels do not stand for yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Candidates, Need, Selection, nothing, prepare, spread
from .coverage import greedy_cover
from .part import part


@dataclass(frozen=True, slots=True)
class FacilityLocation:
    """Facility location, the certainty gain of LDCAL (Li 2024): greedy cover by cosine.

    Each pick is the x of largest mean_u max(cos(x, u) - c(u), 0) over the candidates u, c(u) being
    the largest cosine of u with a labelled item or a pick, at least 0; that gain, in [0, 1], is the
    utility of the pick. Up to `limit` candidates this is exact. Above, u and x range over a seeded
    sample of `limit`, and the reason says so. 4 limit^2 bytes (400 MB), O(limit^2 (d + k)) time
    at most. Equal gains go to the smaller row.

    Raises (from `select`):
        UserError: more than `limit` items are wanted.
    """

    name: str = "facility_location"
    needs: frozenset[Need] = frozenset({"vectors"})
    limit: int = 10_000

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take what gains most, one by one; see `Strategy.select`."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        if len(ordered) == 0:
            return nothing(ordered)
        rng = np.random.default_rng(seed)
        seen = part(self, ordered, k, self.limit, rng)
        covered = np.maximum(seen.nearest_label(), 0.0)
        kernel = seen.vectors @ seen.vectors.T
        chosen, gains = greedy_cover(kernel, covered, seen.wanted)
        return Selection(
            seen.rows[chosen],
            gains,
            f"{len(chosen)} items, each the one that makes {seen} most alike to a labelled item or "
            f"a pick ({len(seen.labelled)} labelled); mean gain in cosine {spread(gains)}.",
        )
