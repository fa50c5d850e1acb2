"""Items that the model judges unlike their nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..uncertainty import check_label_probabilities, check_probabilities
from .base import Candidates, Need, Selection, nothing, prepare, ranked, sample, spread
from .graph import largest, nearest_others

_CELLS = 4_000_000
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Contrastive:
    """CAL (Margatina 2021): close in meaning to its neighbours, far from them in prediction.

    After Margatina et al., "Active Learning by Acquiring Contrastive Examples" (2021), algorithm 1:
    the utility is the mean over the `neighbours` nearest labelled items l of KL(p_l || p_x), at
    least 0. With n_l the mean of the p_l this is mean_l(sum p_l log p_l) - sum_c n_lc log p_xc, so
    only the sums are needed. Probabilities below 1e-6 count as that. With several labels an item
    the divergences of its labels, each being there or not, are added up.

    While fewer than `neighbours` labelled items have predictions, the neighbours are other
    candidates (above `limit` of them, those in a seeded sample), and the reason says so. Nearest
    neighbours are exact among those: O(n r d) time for r of them (half of it where they are all the
    candidates), blocks of 16 MB.
    """

    name: str = "contrastive"
    needs: frozenset[Need] = frozenset({"vectors", "probabilities"})
    neighbours: int = 10
    limit: int = 5_000

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the most contrastive; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        assert ordered.probabilities is not None
        p = _table(ordered.probabilities, several=ordered.multi_label)
        if len(ordered) == 0:
            return nothing(ordered)
        rng = np.random.default_rng(seed)
        known = ordered.with_labelled_probabilities().labelled_probabilities
        if ordered.labelled_vectors is not None and known is not None:
            among = f"{len(known)} labelled items"
            others = ordered.labelled_vectors
            theirs = _table(known, several=ordered.multi_label)
            own = np.empty(0, dtype=np.int64)
        if known is None or ordered.labelled_vectors is None or len(known) < self.neighbours:
            own = sample(len(ordered), self.limit, rng)
            among = f"{len(own)} candidates, as too few labelled items have predictions"
            others, theirs = ordered.vectors[own], p[own]
        utilities = _contrast(ordered.vectors, p, others, theirs, own, self.neighbours)
        chosen = ranked(utilities, k, rng)
        return Selection(
            ordered.rows[chosen],
            utilities[chosen],
            f"The {len(chosen)} of {len(ordered)} items whose prediction differs most from that of "
            f"their {self.neighbours} nearest among {among}; mean divergence "
            f"{spread(utilities[chosen])} (all candidates: {spread(utilities)}).",
        )


def _contrast(
    vectors: NDArray[np.float32],
    p: NDArray[np.float32],
    others: NDArray[np.float32],
    theirs: NDArray[np.float32],
    own: NDArray[np.int64],
    neighbours: int,
) -> NDArray[np.float32]:
    """Mean divergence (n,); `own` are the ascending positions of the others among the vectors."""
    theirs = np.maximum(theirs, _LEAST)
    # Negative entropies: the part of the divergence that does not depend on the candidate.
    order = np.einsum("ij,ij->i", theirs, np.log(theirs))
    kept = min(neighbours, len(others) - (1 if len(own) else 0))
    found = np.zeros(len(vectors), dtype=np.float32)
    if kept < 1:
        return found
    if len(own) == len(vectors):
        near = nearest_others(vectors, kept, len(vectors))
    else:
        near = _nearest(vectors, others, own, kept)
    step = max(64, _CELLS // (kept * p.shape[1]))
    for top in range(0, len(vectors), step):
        part = near[top : top + step]
        logs = np.log(np.maximum(p[top : top + step], _LEAST))
        cross = np.einsum("ikc,ic->i", theirs[part], logs)
        found[top : top + step] = (order[part].sum(axis=1) - cross) / kept
    return np.maximum(found, 0.0)


def _nearest(
    vectors: NDArray[np.float32],
    others: NDArray[np.float32],
    own: NDArray[np.int64],
    kept: int,
) -> NDArray[np.int32]:
    """Positions (n, kept) of the nearest others, no item being its own neighbour."""
    near = np.empty((len(vectors), kept), dtype=np.int32)
    step = max(64, _CELLS // len(others))
    for top in range(0, len(vectors), step):
        cosine = vectors[top : top + step] @ others.T
        first, last = np.searchsorted(own, [top, top + step])
        cosine[own[first:last] - top, np.arange(first, last)] = -np.inf
        near[top : top + step] = largest(cosine, kept)
    return near


def _table(probabilities: NDArray[np.float32], *, several: bool) -> NDArray[np.float32]:
    """Checked probabilities; with several labels an item, of having each and of not having it."""
    if not several:
        return check_probabilities(probabilities)
    p = check_label_probabilities(probabilities)
    return np.concatenate([p, 1.0 - p], axis=1)
