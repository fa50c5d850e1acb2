"""Nearest neighbours and neighbour graphs on unit vectors, in blocks: no dense table of all pairs.

Cosines of all pairs are made in square tiles on and above the diagonal, so each is worked out
once; what is sought is found by one comparison with a bound, and sorted afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# 1,024 x 1,024 float32 is 4 MB: it stays in the cache while it is looked through.
_TILE = 1024
_CELLS = 4_000_000
# A bound from the maxima of groups is good when there are several times as many groups as are kept.
_GROUPS = 4
_FEWEST_GROUPS = 64


@dataclass(frozen=True, slots=True)
class Tile:
    """Cosines of the vectors from `top` on with those from `left` on; `left` >= `top`."""

    top: int
    left: int
    cosine: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Graph:
    """Neighbours of each of n nodes: `ends[starts[i]:starts[i + 1]]`, in no order.

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


def tiles(vectors: NDArray[np.float32]) -> Iterator[Tile]:
    """The cosines of all pairs of unit vectors (n, d): tiles on the diagonal, then those above.

    O(n^2 d) time for half of the pairs; 4 MB a tile, so 2 n^2 bytes for those who keep them all.
    """
    blocks = [(top, vectors[top : top + _TILE]) for top in range(0, len(vectors), _TILE)]
    for top, rows in blocks:
        yield Tile(top, top, rows @ rows.T)
    for place, (top, rows) in enumerate(blocks):
        for left, columns in blocks[place + 1 :]:
            yield Tile(top, left, rows @ columns.T)


def ball_graph(found: Iterable[Tile], nodes: int, least: float) -> Graph:
    """All pairs with a cosine of at least `least`, each node with itself too.

    Args:
        found: the tiles of `nodes` vectors.
        nodes: n.
        least: a cosine.

    Returns:
        A graph of n nodes; 6 bytes an edge while it is made.
    """
    degree = np.zeros(nodes, dtype=np.int64)
    links: list[_Links] = []
    for tile in found:
        near = tile.cosine >= least
        if tile.top == tile.left:
            # Rounding must not part an item from itself.
            np.fill_diagonal(near, True)
        height, width = near.shape
        row, column = np.divmod(np.flatnonzero(near).astype(np.int32), np.int32(width))
        each = _Links(tile.top, tile.left, row.astype(np.uint16), column.astype(np.uint16))
        links.append(each)
        degree[tile.top : tile.top + height] += np.bincount(row, minlength=height)
        if tile.top != tile.left:
            degree[tile.left : tile.left + width] += np.bincount(column, minlength=width)
    starts = np.concatenate([[0], np.cumsum(degree)])
    ends = np.empty(starts[-1], dtype=np.int32)
    free = starts[:-1].copy()
    for each in links:
        _fill(ends, free, each.row, each.top, each.column, each.left)
        if each.top != each.left:
            order = np.argsort(each.column, kind="stable")
            _fill(ends, free, each.column[order], each.left, each.row[order], each.top)
    return Graph(starts, ends)


@dataclass(frozen=True, slots=True)
class _Links:
    """The pairs of one tile, by row and column within it, the rows ascending."""

    top: int
    left: int
    row: NDArray[np.uint16]
    column: NDArray[np.uint16]


def _fill(
    ends: NDArray[np.int32],
    free: NDArray[np.int64],
    start: NDArray[np.uint16],
    first_start: int,
    end: NDArray[np.uint16],
    first_end: int,
) -> None:
    """Write the ends of links with ascending starts where their nodes have room, and move on."""
    counts = np.bincount(start)
    places = free[first_start : first_start + len(counts)]
    before = np.cumsum(counts) - counts
    ends[np.arange(len(start)) + np.repeat(places - before, counts)] = end.astype(
        np.int32
    ) + np.int32(first_end)
    places += counts


def largest(values: NDArray[np.float32], kept: int) -> NDArray[np.int32]:
    """Columns of the `kept` largest values of each row, in no order.

    Args:
        values: shape (n, m), C-contiguous.
        kept: from 1 to m.

    Returns:
        Shape (n, kept). Of equal values at the edge, which are kept is left open.
    """
    rows, columns = values.shape
    width = max(_FEWEST_GROUPS, _GROUPS * kept)
    if columns < 4 * width:
        return np.argpartition(values, columns - kept, axis=1)[:, -kept:].astype(np.int32)
    highest = values[:, :width].copy()
    for left in range(width, columns - width + 1, width):
        np.maximum(highest, values[:, left : left + width], out=highest)
    # As many groups have a value of at least this, so the bound is never too high.
    bound = np.partition(highest, width - kept, axis=1)[:, width - kept, None]
    flat = np.flatnonzero(values >= bound)
    row, column = np.divmod(flat, columns)
    table, names = _padded(row, values.ravel()[flat], column.astype(np.int32), rows)
    return _best(table, names, kept)[1]


