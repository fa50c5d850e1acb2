"""Before any label: the items that look most like what each label is said to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from .base import Candidates, Need, Selection, nothing, prepare, spread
from .geometry import nearest_similarity


@dataclass(frozen=True, slots=True)
class LabelDescriptions:
    """The items nearest to each label's description, label after label, unlike one another.

    Needs no label, only a description of each. Labels take turns: always the one with the fewest
    labelled items and picks, ties in random order. Of the `breadth` items (or k) nearest to its
    description it takes the one of largest cos(x, description) - `apart` max_u cos(x, u), u being
    the labelled items and the picks so far (maximal marginal relevance, Carbonell & Goldstein
    1998); equal ones go to the smaller row. The utility of a pick is its cosine with the
    description that it was taken for, in [-1, 1]. With m the larger of `breadth` and k:
    O(n C d + k C m d) time, and memory for n C numbers and C m vectors, at most n.

    Raises (from `select`):
        UserError: no label is described.
    """

    name: str = "label_descriptions"
    needs: frozenset[Need] = frozenset({"vectors", "label_vectors"})
    breadth: int = 200
    apart: float = 0.25

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the likest of each label in turn; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        vectors, described = ordered.vectors, ordered.label_vectors
        assert vectors is not None
        assert described is not None
        if len(described) == 0:
            raise UserError("no label is described: give the task its labels first")
        if len(ordered) == 0:
            return nothing(ordered)
        labels = ordered.labels if ordered.labels is not None else np.empty(0, dtype=np.int64)
        counts = np.bincount(labels, minlength=len(described))
        wanted = min(k, len(ordered))
        turns = _turns(counts, wanted, np.random.default_rng(seed))
        cosine = vectors @ described.T
        near = _nearest(cosine, min(max(self.breadth, k), len(ordered)))
        part, place = np.unique(near, return_inverse=True)
        known = ordered.labelled_vectors
        if known is None:
            known = np.empty((0, vectors.shape[1]), dtype=np.float32)
        inside = _apart(
            vectors[part], cosine[part], place.reshape(near.shape), turns, known, self.apart
        )
        chosen = part[inside]
        found: NDArray[np.float32] = cosine[chosen, turns]
        return Selection(
            ordered.rows[chosen],
            found,
            f"{wanted} of {len(ordered)} items, the nearest to the description of each of "
            f"{len(described)} labels in turn, unlike one another and the labelled; cosine with "
            f"the description {spread(found)}.",
        )


def _turns(counts: NDArray[np.int64], wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The label of each turn (wanted,): always the one with the fewest so far."""
    classes = len(counts)
    # Turn t of a label is due when all have counts + t: the smallest of these sums, in order.
    due = counts[:, None] + np.arange(wanted)
    tie = np.broadcast_to(rng.permutation(classes)[:, None], due.shape)
    order = np.lexsort((tie.ravel(), due.ravel()))[:wanted]
    return (order // wanted).astype(np.int64)


def _nearest(cosine: NDArray[np.float32], kept: int) -> NDArray[np.int64]:
    """Positions (C, kept) of the largest of each column of cosines (n, C), in any order."""
    items, classes = cosine.shape
    found = np.empty((classes, kept), dtype=np.int64)
    for label in range(classes):
        found[label] = np.argpartition(cosine[:, label], items - kept)[items - kept :]
    return np.sort(found, axis=1)


def _apart(
    vectors: NDArray[np.float32],
    relevance: NDArray[np.float32],
    near: NDArray[np.int64],
    turns: NDArray[np.int64],
    known: NDArray[np.float32],
    apart: float,
) -> NDArray[np.int64]:
    """Positions of the picks, one for each turn, by maximal marginal relevance.

    Args:
        vectors: (u, d) those that may be picked.
        relevance: (u, C) how near each is to each description.
        near: (C, m) positions of those that each label may take, m at least the number of turns.
        turns: the label of each turn.
        known: (l, d) what to keep away from at the start.
        apart: how much likeness to the picks counts.
    """
    alike = nearest_similarity(vectors, known)
    free = np.ones(len(vectors), dtype=np.bool_)
    chosen = np.empty(len(turns), dtype=np.int64)
    for turn, label in enumerate(turns):
        mine = near[label][free[near[label]]]
        score = relevance[mine, label] - np.float32(apart) * alike[mine]
        pick = mine[int(np.argmax(score))]
        chosen[turn] = pick
        free[pick] = False
        np.maximum(alike, vectors @ vectors[pick], out=alike)
    return chosen
