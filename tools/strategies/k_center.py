"""Cover the space: always take the item farthest from everything taken so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Candidates, Need, Selection, prepare, spread
from .geometry import nearest_similarity

_WHOLE_SPACE = 2.0


@dataclass(frozen=True, slots=True)
class KCenter:
    """Greedy k-center (Sener & Savarese 2018, algorithm 1).

    Each pick is argmax_x min_{l in L} d(x, l) with d = 1 - cosine, L the labelled items and the
    picks so far: at most twice the best possible covering radius (Gonzalez 1985, in Euclidean
    distance, which orders unit vectors in the same way). With nothing labelled it starts at the
    item nearest to the mean. The minimum is kept from pick to pick: O((m + k) n d) time, O(n)
    memory beside the vectors. Deterministic: equal distances go to the smaller row, and the seed
    changes nothing. The utility of a pick is its distance from what was covered, in [0, 2]; 2 for
    a first pick with nothing covered.
    """

    name: str = "k_center"
    needs: frozenset[Need] = frozenset({"vectors"})

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the farthest, one by one; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        vectors, labelled = ordered.vectors, ordered.labelled_vectors
        assert vectors is not None
        chosen, utilities = farthest_first(vectors, labelled, min(k, len(vectors)))
        known = 0 if labelled is None else len(labelled)
        beyond = utilities[utilities < _WHOLE_SPACE] if known == 0 else utilities
        start = f"the {known} labelled items" if known else "the item nearest to the mean"
        return Selection(
            ordered.rows[chosen],
            utilities,
            f"{len(chosen)} of {len(ordered)} items, each the farthest from all covered before "
            f"it, starting from {start}; cosine distance {spread(beyond)}.",
        )


def farthest_first(
    vectors: NDArray[np.float32], labelled: NDArray[np.float32] | None, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions of k farthest-first picks among unit vectors and the distance of each when taken.

    Args:
        vectors: shape (n, d).
        labelled: shape (m, d), covered from the start, or `None`.
        k: from 0 to n.

    Returns:
        Positions (k,) and cosine distances (k,) in [0, 2].
    """
    chosen = np.empty(k, dtype=np.int64)
    utilities = np.empty(k, dtype=np.float32)
    if k == 0:
        return chosen, utilities
    if labelled is None or len(labelled) == 0:
        closest = np.full(len(vectors), 1.0 - _WHOLE_SPACE, dtype=np.float32)
        pick = int(np.argmax(vectors @ vectors.mean(axis=0)))
    else:
        closest = nearest_similarity(vectors, labelled)
        pick = int(np.argmin(closest))
    for place in range(k):
        chosen[place] = pick
        utilities[place] = min(max(1.0 - float(closest[pick]), 0.0), _WHOLE_SPACE)
        np.maximum(closest, vectors @ vectors[pick], out=closest)
        # Above any cosine, so that a taken item is never the farthest again.
        closest[pick] = np.inf
        pick = int(np.argmin(closest))
    return chosen, utilities
