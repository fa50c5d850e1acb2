"""Neighbour graphs on unit vectors, made in blocks: never a dense table of all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROW_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Graph:
    """Neighbours of each of n nodes: `ends[starts[i]:starts[i + 1]]`, ascending.

    `starts` (n + 1,) and `ends` (edges,): 4 bytes an edge.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int32]

    def __len__(self) -> int:
        """The number of nodes."""
        return len(self.starts) - 1

    def of(self, node: int) -> NDArray[np.int32]:
        """The neighbours of one node."""
        return self.ends[self.starts[node] : self.starts[node + 1]]

    def of_all(self, nodes: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The neighbours of several nodes, one after another, and how many each has."""
        sizes = self.starts[nodes + 1] - self.starts[nodes]
        if len(nodes) == 0:
            return np.empty(0, dtype=np.int32), sizes
        ends = np.cumsum(sizes)
        places = np.arange(ends[-1]) + np.repeat(self.starts[nodes] - (ends - sizes), sizes)
        return self.ends[places], sizes


def ball_graph(vectors: NDArray[np.float32], least: float) -> Graph:
    """All pairs of unit vectors (n, d) with a cosine of at least `least`, each with itself too.

    O(n^2 d) time; 4 bytes an edge and blocks of 4,096 n bytes.
    """
    found: list[NDArray[np.int32]] = []
    degree = np.empty(len(vectors), dtype=np.int64)
    for top in range(0, len(vectors), _ROW_BLOCK):
        near = vectors[top : top + _ROW_BLOCK] @ vectors.T >= least
        rows = np.arange(len(near))
        # Rounding must not part an item from itself.
        near[rows, top + rows] = True
        degree[top : top + _ROW_BLOCK] = near.sum(axis=1)
        found.append(np.nonzero(near)[1].astype(np.int32))
    starts = np.concatenate([[0], np.cumsum(degree)])
    return Graph(starts, np.concatenate(found) if found else np.empty(0, dtype=np.int32))


def nearest_others(vectors: NDArray[np.float32], kept: int, count: int) -> NDArray[np.int32]:
    """The `kept` nearest others of each of the first `count` unit vectors, in any order.

    Args:
        vectors: shape (n, d).
        kept: from 1 to n - 1.
        count: from 0 to n.

    Returns:
        Positions (count, kept); O(count n d) time, blocks of 4,096 n bytes.
    """
    found = np.empty((count, kept), dtype=np.int32)
    for top in range(0, count, _ROW_BLOCK):
        rows = vectors[top : min(top + _ROW_BLOCK, count)]
        cosine = rows @ vectors.T
        cosine[np.arange(len(rows)), top + np.arange(len(rows))] = -np.inf
        found[top : top + len(rows)] = np.argpartition(cosine, len(vectors) - kept, axis=1)[
            :, -kept:
        ]
    return found


def two_way(neighbours: NDArray[np.int32], nodes: int) -> Graph:
    """The graph with an edge where either of two nodes names the other, and each with itself.

    Args:
        neighbours: shape (count, kept): what each of the first `count` nodes names.
        nodes: n, at least `count`.

    Returns:
        A graph of n nodes.
    """
    count, kept = neighbours.shape
    start = np.repeat(np.arange(count, dtype=np.int64), kept)
    end = neighbours.ravel().astype(np.int64)
    own = np.arange(nodes, dtype=np.int64)
    codes = np.concatenate([start * nodes + end, end * nodes + start, own * nodes + own])
    codes = np.unique(codes)
    degree = np.bincount(codes // nodes, minlength=nodes)
    return Graph(np.concatenate([[0], np.cumsum(degree)]), (codes % nodes).astype(np.int32))
