"""Cover the space: always take the item farthest from everything taken so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Candidates, Need, Selection, prepare, spread
from .front import take_greedily
from .geometry import mean_vector, nearest_similarity

_WHOLE_SPACE = 2.0


@dataclass(frozen=True, slots=True)
class KCenter:
    """Greedy k-center (Sener & Savarese 2018, algorithm 1).

    Each pick is argmax_x min_{l in L} d(x, l) with d = 1 - cosine, L the labelled items and the
    picks so far: at most twice the best possible covering radius (Gonzalez 1985, in Euclidean
    distance, which orders unit vectors in the same way). With nothing labelled it starts at the
    item nearest to the mean. The minimum is kept from pick to pick, and from the second pick on
    only where an item may be the next: O(m n d) time for m labelled items and up to O(k n d) for
    the picks, O(n) memory beside the vectors. Deterministic: equal distances go to the smaller
    row, and the seed changes nothing. The utility of a pick is its distance from what was covered,
    in [0, 2]; 2 for a first pick with nothing covered.
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
    if k == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    first = np.empty(0, dtype=np.int64)
    covered = labelled
    if labelled is None or len(labelled) == 0:
        first = np.argmax(vectors @ mean_vector(vectors), keepdims=True)
        covered = vectors[first]
    assert covered is not None
    closest = nearest_similarity(vectors, covered)
    # Never the farthest again, though its copies may be.
    closest[first] = np.inf
    chosen, scores = take_greedily(vectors, closest, k - len(first), lambda near, _, __: -near)
    utilities = np.clip(1.0 + scores, 0.0, _WHOLE_SPACE)
    whole = np.full(len(first), _WHOLE_SPACE, dtype=np.float32)
    return np.concatenate([first, chosen]), np.concatenate([whole, utilities])
