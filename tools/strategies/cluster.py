"""The most typical item of each cluster: the first batch, when nothing is known yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Candidates, Need, Selection, nothing, prepare, sample, spread, turns
from .geometry import k_means


@dataclass(frozen=True, slots=True)
class Cluster:
    """TypiClust (Hacohen, Dekel & Weinshall 2022): typical items of uncovered clusters.

    K-means with k + m clusters over candidates and labelled items together (at most
    `max_clusters`); the clusters with the fewest labelled items come first, of those the largest;
    from each the item of largest typicality, (1/K sum_{K nearest in its cluster} |x - x_i|)^-1
    with K = 20. A second item of a cluster is taken only when every cluster has given one. The
    utility of a pick is its typicality, capped at 1,000.

    Above `limit` candidates, k-means and typicality see a seeded sample of that many (or of 2k
    when that is more); a cluster of over `neighbours_from` members measures typicality against a
    sample of that many. So time does not grow with the pool beyond the sample, and the largest
    array is `limit` x `max_clusters` in blocks.
    """

    name: str = "cluster"
    needs: frozenset[Need] = frozenset({"vectors"})
    limit: int = 10_000
    max_clusters: int = 500
    neighbours: int = 20
    neighbours_from: int = 2_000

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the most typical; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        if len(ordered) == 0:
            return nothing(ordered)
        rng = np.random.default_rng(seed)
        found = typical(
            ordered,
            k,
            rng,
            limit=self.limit,
            max_clusters=self.max_clusters,
            neighbours=self.neighbours,
            neighbours_from=self.neighbours_from,
        )
        chosen = _by_turns(found)[:k]
        part = f"a seeded sample of {len(found)} of " if len(found) < len(ordered) else ""
        return Selection(
            ordered.rows[found.seen[chosen]],
            found.typicality[chosen],
            f"{len(chosen)} items, the most typical of the largest clusters least covered by the "
            f"{found.covered.sum()} labelled items ({len(found.covered)} clusters of "
            f"{part}{len(ordered)} items); typicality {spread(found.typicality[chosen])}.",
        )


@dataclass(frozen=True, slots=True)
class Typical:
    """Clusters and typicality: `seen` positions (s,), cluster and typicality of each (s,).

    `covered` (c,) counts the labelled items of each cluster.
    """

    seen: NDArray[np.int64]
    assigned: NDArray[np.int64]
    typicality: NDArray[np.float32]
    covered: NDArray[np.int64]

    def __len__(self) -> int:
        """The number of candidates that were looked at."""
        return len(self.seen)

    def sizes(self) -> NDArray[np.int64]:
        """How many of the seen candidates each cluster has, shape (c,)."""
        return np.bincount(self.assigned, minlength=len(self.covered))


def typical(
    ordered: Candidates,
    k: int,
    rng: np.random.Generator,
    *,
    limit: int,
    max_clusters: int,
    neighbours: int,
    neighbours_from: int,
) -> Typical:
    """Cluster candidates and labelled items together, and measure typicality in each cluster.

    Args:
        ordered: prepared candidates with vectors, at least one.
        k: how many are wanted; with m labelled items there are k + m clusters.
        rng: draws the sample and the first centres.
        limit: above this many candidates a sample is looked at.
        max_clusters: the largest number of clusters.
        neighbours: K of the typicality.
        neighbours_from: the largest number of members that typicality is measured against.

    Returns:
        The clusters; a lone member of a cluster has typicality 0.
    """
    assert ordered.vectors is not None
    seen = sample(len(ordered), max(limit, 2 * k), rng)
    vectors = ordered.vectors[seen]
    labelled = ordered.labelled_vectors
    known = 0 if labelled is None else len(labelled)
    points = vectors if labelled is None else np.concatenate([vectors, labelled])
    clusters = min(k + known, max_clusters, len(points))
    assigned = k_means(points, clusters, rng).assigned
    mine = assigned[: len(seen)]
    typicality = np.zeros(len(vectors), dtype=np.float32)
    order = np.argsort(mine, kind="stable")
    starts = np.flatnonzero(np.diff(mine[order], prepend=-1))
    for members in np.split(order, starts[1:]):
        others = members[sample(len(members), neighbours_from, rng)]
        distance = _mean_distance(vectors[members], vectors[others], neighbours)
        # A lone item and exact repeats have distance 0; the cap keeps the number finite.
        typicality[members] = 1.0 / np.maximum(distance, 1e-3)
        if len(members) == 1:
            typicality[members] = 0.0
    return Typical(seen, mine, typicality, np.bincount(assigned[len(seen) :], minlength=clusters))


def _mean_distance(
    vectors: NDArray[np.float32], others: NDArray[np.float32], neighbours: int
) -> NDArray[np.float32]:
    """Mean Euclidean distance from each unit vector to its nearest of `others`, itself aside."""
    # The item itself is among its nearest, at distance 0, and adds nothing to the sum.
    kept = min(neighbours + 1, len(others))
    found = np.empty(len(vectors), dtype=np.float32)
    for top in range(0, len(vectors), 2048):
        cosine = vectors[top : top + 2048] @ others.T
        nearest = np.partition(cosine, len(others) - kept, axis=1)[:, -kept:]
        distance = np.sqrt(np.maximum(2.0 - 2.0 * nearest, 0.0))
        found[top : top + 2048] = distance.sum(axis=1) / max(kept - 1, 1)
    return found


def _by_turns(found: Typical) -> NDArray[np.int64]:
    """All positions: the best of every cluster first, then the second best of every one."""
    turn = turns(found.assigned, -found.typicality)
    size, covered = found.sizes()[found.assigned], found.covered[found.assigned]
    return np.lexsort((-found.typicality, -size, covered, turn))
