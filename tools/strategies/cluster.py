"""The most typical item of each cluster: the first batch, when nothing is known yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
        found = grouped(ordered, k, rng, limit=self.limit, max_clusters=self.max_clusters)
        size, covered = found.sizes()[found.assigned], found.covered[found.assigned]
        # The best of every cluster first, then the second best of every one.
        chosen, typicality = found.first(
            k,
            lambda turn: (turn, covered, -size),
            rng,
            neighbours=self.neighbours,
            neighbours_from=self.neighbours_from,
        )
        part = f"a seeded sample of {len(found)} of " if len(found) < len(ordered) else ""
        return Selection(
            ordered.rows[found.seen[chosen]],
            typicality,
            f"{len(chosen)} items, the most typical of the largest clusters least covered by the "
            f"{found.covered.sum()} labelled items ({len(found.covered)} clusters of "
            f"{part}{len(ordered)} items); typicality {spread(typicality)}.",
        )


@dataclass(frozen=True, slots=True)
class Grouped:
    """Clustered candidates: `seen` positions (s,), their `vectors` (s, d), cluster of each (s,).

    `covered` (c,) counts the labelled items of each cluster.
    """

    seen: NDArray[np.int64]
    vectors: NDArray[np.float32]
    assigned: NDArray[np.int64]
    covered: NDArray[np.int64]

    def __len__(self) -> int:
        """The number of candidates that were looked at."""
        return len(self.seen)

    def sizes(self) -> NDArray[np.int64]:
        """How many of the seen candidates each cluster has, shape (c,)."""
        return np.bincount(self.assigned, minlength=len(self.covered))

    def first(
        self,
        k: int,
        keys: Callable[[NDArray[np.int64]], tuple[NDArray[Any], ...]],
        rng: np.random.Generator,
        *,
        neighbours: int,
        neighbours_from: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The first k of the seen in an order of turns, each cluster giving its most typical first.

        Typicality is measured only in clusters whose turn comes.

        Args:
            k: how many, at least 1.
            keys: from the turn of each item within its cluster, (s,), to what they are sorted by,
                the first key first; of equal ones the more typical comes first.
            rng: draws what typicality is measured against in large clusters.
            neighbours: K of the typicality.
            neighbours_from: the largest number of members that typicality is measured against.

        Returns:
            Positions among the seen (min(k, s),) and their typicality; 0 for the lone member of a
            cluster.
        """
        typicality = np.zeros(len(self), dtype=np.float32)
        # Which clusters give how many does not depend on who is typical in them.
        slots = keys(turns(self.assigned, typicality))
        order = np.lexsort(slots[::-1])
        last = order[min(k, len(self)) - 1]
        come = np.logical_and.reduce([key == key[last] for key in slots])
        come[order[:k]] = True
        for cluster in np.unique(self.assigned[come]):
            members = np.flatnonzero(self.assigned == cluster)
            if len(members) > 1:
                others = members[sample(len(members), neighbours_from, rng)]
                distance = _mean_distance(self.vectors[members], self.vectors[others], neighbours)
                # Exact repeats have distance 0; the cap keeps the number finite.
                typicality[members] = 1.0 / np.maximum(distance, 1e-3)
        slots = keys(turns(self.assigned, -typicality))
        chosen = np.lexsort((-typicality, *slots[::-1]))[:k]
        return chosen, typicality[chosen]


def grouped(
    ordered: Candidates, k: int, rng: np.random.Generator, *, limit: int, max_clusters: int
) -> Grouped:
    """Cluster candidates and labelled items together.

    Args:
        ordered: prepared candidates with vectors, at least one.
        k: how many are wanted; with m labelled items there are k + m clusters.
        rng: draws the sample and the first centres.
        limit: above this many candidates (or 2k when that is more) a sample is looked at.
        max_clusters: the largest number of clusters.
    """
    assert ordered.vectors is not None
    seen = sample(len(ordered), max(limit, 2 * k), rng)
    vectors = ordered.vectors[seen]
    labelled = ordered.labelled_vectors
    known = 0 if labelled is None else len(labelled)
    points = vectors if labelled is None else np.concatenate([vectors, labelled])
    clusters = min(k + known, max_clusters, len(points))
    assigned = k_means(points, clusters, rng).assigned
    covered = np.bincount(assigned[len(seen) :], minlength=clusters)
    return Grouped(seen, vectors, assigned[: len(seen)], covered)


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
