"""The least sure items, shared out over a tree of clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..uncertainty import measures
from .base import Candidates, Need, Selection, prepare, ranked, spread, turns


@dataclass(frozen=True, slots=True)
class ClusterMargin:
    """Cluster-Margin (Citovsky 2021): clusters of the least sure items take turns.

    After Citovsky et al., "Batch Active Learning at Scale" (2021), algorithm 2: of the `beta` k
    items of smallest margin, clustered with average linkage, one of each cluster is drawn at
    random, the smallest cluster first, then a second of each, until there are k. The paper
    clusters the whole pool once, at quadratic cost, down to a distance set by hand; here only the
    least sure items are (at most `limit`, or k), and the tree is cut into `share` k clusters, so
    that larger ones give more than one. The utility of a pick is its margin uncertainty, in
    [0, 1]. O(n C) time for the filter; O(limit^2) time and memory (8 bytes a pair) for the tree.
    """

    name: str = "cluster_margin"
    needs: frozenset[Need] = frozenset({"vectors", "probabilities"})
    beta: int = 10
    limit: int = 5_000
    share: float = 0.8

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the uncertain of each cluster; see `Strategy.select`."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        assert ordered.probabilities is not None
        rng = np.random.default_rng(seed)
        utilities = measures(multi_label=ordered.multi_label)["margin"](ordered.probabilities)
        near = ranked(utilities, max(k, min(self.beta * k, self.limit)), rng)
        groups = np.arange(len(near))
        if k < len(near):
            groups = _tree_clusters(ordered.vectors[near], math.ceil(self.share * k))
        size = np.bincount(groups)[groups] if len(groups) else groups
        turn = turns(groups, rng.permutation(len(near)))
        chosen = near[np.lexsort((groups, size, turn))[:k]]
        return Selection(
            ordered.rows[chosen],
            utilities[chosen],
            f"{len(chosen)} items drawn in turn from {len(np.unique(groups))} clusters of the "
            f"{len(near)} most uncertain of {len(ordered)} items by margin; uncertainty "
            f"{spread(utilities[chosen])} (all candidates: {spread(utilities)}).",
        )


def _tree_clusters(vectors: NDArray[np.float32], clusters: int) -> NDArray[np.int64]:
    """At most that many clusters by average linkage of Euclidean distances, from 0."""
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(vectors.astype(np.float64), method="average")
    return fcluster(tree, clusters, criterion="maxclust").astype(np.int64) - 1
