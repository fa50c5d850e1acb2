"""Distances and k-means on unit vectors, with bounded memory and the same result every time.

The usual library k-means adds up float32 centroids in the order in which its threads finish, so
two runs with one seed may part; a run that is resumed after a crash must pick what it would have
picked. Here a centroid is a sparse matrix product, summed in a fixed order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# 4,096 x 512 float32 is 8 MB: large enough for the matrix product to be fast, small enough to
# stay far from any memory limit.
_ROW_BLOCK = 4096
_COLUMN_BLOCK = 512
# Draws for each first centre of k-means: four cost little more than one, as reading the points
# takes most of the time.
_DRAWS = 4
# First centres are drawn from a sample of so many points, or so many times the clusters if more:
# a centre needs a point near it, not the best one, as the iterations use all points.
_SEED_POINTS = 1024
_SEED_SHARE = 3
_SEED_TABLE = 2048
_ASSIGN_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Clustering:
    """A k-means result: `assigned` (n,) cluster of each point, `centres` (c, d)."""

    assigned: NDArray[np.int64]
    centres: NDArray[np.float32]


def nearest_similarity(
    vectors: NDArray[np.float32], others: NDArray[np.float32]
) -> NDArray[np.float32]:
    """For each unit vector (n, d), its largest cosine with any of `others` (m, d), m >= 1.

    O(n m d) time, blocks of 8 MB. Returns shape (n,), in [-1, 1].
    """
    best = np.full(len(vectors), -1.0, dtype=np.float32)
    for top in range(0, len(vectors), _ROW_BLOCK):
        rows = vectors[top : top + _ROW_BLOCK]
        for left in range(0, len(others), _COLUMN_BLOCK):
            found = (rows @ others[left : left + _COLUMN_BLOCK].T).max(axis=1)
            np.maximum(best[top : top + _ROW_BLOCK], found, out=best[top : top + _ROW_BLOCK])
    return best


def k_means(
    points: NDArray[np.float32],
    clusters: int,
    rng: np.random.Generator,
    *,
    weights: NDArray[np.float32] | None = None,
    iterations: int = 20,
) -> Clustering:
    """Weighted k-means: Lloyd's iterations (1982) from k-means++ (Arthur & Vassilvitskii 2007).

    Minimises sum_i w_i |x_i - c_a(i)|^2. A cluster that loses all its points keeps its centre. The
    first centres come from a sample of at least 3 c points. Only clusters that gained or lost a
    point move, and only they are compared again: the same result as comparing all, in less time.

    Args:
        points: shape (n, d), n >= 1.
        clusters: c, from 1 to n.
        rng: chooses the first centres.
        weights: shape (n,), positive; all 1 when absent.
        iterations: at most this many; fewer when no point moves.

    Returns:
        The clustering of the last iteration; O(n c d) time for the first, less for those after.
    """
    weight = np.ones(len(points), dtype=np.float32) if weights is None else weights
    centres = points[_first_centres(points, clusters, rng, weight)]
    assigned, score = _closest(points, centres)
    totals = _Totals.of(points, weight, assigned, clusters)
    changed = np.arange(clusters)
    for _ in range(iterations):
        changed = totals.move(centres, changed)
        before = assigned.copy()
        _reassign(points, centres, changed, assigned, score)
        items = np.flatnonzero(before != assigned)
        if len(items) == 0:
            break
        changed = np.union1d(before[items], assigned[items])
        totals.shift(points[items], weight[items], before[items], assigned[items])
    return Clustering(assigned, centres)


def central(
    vectors: NDArray[np.float32], clustering: Clustering, k: int
) -> tuple[NDArray[np.int64], int]:
    """Positions of k distinct vectors: the one nearest to each centre, then others.

    Args:
        vectors: the clustered points, shape (n, d).
        clustering: of k clusters.
        k: from 1 to n.

    Returns:
        Positions (k,) and how many of them, from the first, are nearest to a centre. Repeated
        texts can leave clusters empty: the foremost of the others fill the number.
    """
    assigned = clustering.assigned
    offset = vectors - clustering.centres[assigned]
    distance = np.einsum("ij,ij->i", offset, offset)
    order = np.lexsort((distance, assigned))
    first = np.flatnonzero(np.diff(assigned[order], prepend=-1))
    rest = np.sort(np.delete(order, first))
    return np.concatenate([order[first], rest])[:k].astype(np.int64), len(first)


def mean_vector(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean (d,) of vectors (n, d), n >= 1, added up in float64 over blocks."""
    total = np.zeros(vectors.shape[1], dtype=np.float64)
    for top in range(0, len(vectors), _ROW_BLOCK):
        total += vectors[top : top + _ROW_BLOCK].sum(axis=0)
    return (total / len(vectors)).astype(np.float32)


