"""Dense places that the labels do not cover yet, without a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Candidates, Need, Selection, nothing, prepare, spread
from .geometry import mean_vector


@dataclass(frozen=True, slots=True)
class InDomainDiversity:
    """IDDS (Tsvigun 2022): like the pool, unlike the labelled.

    After Tsvigun et al., "Active Learning for Abstractive Text Summarization" (2022): the utility
    is share * mean_u cos(x, u) - (1 - share) * mean_l cos(x, l) over all candidates u and all
    labelled items l, in [-1, 1]; the share 0.67 is the paper's. Each pick counts as labelled for
    the next. The mean cosine is the cosine with the mean, so this takes O(k n d) time and O(n)
    memory beside the vectors. Equal utilities go to the smaller row; the seed changes nothing.
    """

    name: str = "idds"
    needs: frozenset[Need] = frozenset({"vectors"})
    share: float = 0.67

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take them one by one; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        if len(ordered) == 0:
            return nothing(ordered)
        chosen, utilities = self._one_by_one(
            ordered.vectors, ordered.labelled_vectors, min(k, len(ordered))
        )
        known = 0 if ordered.labelled_vectors is None else len(ordered.labelled_vectors)
        return Selection(
            ordered.rows[chosen],
            utilities,
            f"{len(chosen)} of {len(ordered)} items that are like the pool and unlike the {known} "
            f"labelled items and the picks before; score {spread(utilities)}.",
        )

    def _one_by_one(
        self, vectors: NDArray[np.float32], labelled: NDArray[np.float32] | None, k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        density = self.share * (vectors @ mean_vector(vectors))
        known = 0 if labelled is None else len(labelled)
        alike = np.zeros(len(vectors), dtype=np.float32)
        if labelled is not None and known:
            alike = known * (vectors @ mean_vector(labelled))
        chosen = np.empty(k, dtype=np.int64)
        utilities = np.empty(k, dtype=np.float32)
        for place in range(k):
            score = density - (1.0 - self.share) / max(known + place, 1) * alike
            score[chosen[:place]] = -np.inf
            chosen[place] = np.argmax(score)
            utilities[place] = score[chosen[place]]
            alike += vectors @ vectors[chosen[place]]
        return chosen, utilities
