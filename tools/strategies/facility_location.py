"""Items that stand for as much of the pool as possible that the labels do not stand for yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Candidates, Need, Selection, nothing, part_of, prepare, sample_for, spread
from .coverage import greedy_cover
from .geometry import nearest_similarity


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
        seen = sample_for(self, len(ordered), k, self.limit, rng)
        vectors, labelled = ordered.vectors[seen], ordered.labelled_vectors
        covered = np.zeros(len(seen), dtype=np.float32)
        known = 0 if labelled is None else len(labelled)
        if labelled is not None and known:
            covered = np.maximum(nearest_similarity(vectors, labelled), 0.0)
        chosen, gains = greedy_cover(vectors @ vectors.T, covered, min(k, len(seen)))
        return Selection(
            ordered.rows[seen[chosen]],
            gains,
            f"{len(chosen)} items, each the one that makes {part_of(len(seen), len(ordered))} most "
            f"alike to a labelled item or a pick ({known} labelled); mean gain in cosine "
            f"{spread(gains)}.",
        )