def _first_centres(
    points: NDArray[np.float32],
    clusters: int,
    rng: np.random.Generator,
    weight: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Points drawn one after another in proportion to weighted squared distance from the last.

    Of a few draws each time the one that leaves the least distance is taken, so that two centres
    seldom fall into one cluster while another goes without.
    """
    among = np.arange(len(points))
    if len(points) > max(_SEED_POINTS, _SEED_SHARE * clusters):
        size = max(_SEED_POINTS, _SEED_SHARE * clusters)
        among = np.sort(rng.choice(len(points), size=size, replace=False))
    points, weight = points[among], weight[among]
    squares = np.einsum("ij,ij->i", points, points)
    table = None
    if len(points) <= _SEED_TABLE:
        # For few points all distances at once are less work than a few at a time.
        table = _squared(points, points, squares, squares)
    chosen = np.empty(clusters, dtype=np.int64)
    distance = np.full(len(points), np.float32(np.inf))
    mass = np.cumsum(weight, dtype=np.float64)
    for place in range(clusters):
        # All mass is gone when every point lies on a centre: which one repeats does not matter.
        drawn = np.searchsorted(mass, rng.random(_DRAWS) * mass[-1], side="right")
        drawn = np.minimum(drawn, len(points) - 1)
        if table is None:
            apart = _squared(points[drawn], points, squares[drawn], squares)
        else:
            apart = table[drawn]
        np.minimum(apart, distance, out=apart)
        best = int(np.argmin(apart @ weight))
        chosen[place] = drawn[best]
        distance = apart[best]
        distance[drawn[best]] = 0.0
        mass = np.cumsum(weight * distance, dtype=np.float64)
    return among[chosen]


def _squared(
    some: NDArray[np.float32],
    points: NDArray[np.float32],
    some_squares: NDArray[np.float32],
    squares: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Squared Euclidean distances of some points from all, at least 0."""
    apart = some @ points.T
    apart *= -2.0
    apart += squares
    apart += some_squares[:, None]
    np.maximum(apart, 0.0, out=apart)
    return apart


@dataclass(frozen=True, slots=True)
class _Totals:
    """Weighted sums (c, d) and masses (c,) of clusters and their numbers of points (c,).

    In float64, so that what a point adds goes away again when it leaves.
    """

    sums: NDArray[np.float64]
    mass: NDArray[np.float64]
    count: NDArray[np.int64]

    @staticmethod
    def of(
        points: NDArray[np.float32],
        weight: NDArray[np.float32],
        assigned: NDArray[np.int64],
        clusters: int,
    ) -> _Totals:
        found = _Totals(
            np.zeros((clusters, points.shape[1])),
            np.zeros(clusters),
            np.zeros(clusters, dtype=np.int64),
        )
        for top in range(0, len(points), _ROW_BLOCK):
            part = slice(top, top + _ROW_BLOCK)
            found._add(points[part], weight[part], assigned[part], 1)
        return found

    def shift(
        self,
        points: NDArray[np.float32],
        weight: NDArray[np.float32],
        left: NDArray[np.int64],
        joined: NDArray[np.int64],
    ) -> None:
        """Move points from the clusters that they left to those that they joined."""
        self._add(points, weight, left, -1)
        self._add(points, weight, joined, 1)

    def move(self, centres: NDArray[np.float32], which: NDArray[np.int64]) -> NDArray[np.int64]:
        """Put some centres at the means of their clusters, in place; those that really moved."""
        filled = which[self.count[which] > 0]
        means = (self.sums[filled] / self.mass[filled, None]).astype(np.float32)
        moves = (centres[filled] != means).any(axis=1)
        moved: NDArray[np.int64] = filled[moves]
        centres[moved] = means[moves]
        return moved

    def _add(
        self,
        points: NDArray[np.float32],
        weight: NDArray[np.float32],
        group: NDArray[np.int64],
        sign: int,
    ) -> None:
        from scipy.sparse import csr_array

        signed = sign * weight.astype(np.float64)
        shape = (len(self.mass), len(points))
        member = csr_array((signed, (group, np.arange(len(points)))), shape=shape)
        self.sums[:] += member @ points.astype(np.float64)
        self.mass[:] += np.bincount(group, weights=signed, minlength=len(self.mass))
        self.count[:] += sign * np.bincount(group, minlength=len(self.mass))


def _reassign(
    points: NDArray[np.float32],
    centres: NDArray[np.float32],
    changed: NDArray[np.int64],
    assigned: NDArray[np.int64],
    score: NDArray[np.float32],
) -> None:
    """Move points to their nearest centres after some of the centres changed; in place.

    A centre that stayed where it was scores no better than the best did before. So a point whose
    own centre stayed, or came nearer, can only go to one that changed.
    """
    if len(changed) == 0:
        return
    if 2 * len(changed) > len(centres):
        assigned[:], score[:] = _closest(points, centres)
        return
    index = np.full(len(centres), -1, dtype=np.int64)
    index[changed] = np.arange(len(changed))
    owner = index[assigned]
    owned = np.flatnonzero(owner >= 0)
    nearest = centres[assigned[owned]]
    now = np.einsum("ij,ij->i", points[owned] - 0.5 * nearest, nearest)
    lost = owned[now < score[owned]]
    score[owned] = now
    other, better = _closest(points, centres[changed])
    goes = better > score
    goes[owned] &= other[owned] != owner[owned]
    assigned[goes], score[goes] = changed[other[goes]], better[goes]
    if len(lost):
        assigned[lost], score[lost] = _closest(points[lost], centres)


def _closest(
    points: NDArray[np.float32], centres: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest centre c of each point x and x.c - |c|^2 / 2, which is largest for it."""
    half = 0.5 * np.einsum("ij,ij->i", centres, centres)
    found = np.empty(len(points), dtype=np.int64)
    score = np.empty(len(points), dtype=np.float32)
    for top in range(0, len(points), _ASSIGN_BLOCK):
        each = points[top : top + _ASSIGN_BLOCK] @ centres.T
        each -= half
        place = np.argmax(each, axis=1)
        found[top : top + _ASSIGN_BLOCK] = place
        score[top : top + _ASSIGN_BLOCK] = np.take_along_axis(each, place[:, None], axis=1)[:, 0]
    return found, score