def nearest_others(vectors: NDArray[np.float32], kept: int, count: int) -> NDArray[np.int32]:
    """The `kept` nearest others of each of the first `count` unit vectors, in any order.

    Args:
        vectors: shape (n, d).
        kept: from 1 to n - 1.
        count: from 0 to n.

    Returns:
        Positions (count, kept); O(count n d) time, half of it when `count` is n, and 16 MB of
        blocks.
    """
    if count == len(vectors) > 2 * _TILE and kept < _TILE // 2:
        return _nearest_of_all(vectors, kept)
    found = np.empty((count, kept), dtype=np.int32)
    step = max(64, _CELLS // len(vectors))
    for top in range(0, count, step):
        rows = vectors[top : min(top + step, count)]
        cosine = rows @ vectors.T
        cosine[np.arange(len(rows)), top + np.arange(len(rows))] = -np.inf
        found[top : top + len(rows)] = largest(cosine, kept)
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


def _nearest_of_all(vectors: NDArray[np.float32], kept: int) -> NDArray[np.int32]:
    """As `nearest_others` for all, from the tiles: what the own tile has bounds what counts."""
    # In a fixed random order, so that a tile is like the whole however the texts are sorted.
    order = np.random.default_rng(0).permutation(len(vectors)).astype(np.int32)
    best: list[NDArray[np.float32]] = []
    names: list[NDArray[np.int32]] = []
    more: list[list[_More]] = []
    for tile in tiles(vectors[order]):
        upper, left = tile.top // _TILE, tile.left // _TILE
        if upper == left:
            np.fill_diagonal(tile.cosine, -np.inf)
            own = largest(tile.cosine, min(kept, len(tile.cosine) - 1))
            best.append(np.take_along_axis(tile.cosine, own, axis=1))
            names.append(own + np.int32(tile.left))
            more.append([])
            continue
        row, column, value = _above(tile.cosine, _bound(best[upper], kept)[:, None])
        more[upper].append(_More(row, value, column + np.int32(tile.left)))
        row, column, value = _above(tile.cosine, _bound(best[left], kept))
        more[left].append(_More(column, value, row + np.int32(tile.top)))
    found = np.empty((len(vectors), kept), dtype=np.int32)
    for place, parts in enumerate(more):
        near = _merged(best[place], names[place], parts, kept)
        found[order[place * _TILE : place * _TILE + len(near)]] = order[near]
    return found


@dataclass(frozen=True, slots=True)
class _More:
    """Values of a block of rows that may be among the largest, with the names of the columns."""

    row: NDArray[np.int32]
    value: NDArray[np.float32]
    name: NDArray[np.int32]


def _bound(best: NDArray[np.float32], kept: int) -> NDArray[np.float32]:
    """What a value must exceed to be among the `kept` largest of its row."""
    bound = np.full(len(best), -np.inf, dtype=np.float32)
    return bound if best.shape[1] < kept else np.min(best, axis=1, out=bound)


def _above(
    values: NDArray[np.float32], bound: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Rows, columns and values above a bound, by row."""
    flat = np.flatnonzero(values > bound)
    row, column = np.divmod(flat.astype(np.int32), np.int32(values.shape[1]))
    return row, column, values.ravel()[flat]


def _merged(
    best: NDArray[np.float32], names: NDArray[np.int32], more: list[_More], kept: int
) -> NDArray[np.int32]:
    """Names (rows, kept) of the largest of each row, from the own tile and from all others."""
    row = np.concatenate([each.row for each in more])
    order = np.argsort(row.astype(np.uint16), kind="stable")
    value = np.concatenate([each.value for each in more])[order]
    name = np.concatenate([each.name for each in more])[order]
    table, other = _padded(row[order], value, name, len(best))
    return _best(
        np.concatenate([best, table], axis=1), np.concatenate([names, other], axis=1), kept
    )[1]


def _padded(
    row: NDArray[np.integer[Any]], value: NDArray[np.float32], name: NDArray[np.int32], rows: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Values and names by row, as many columns as the longest row has; the rest is -inf and 0."""
    counts = np.bincount(row, minlength=rows)
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.full((rows, counts.max()), -np.inf, dtype=np.float32)
    names = np.zeros(table.shape, dtype=np.int32)
    table[row, place] = value
    names[row, place] = name
    return table, names


def _best(
    table: NDArray[np.float32], names: NDArray[np.int32], kept: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    if table.shape[1] == kept:
        return table, names
    places = np.argpartition(table, table.shape[1] - kept, axis=1)[:, -kept:]
    return np.take_along_axis(table, places, axis=1), np.take_along_axis(names, places, axis=1)
