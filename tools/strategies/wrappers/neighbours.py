"""The part of the pool that is near to labelled items: SEALS and AnchorAL.

Neighbours are exact: one matrix product over the pool for each block of labelled items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ....store.errors import UserError
from ..base import Candidates, Need, Selection, Strategy, prepare
from ..geometry import central, k_means, nearest_similarity
from .base import Wrapper, at_least, no_smaller, pass_on

_VECTORS: frozenset[Need] = frozenset({"vectors"})
# Cosines held at a time: 64 MB.
_CELLS = 16_000_000
_FIRST = "Nothing is labelled yet, so it saw all"


@dataclass(frozen=True, slots=True)
class Seals(Wrapper):
    """SEALS (Coleman 2022): shows the `neighbours` nearest candidates of every labelled item.

    After Coleman et al., "Similarity Search for Efficient Active Learning and Search of Rare
    Concepts" (2022), algorithm 3: the inner strategy sees the union over labelled items of their
    nearest unlabelled ones, the next nearest where the union is below k, and everything while
    nothing is labelled. The paper keeps an approximate index from round to round; here neighbours
    are exact and found again each time, among those still unlabelled. O(n m d) time for m
    labelled items, 64 MB beside the vectors.
    """

    called: ClassVar[str] = "seals"
    inner: Strategy
    neighbours: int = 100

    def __post_init__(self) -> None:
        no_smaller(self, "neighbours", 1)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Strategy.needs`."""
        return self.inner.needs | _VECTORS

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Keep the neighbourhood, then let the inner strategy choose; see `Strategy.select`."""
        ordered = prepare(candidates, k, self, _VECTORS)
        vectors, labelled = ordered.vectors, ordered.labelled_vectors
        assert vectors is not None
        n = len(ordered)
        if labelled is None or len(labelled) == 0 or n == 0:
            return pass_on(ordered, np.arange(n), self.inner, k, seed, f"{_FIRST} {n} items.")
        kept = np.unique(_nearest(vectors, labelled, self.neighbours)[0])
        if len(kept) < min(k, n):
            kept = at_least(kept, min(k, n), nearest_similarity(vectors, labelled))
        how = (
            f"It saw the {len(kept)} of {n} items that are among the {self.neighbours} nearest of "
            f"one of {len(labelled)} labelled items."
        )
        return pass_on(ordered, kept, self.inner, k, seed, how)


@dataclass(frozen=True, slots=True)
class Anchor(Wrapper):
    """AnchorAL (Lesci 2024): shows a fixed number of items near anchors of every label.

    After Lesci & Vlachos, "AnchorAL: Computationally Efficient Active Learning for Large and
    Imbalanced Datasets" (2024), algorithm 1: of each label, `anchors` labelled items are drawn by
    k-means++, anew each round; each anchor brings its `neighbours` nearest candidates; a candidate
    scores its mean cosine to the anchors that brought it, and the best `size` (or k) are shown.
    So rare labels bring as many as common ones. While nothing is labelled it shows everything;
    where the labels are not known, all labelled items count as one. Neighbours are exact: O(n a d)
    time for a anchors in all, 64 MB beside the vectors.
    """

    called: ClassVar[str] = "anchor"
    inner: Strategy
    size: int = 1_000
    anchors: int = 10
    neighbours: int = 50

    def __post_init__(self) -> None:
        for name in ("size", "anchors", "neighbours"):
            no_smaller(self, name, 1)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Strategy.needs`."""
        return self.inner.needs | _VECTORS

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Keep what is near the anchors, then let the inner strategy choose."""
        ordered = prepare(candidates, k, self, _VECTORS)
        vectors, labelled = ordered.vectors, ordered.labelled_vectors
        assert vectors is not None
        n = len(ordered)
        if labelled is None or len(labelled) == 0 or n == 0:
            return pass_on(ordered, np.arange(n), self.inner, k, seed, f"{_FIRST} {n} items.")
        labels = ordered.labels
        if labels is not None and len(labels) != len(labelled):
            raise UserError(
                f"there are {len(labels)} labels for {len(labelled)} labelled vectors: "
                "give both in one order"
            )
        groups = np.zeros(len(labelled), dtype=np.int64) if labels is None else labels
        anchors = labelled[self._anchors(labelled, groups, self.rng(seed))]
        kept = self._kept(vectors, anchors, k)
        whose = "all labelled items, their labels unknown" if labels is None else "every label"
        how = (
            f"It saw the {len(kept)} of {n} items nearest to {len(anchors)} anchors, at most "
            f"{self.anchors} of {whose}."
        )
        return pass_on(ordered, kept, self.inner, k, seed, how)

    def _anchors(
        self, vectors: NDArray[np.float32], groups: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Positions of the labelled items that are anchors."""
        found = []
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group)
            if len(members) > self.anchors:
                # Without iterations a centre is one of the items: that is k-means++.
                first = k_means(vectors[members], self.anchors, rng, iterations=0)
                members = members[central(vectors[members], first, self.anchors)[0]]
            found.append(members)
        return np.concatenate(found)

    def _kept(
        self, vectors: NDArray[np.float32], anchors: NDArray[np.float32], k: int
    ) -> NDArray[np.int64]:
        positions, cosines = _nearest(vectors, anchors, self.neighbours)
        times = np.bincount(positions.ravel(), minlength=len(vectors))
        total = np.bincount(positions.ravel(), weights=cosines.ravel(), minlength=len(vectors))
        kept = np.flatnonzero(times)
        score = total[kept] / times[kept]
        kept = kept[np.argsort(-score, kind="stable")[: max(self.size, k)]]
        least = min(k, len(vectors))
        if len(kept) < least:
            return at_least(kept, least, nearest_similarity(vectors, anchors))
        return np.sort(kept)


def _nearest(
    vectors: NDArray[np.float32], others: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each of `others` (m, d), positions and cosines (m, c) of its c nearest vectors (n, d).

    c is min(count, n). In no order within a row; of equal cosines at the edge any may be left out.
    """
    count = min(count, len(vectors))
    positions = np.empty((len(others), count), dtype=np.int64)
    cosines = np.empty((len(others), count), dtype=np.float32)
    step = max(1, _CELLS // len(vectors))
    for top in range(0, len(others), step):
        found = others[top : top + step] @ vectors.T
        near = np.argpartition(found, len(vectors) - count, axis=1)[:, -count:]
        positions[top : top + step] = near
        cosines[top : top + step] = np.take_along_axis(found, near, axis=1)
    return positions, cosines
