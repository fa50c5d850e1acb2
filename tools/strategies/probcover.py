"""Items whose neighbourhoods together hold most of the pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Candidates, Need, Selection, nothing, part_of, prepare, sample_for, spread
from .geometry import k_means, nearest_similarity
from .graph import Graph, ball_graph

_ROW_BLOCK = 1024


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
    sample of `limit`, and the reason says so. O(limit^2 d) time; the graph has 4 bytes an edge, so
    400 MB at most.

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
        seen = sample_for(self, len(ordered), k, self.limit, rng)
        vectors, labelled = ordered.vectors[seen], ordered.labelled_vectors
        radius = self.radius
        if radius is None:
            radius = pure_radius(vectors, ordered.classes or self.clusters, self.purity, rng)
        # |x - u| <= radius as a cosine.
        least = 1.0 - 0.5 * radius**2
        covered = np.zeros(len(seen), dtype=np.bool_)
        if labelled is not None and len(labelled):
            covered = nearest_similarity(vectors, labelled) >= least
        graph = ball_graph(vectors, least)
        chosen, gains = _largest_first(graph, covered, min(k, len(seen)), rng)
        utilities = (gains / len(seen)).astype(np.float32)
        return Selection(
            ordered.rows[seen[chosen]],
            utilities,
            f"{len(chosen)} items, each with the most items within {radius:.3g} of it that nothing "
            f"covered before ({covered.mean():.0%} of {part_of(len(seen), len(ordered))} were "
            f"covered by labels); share newly covered {spread(utilities)}.",
        )


def pure_radius(
    vectors: NDArray[np.float32], classes: int, purity: float, rng: np.random.Generator
) -> float:
    """The largest radius at which that share of the balls holds one cluster only.

    Args:
        vectors: unit vectors (n, d), n >= 1.
        classes: the number of clusters that stand for classes; at most n are made.
        purity: from 0 to 1.
        rng: the first centres of the k-means.

    Returns:
        A Euclidean distance in [0, 2]; 2 where there is one cluster only.
    """
    assigned = k_means(vectors, min(classes, len(vectors)), rng).assigned
    closest = np.empty(len(vectors), dtype=np.float32)
    for top in range(0, len(vectors), _ROW_BLOCK):
        cosine = vectors[top : top + _ROW_BLOCK] @ vectors.T
        same = assigned[top : top + _ROW_BLOCK, None] == assigned[None, :]
        np.putmask(cosine, same, -1.0)
        closest[top : top + _ROW_BLOCK] = cosine.max(axis=1)
    apart = np.sqrt(np.clip(2.0 - 2.0 * closest, 0.0, 4.0))
    # A ball is pure below the distance to the nearest item of another cluster.
    return float(np.nextafter(np.quantile(apart, 1.0 - purity, method="lower"), np.float32(0)))


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
