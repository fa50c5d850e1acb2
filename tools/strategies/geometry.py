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

    Minimises sum_i w_i |x_i - c_a(i)|^2. A cluster that loses all its points keeps its centre.

    Args:
        points: shape (n, d), n >= 1.
        clusters: c, from 1 to n.
        rng: chooses the first centres.
        weights: shape (n,), positive; all 1 when absent.
        iterations: at most this many; fewer when no point moves.

    Returns:
        The clustering of the last iteration; O(n c d) time an iteration.
    """
    from scipy.sparse import csr_array

    weight = np.ones(len(points), dtype=np.float32) if weights is None else weights
    centres = points[_first_centres(points, clusters, rng, weight)]
    assigned = _closest(points, centres)
    for _ in range(iterations):
        member = csr_array(
            (weight, (assigned, np.arange(len(points)))), shape=(clusters, len(points))
        )
        mass = np.bincount(assigned, weights=weight, minlength=clusters).astype(np.float32)
        filled = mass > 0
        centres = centres.copy()
        centres[filled] = (member @ points)[filled] / mass[filled, None]
        moved = _closest(points, centres)
        if np.array_equal(moved, assigned):
            break
        assigned = moved
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
    squares = np.einsum("ij,ij->i", points, points)
    chosen = np.empty(clusters, dtype=np.int64)
    distance = np.full(len(points), np.float32(np.inf))
    mass = np.cumsum(weight, dtype=np.float64)
    for place in range(clusters):
        # All mass is gone when every point lies on a centre: which one repeats does not matter.
        drawn = np.searchsorted(mass, rng.random(_DRAWS) * mass[-1], side="right")
        drawn = np.minimum(drawn, len(points) - 1)
        left = points[drawn] @ points.T
        left *= -2.0
        left += squares
        left += squares[drawn, None]
        np.clip(left, 0.0, distance, out=left)
        best = int(np.argmin(left @ weight))
        chosen[place] = drawn[best]
        distance = left[best].copy()
        distance[drawn[best]] = 0.0
        mass = np.cumsum(weight * distance, dtype=np.float64)
    return chosen


def _closest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    half = 0.5 * np.einsum("ij,ij->i", centres, centres)
    found = np.empty(len(points), dtype=np.int64)
    for top in range(0, len(points), _ROW_BLOCK):
        found[top : top + _ROW_BLOCK] = np.argmax(
            points[top : top + _ROW_BLOCK] @ centres.T - half, axis=1
        )
    return found
