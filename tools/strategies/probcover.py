"""Items whose neighbourhoods together hold most of the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .base import Candidates, Need, Selection, nothing, prepare, spread
from .geometry import k_means
from .graph import Graph, Tile, ball_graph, tiles
from .part import Part, part


@dataclass(frozen=True, slots=True)
class ProbCover:
    """ProbCover (Yehuda 2022): always the ball with most items that no ball covers yet.

    After Yehuda et al., "Active Learning Through a Covering Lens" (2022), algorithm 1. An item
    covers those within a radius of it; each pick covers the most that labelled items and picks
    before do not. The radius is the largest at which a share `purity` of the balls holds one
    cluster only, of a k-means with one cluster for each class (`classes` of the candidates, else
    `clusters`): the (1 - purity) quantile of the distance to the nearest item of another cluster.
    A radius given by hand replaces it.

    When all is covered a new layer begins, in which only its own picks cover, so the picks stay
    distinct whatever the radius. Equal balls go by a seeded draw. The utility of a pick is the
    share of items that it newly covers, in (0, 1]. Above `limit` candidates all is about a seeded
    sample of `limit`, and the reason says so. O(limit^2 d) time. The graph has 6 bytes an edge
    while it is made, and finding the radius keeps half of all cosines: 600 MB and 220 MB at most.

    Raises (from `select`):
        UserError: more than `limit` items are wanted.
    """

    name: str = "probcover"
    needs: frozenset[Need] = frozenset({"vectors"})
    purity: float = 0.95
    clusters: int = 10
    radius: float | None = None
    limit: int = 10_000

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the largest uncovered balls; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        if len(ordered) == 0:
            return nothing(ordered)
        rng = np.random.default_rng(seed)
        seen = part(self, ordered, k, self.limit, rng)
        radius, pairs = self.radius, tiles(seen.vectors)
        if radius is None:
            seen, assigned = _by_cluster(seen, ordered.classes or self.clusters, rng)
            kept = list(tiles(seen.vectors))
            radius, pairs = pure_radius(kept, assigned, self.purity), iter(kept)
        # |x - u| <= radius as a cosine.
        least = 1.0 - 0.5 * radius**2
        covered = seen.nearest_label() >= least if len(seen.labelled) else np.zeros(len(seen), bool)
        graph = ball_graph(pairs, len(seen), least)
        chosen, gains = _largest_first(graph, covered, seen.wanted, rng)
        utilities = (gains / len(seen)).astype(np.float32)
        return Selection(
            seen.rows[chosen],
            utilities,
            f"{len(chosen)} items, each with the most items within {radius:.3g} of it that nothing "
            f"covered before ({covered.mean():.0%} of {seen} were covered by labels); share newly "
            f"covered {spread(utilities)}.",
        )


def pure_radius(found: Sequence[Tile], assigned: NDArray[np.int64], purity: float) -> float:
    """The largest radius at which that share of the balls holds one cluster only.

    Args:
        found: the tiles of n unit vectors, n >= 1, in the order of their clusters.
        assigned: the cluster of each, shape (n,), ascending.
        purity: from 0 to 1.

    Returns:
        A Euclidean distance in [0, 2]; 2 where there is one cluster only.
    """
    closest = np.full(len(assigned), -1.0, dtype=np.float32)
    for tile in found:
        height, width = tile.cosine.shape
        rows, columns = slice(tile.top, tile.top + height), slice(tile.left, tile.left + width)
        _raise(closest[rows], tile.cosine, assigned[rows], assigned[columns])
        if tile.top != tile.left:
            _raise(closest[columns], tile.cosine.T, assigned[columns], assigned[rows])
    apart = np.sqrt(np.clip(2.0 - 2.0 * closest, 0.0, 4.0))
    # A ball is pure below the distance to the nearest item of another cluster.
    return float(np.nextafter(np.quantile(apart, 1.0 - purity, method="lower"), np.float32(0)))


def _raise(
    closest: NDArray[np.float32],
    cosine: NDArray[np.float32],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> None:
    """Raise the largest cosine of each row with a column of another cluster, in place."""
    for cluster in np.unique(rows):
        first, last = np.searchsorted(rows, [cluster, cluster + 1])
        left, right = np.searchsorted(columns, [cluster, cluster + 1])
        for others in (cosine[first:last, :left], cosine[first:last, right:]):
            if others.shape[1]:
                np.maximum(closest[first:last], others.max(axis=1), out=closest[first:last])


def _by_cluster(
    seen: Part, classes: int, rng: np.random.Generator
) -> tuple[Part, NDArray[np.int64]]:
    """The same items in the order of their clusters, and the cluster of each."""
    assigned = k_means(seen.vectors, min(classes, len(seen)), rng).assigned
    order = np.argsort(assigned, kind="stable")
    return replace(seen, rows=seen.rows[order], vectors=seen.vectors[order]), assigned[order]


def _largest_first(
    graph: Graph, covered: NDArray[np.bool_], k: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Greedy picks (k,) and how many nodes each newly covers (k,)."""
    free = np.ones(len(graph), dtype=np.bool_)
    # Below 1, so that it only decides between equal balls.
    lot = rng.random(len(graph))
    covered = covered.copy()
    gain = _uncovered(graph, covered)
    chosen = np.empty(k, dtype=np.int64)
    gains = np.empty(k, dtype=np.int64)
    for place in range(k):
        if not gain[free].any():
            covered[:] = False
            gain = _uncovered(graph, covered)
        pick = int(np.argmax(np.where(free, gain + lot, -1.0)))
        chosen[place], gains[place] = pick, gain[pick]
        free[pick] = False
        near = graph.of(pick)
        fresh = near[~covered[near]]
        covered[fresh] = True
        # The graph has no direction: a ball loses the fresh nodes that are its neighbours.
        gain -= np.bincount(graph.of_all(fresh)[0], minlength=len(graph))
    return chosen, gains


def _uncovered(graph: Graph, covered: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many uncovered nodes each node's ball holds."""
    total = np.concatenate([[0], np.cumsum(~covered[graph.ends])])
    held: NDArray[np.int64] = total[graph.starts[1:]] - total[graph.starts[:-1]]
    return held
