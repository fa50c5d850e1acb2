"""Items that cover the neighbour graph of the pool, once, then again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Candidates, Need, Selection, nothing, prepare, spread
from .graph import Graph, nearest_others, two_way
from .part import part


@dataclass(frozen=True, slots=True)
class GraphCover:
    """Weighted maximum cover of the nearest-neighbour graph (after Mavromatis 2023).

    After the weighted cover of Mavromatis et al., "Which Examples to Annotate for In-Context
    Learning?" (2023), for all candidates in place of those hard for a model. Two items are
    neighbours when either has the other among its `neighbours` nearest; an item covers itself and
    its neighbours; the pick has the largest sum of `fade`^-t over what it covers, t being how often
    labelled items and picks cover that already. Above `limit` candidates all is about a seeded
    sample of `limit`, and the reason says so. The utility of a pick is its sum, a share of all
    candidates seen, in [0, 1]. O(limit^2 d) time, O(limit `neighbours`) memory. Equal sums go to
    the smaller row.

    Raises (from `select`):
        UserError: more than `limit` items are wanted.
    """

    name: str = "graph_cover"
    needs: frozenset[Need] = frozenset({"vectors"})
    neighbours: int = 15
    fade: float = 10.0
    limit: int = 10_000

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take what covers most, one by one; see `Strategy.select`."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        if len(ordered) == 0:
            return nothing(ordered)
        rng = np.random.default_rng(seed)
        seen = part(self, ordered, k, self.limit, rng)
        points = seen.with_labelled()
        kept = min(self.neighbours, len(points) - 1)
        near = np.empty((0, 0), dtype=np.int32)
        if kept:
            # Labelled items name their neighbours too, as what they are near to is covered.
            near = nearest_others(points, kept, len(points))
        chosen, sums = self._cover(two_way(near, len(points)), len(seen), seen.wanted)
        return Selection(
            seen.rows[chosen],
            sums,
            f"{len(chosen)} items, each covering with its neighbours in the graph of the {kept} "
            f"nearest most of {seen} that the "
            f"{len(seen.labelled)} labelled items and the picks before cover least; "
            f"share covered {spread(sums)}.",
        )

    def _cover(
        self, graph: Graph, count: int, k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Picks (k,) among the first `count` nodes, the rest being chosen before, and sums (k,)."""
        weight = np.ones(len(graph))
        # Only candidates are worth covering.
        weight[count:] = 0.0
        for node in range(count, len(graph)):
            weight[graph.of(node)] /= self.fade
        total = np.concatenate([[0.0], np.cumsum(weight[graph.ends])])
        score = total[graph.starts[1:]] - total[graph.starts[:-1]]
        score[count:] = -np.inf
        chosen = np.empty(k, dtype=np.int64)
        sums = np.empty(k, dtype=np.float32)
        for place in range(k):
            pick = int(np.argmax(score))
            chosen[place] = pick
            sums[place] = max(float(score[pick]), 0.0) / count
            score[pick] = -np.inf
            near = graph.of(pick)
            lost = weight[near] * (1.0 - 1.0 / self.fade)
            weight[near] -= lost
            ends, sizes = graph.of_all(near)
            score -= np.bincount(ends, weights=np.repeat(lost, sizes), minlength=len(graph))
        return chosen, sums
