"""The most typical item of each cluster: the first batch, when nothing is known yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Candidates, Need, Selection, prepare, sample, spread
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
        assert ordered.vectors is not None
        if len(ordered) == 0:
            return Selection(ordered.rows, np.empty(0, dtype=np.float32), "No candidates are left.")
        rng = np.random.default_rng(seed)
        seen = sample(len(ordered), max(self.limit, 2 * k), rng)
        vectors = ordered.vectors[seen]
        labelled = ordered.labelled_vectors
        known = 0 if labelled is None else len(labelled)
        points = vectors if labelled is None else np.concatenate([vectors, labelled])
        clusters = min(k + known, self.max_clusters, len(points))
        assigned = k_means(points, clusters, rng).assigned
        typicality = self._typicality(vectors, assigned[: len(seen)], rng)
        covered = np.bincount(assigned[len(seen) :], minlength=clusters)
        chosen = _by_turns(assigned[: len(seen)], covered, typicality)[:k]
        part = f"a seeded sample of {len(seen)} of " if len(seen) < len(ordered) else ""
        return Selection(
            ordered.rows[seen[chosen]],
            typicality[chosen],
            f"{len(chosen)} items, the most typical of the largest clusters least covered by the "
            f"{known} labelled items ({clusters} clusters of {part}{len(ordered)} items); "
            f"typicality {spread(typicality[chosen])}.",
        )

    def _typicality(
        self, vectors: NDArray[np.float32], assigned: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        typicality = np.zeros(len(vectors), dtype=np.float32)
        order = np.argsort(assigned, kind="stable")
        starts = np.flatnonzero(np.diff(assigned[order], prepend=-1))
        for members in np.split(order, starts[1:]):
            others = members[sample(len(members), self.neighbours_from, rng)]
            distance = _mean_distance(vectors[members], vectors[others], self.neighbours)
            # A lone item and exact repeats have distance 0; the cap keeps the number finite.
            typicality[members] = 1.0 / np.maximum(distance, 1e-3)
            if len(members) == 1:
                typicality[members] = 0.0
        return typicality


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


def _by_turns(
    assigned: NDArray[np.int64], covered: NDArray[np.int64], typicality: NDArray[np.float32]
) -> NDArray[np.int64]:
    """All positions: the best of every cluster first, then the second best of every one."""
    sizes = np.bincount(assigned, minlength=len(covered))
    order = np.lexsort((-typicality, assigned))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    turn = np.empty(len(assigned), dtype=np.int64)
    turn[order] = np.arange(len(assigned)) - starts[assigned[order]]
    return np.lexsort((-typicality, -sizes[assigned], covered[assigned], turn))
