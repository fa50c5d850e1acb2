"""Unsure items whose vectors span as large a volume as possible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..uncertainty import measures
from .base import Candidates, Need, Selection, prepare, spread

_ROW_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class DeterminantalPoints:
    """The greedy most probable set of a determinantal point process (Chen 2018).

    Maximises log det of L over the picks, L_ij = q_i q_j cos(x_i, x_j) + `ridge` [i = j], with
    q = `floor` + (1 - `floor`) times the margin uncertainty; labelled items (q = 1) count as chosen
    before. Chen, Zhang & Zhou, "Fast Greedy MAP Inference for Determinantal Point Process" (2018),
    keep a growing row of a Cholesky factor for each item; as L has rank d beside the ridge, it is
    enough to keep a d x d inverse: the variance left to item i, v_i = b_i' M b_i with b = q x,
    falls by (b_i' M b_p)^2 / (ridge + v_p) with each pick p. So O(k n d) time and O(n + d^2) memory
    beside the vectors. The utility of a pick is v when it is taken, in [0, 1]. Equal utilities go
    to the smaller row; the seed changes nothing.
    """

    name: str = "dpp"
    needs: frozenset[Need] = frozenset({"vectors", "probabilities"})
    ridge: float = 0.01
    floor: float = 0.05

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the largest volume greedily; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        assert ordered.probabilities is not None
        quality = self.floor + (1.0 - self.floor) * measures(multi_label=ordered.multi_label)[
            "margin"
        ](ordered.probabilities)
        labelled = ordered.labelled_vectors
        chosen, utilities = self._greedy(ordered.vectors, quality, labelled, min(k, len(ordered)))
        known = 0 if labelled is None else len(labelled)
        return Selection(
            ordered.rows[chosen],
            utilities,
            f"{len(chosen)} of {len(ordered)} items that are uncertain and span the largest volume "
            f"together with the {known} labelled items; variance left {spread(utilities)}.",
        )

    def _greedy(
        self,
        vectors: NDArray[np.float32],
        quality: NDArray[np.float32],
        labelled: NDArray[np.float32] | None,
        k: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        inverse: NDArray[np.float64] = np.eye(vectors.shape[1])
        if labelled is not None and len(labelled):
            known = labelled.astype(np.float64)
            inverse = np.linalg.inv(inverse + known.T @ known / self.ridge).astype(np.float64)
        left = quality**2 * _quadratic(vectors, inverse.astype(np.float32))
        chosen = np.empty(k, dtype=np.int64)
        utilities = np.empty(k, dtype=np.float32)
        for place in range(k):
            pick = int(np.argmax(left))
            own = vectors[pick].astype(np.float64) * float(quality[pick])
            push = inverse @ own
            scale = self.ridge + float(own @ push)
            chosen[place] = pick
            utilities[place] = min(max(float(left[pick]), 0.0), 1.0)
            inverse -= np.outer(push, push) / scale
            shared = vectors @ (push / np.sqrt(scale)).astype(np.float32)
            shared *= quality
            left -= shared * shared
            left[pick] = -np.inf
        return chosen, utilities


def _quadratic(vectors: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The form x' M x of each row x, in blocks."""
    found = np.empty(len(vectors), dtype=np.float32)
    for top in range(0, len(vectors), _ROW_BLOCK):
        rows = vectors[top : top + _ROW_BLOCK]
        found[top : top + _ROW_BLOCK] = np.einsum("ij,ij->i", rows @ matrix, rows)
    return found
