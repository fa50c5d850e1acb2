"""One item near the centre of each of k clusters: a spread batch that needs no model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Candidates, Need, Selection, nothing, part_of, prepare, sample, spread
from .geometry import central, k_means


@dataclass(frozen=True, slots=True)
class KMeans:
    """The item nearest to each centre of a k-means with k clusters (Lloyd 1982).

    It looks at candidates only: what is labelled does not keep a cluster from being chosen again
    (`typiclust` and `k_center` see to that). Picks come in falling order of utility, the share of
    the items seen that lie in the cluster of the pick, in [0, 1]; 0 for the items that fill the
    number where repeated texts leave clusters empty. Above `limit` candidates (or 2k when that is
    more) a seeded sample is clustered: O(limit k d) time an iteration, whatever the pool's size.
    """

    name: str = "k_means"
    needs: frozenset[Need] = frozenset({"vectors"})
    limit: int = 10_000

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the most central; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        if len(ordered) == 0:
            return nothing(ordered)
        rng = np.random.default_rng(seed)
        seen = sample(len(ordered), max(self.limit, 2 * k), rng)
        vectors = ordered.vectors[seen]
        wanted = min(k, len(seen))
        clustering = k_means(vectors, wanted, rng)
        inside, filled = central(vectors, clustering, wanted)
        share = np.bincount(clustering.assigned, minlength=wanted) / len(seen)
        utilities = share[clustering.assigned[inside]].astype(np.float32)
        utilities[filled:] = 0.0
        order = np.argsort(-utilities, kind="stable")
        return Selection(
            ordered.rows[seen[inside[order]]],
            utilities[order],
            f"{wanted} items, each the most central of one of {wanted} groups by meaning of "
            f"{part_of(len(seen), len(ordered))}; share of a group {spread(utilities)}.",
        )
