"""A batch in which each item is unsure and unlike what is labelled, ranked as it is built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..uncertainty import check_probabilities, label_set_least_confidence
from .base import Candidates, Need, Selection, nothing, prepare, sample, spread
from .front import take_greedily
from .geometry import nearest_similarity
from .graph import tiles

_ROW_BLOCK = 512


@dataclass(frozen=True, slots=True)
class RankedBatch:
    """Ranked batch-mode active learning (Cardoso 2017): unsure, and far from all labels.

    After Cardoso et al., "Ranked batch-mode active learning" (2017), algorithm 1, with the
    similarity that modAL gives it: each pick has the largest
    a (1 - 1 / (1 + d(x))) + (1 - a) (1 - max_c p_xc), which is its utility, in [0, 1]. d is the
    Euclidean distance to the nearest labelled item or pick; a = u / (u + l), where u items are left
    and l are labelled or picked. So diversity counts most while little is labelled.

    With nothing labelled the first pick is the item of smallest mean distance to all others (above
    `limit` candidates, to a seeded sample of `limit`, and the reason says so), with utility 1. The
    paper starts at random. O(m n d) time for m labelled items, up to O(k n d) for the picks and
    O(`limit` n d) for that first one; O(n) memory. Equal scores go to the smaller row.
    """

    name: str = "ranked_batch"
    needs: frozenset[Need] = frozenset({"vectors", "probabilities"})
    limit: int = 10_000

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Build the ranking; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        vectors, labelled = ordered.vectors, ordered.labelled_vectors
        assert vectors is not None
        assert ordered.probabilities is not None
        if ordered.multi_label:
            unsure = label_set_least_confidence(ordered.probabilities)
        else:
            unsure = 1.0 - check_probabilities(ordered.probabilities).max(axis=1)
        if len(ordered) == 0:
            return nothing(ordered)
        first = np.empty(0, dtype=np.int64)
        known = 0 if labelled is None else len(labelled)
        start = f"the {known} labelled items"
        covered = labelled
        if labelled is None or known == 0:
            seen = sample(len(ordered), self.limit, np.random.default_rng(seed))
            first = np.array([_central(vectors, vectors[seen])])
            start = f"the item nearest on average to {len(seen)} of {len(ordered)}"
            covered = vectors[first]
        assert covered is not None
        chosen, utilities = _ranking(vectors, covered, unsure, first, known, k)
        return Selection(
            ordered.rows[chosen],
            utilities,
            f"{len(chosen)} of {len(ordered)} items, ranked one by one by distance from {start} "
            f"and the picks before and by least confidence; score {spread(utilities)}.",
        )


def _ranking(
    vectors: NDArray[np.float32],
    covered: NDArray[np.float32],
    unsure: NDArray[np.float32],
    first: NDArray[np.int64],
    known: int,
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions and scores of min(k, n) picks; `first` are those that were made already."""
    closest = nearest_similarity(vectors, covered)
    # Not to be taken again.
    unsure = unsure.copy()
    unsure[first] = -np.inf
    done = len(first)

    def score(
        near: NDArray[np.float32], positions: NDArray[np.int64] | slice, place: int
    ) -> NDArray[np.float32]:
        left = np.float32((len(vectors) - done - place) / (len(vectors) + known))
        apart = np.sqrt(np.maximum(np.float32(2.0) - np.float32(2.0) * near, np.float32(0.0)))
        found: NDArray[np.float32] = left * (apart / (1 + apart)) + (1 - left) * unsure[positions]
        return found

    wanted = min(k, len(vectors)) - done
    chosen, scores = take_greedily(vectors, closest, wanted, score)
    utilities = np.concatenate([np.ones(done, dtype=np.float32), np.clip(scores, 0.0, 1.0)])
    return np.concatenate([first, chosen]), utilities


def _central(vectors: NDArray[np.float32], others: NDArray[np.float32]) -> int:
    """The position of smallest mean Euclidean distance to the others, all or some of them."""
    total = np.zeros(len(vectors), dtype=np.float64)
    if len(others) == len(vectors):
        for tile in tiles(vectors):
            apart = _distance(tile.cosine)
            total[tile.top : tile.top + len(apart)] += apart.sum(axis=1, dtype=np.float64)
            if tile.top != tile.left:
                column = apart.sum(axis=0, dtype=np.float64)
                total[tile.left : tile.left + len(column)] += column
        return int(np.argmin(total))
    for top in range(0, len(vectors), _ROW_BLOCK):
        apart = _distance(vectors[top : top + _ROW_BLOCK] @ others.T)
        total[top : top + _ROW_BLOCK] = apart.sum(axis=1, dtype=np.float64)
    return int(np.argmin(total))


def _distance(cosine: NDArray[np.float32]) -> NDArray[np.float32]:
    """Euclidean distances of unit vectors, but for a factor of sqrt(2); in place."""
    np.subtract(1.0, cosine, out=cosine)
    np.maximum(cosine, 0.0, out=cosine)
    return np.sqrt(cosine, out=cosine)
