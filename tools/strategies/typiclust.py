"""Typical items of the clusters that have the fewest labels, round after round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Candidates, Need, Selection, nothing, part_of, prepare, spread
from .cluster import grouped


@dataclass(frozen=True, slots=True)
class TypiClust:
    """TypiClust in rounds (Hacohen 2022): the typical item of the cluster with fewest labels.

    After Hacohen, Dekel & Weinshall, "Active Learning on a Budget" (2022), algorithm 1. Clusters
    and typicality are those of `cluster`. The order is the paper's: each pick counts as a label of
    its cluster, and the next comes from the cluster that then has the fewest, of those the largest;
    clusters with fewer than `least_members` candidates come last. `cluster` takes one item of
    every cluster before a second one instead, which is the same while there are clusters without
    labels. The utility of a pick is its typicality, from 0 to 1,000.
    """

    name: str = "typiclust"
    needs: frozenset[Need] = frozenset({"vectors"})
    limit: int = 10_000
    max_clusters: int = 500
    neighbours: int = 20
    neighbours_from: int = 2_000
    least_members: int = 5

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take typical items, cluster by cluster; see `Strategy.select`."""
        ordered = prepare(candidates, k, self)
        if len(ordered) == 0:
            return nothing(ordered)
        rng = np.random.default_rng(seed)
        found = grouped(ordered, k, rng, limit=self.limit, max_clusters=self.max_clusters)
        size, covered = found.sizes()[found.assigned], found.covered[found.assigned]
        few = size < self.least_members
        # The labels that a cluster has by the time that an item of it comes.
        chosen, utilities = found.first(
            k,
            lambda turn: (few, covered + turn, -size, found.assigned),
            rng,
            neighbours=self.neighbours,
            neighbours_from=self.neighbours_from,
        )
        return Selection(
            ordered.rows[found.seen[chosen]],
            utilities,
            f"{len(chosen)} items, one after another the most typical of the cluster with the "
            f"fewest labels ({len(found.covered)} clusters of {part_of(len(found), len(ordered))}, "
            f"{found.covered.sum()} labelled); typicality {spread(utilities)}.",
        )
