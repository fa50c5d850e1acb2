"""Items that many others have among their nearest, with votes that fade where one was chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Candidates, Need, Selection, nothing, prepare, spread
from .graph import nearest_others
from .part import part


@dataclass(frozen=True, slots=True)
class VoteK:
    """Vote-k (Su 2022): neighbours vote, and a vote fades with each neighbour already chosen.

    After Su et al., "Selective Annotation Makes Language Models Better Few-Shot Learners" (2022),
    the graph part (their "fast vote-k"): every candidate v votes for its nearest others, with the
    weight `fade`^-c, c the number of labelled items and picks among them; the pick is the item with
    the most votes. An item has `neighbours` nearest, but no more than `most` of all items. Above
    `limit` candidates all is about a seeded sample of `limit`, and the reason says so. The utility
    of a pick is its votes, a share of all candidates seen, in [0, 1]. O(limit^2 d) time,
    O(limit `neighbours`) memory. Equal votes go to the smaller row.

    Raises (from `select`):
        UserError: more than `limit` items are wanted.
    """

    name: str = "vote_k"
    needs: frozenset[Need] = frozenset({"vectors"})
    neighbours: int = 150
    most: float = 0.05
    fade: float = 10.0
    limit: int = 10_000

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the most voted for, one by one; see `Strategy.select`."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        if len(ordered) == 0:
            return nothing(ordered)
        rng = np.random.default_rng(seed)
        seen = part(self, ordered, k, self.limit, rng)
        points = seen.with_labelled()
        kept = min(self.neighbours, max(1, int(self.most * len(points))), len(points) - 1)
        near = np.empty((1, 0), dtype=np.int32)
        if kept:
            near = nearest_others(points, kept, len(seen))
        chosen, votes = self._elect(near, seen.wanted)
        return Selection(
            seen.rows[chosen],
            votes,
            f"{len(chosen)} items that most of {seen} have among their "
            f"{kept} nearest, votes fading {self.fade:g} times with each neighbour chosen before "
            f"({len(seen.labelled)} labelled); votes {spread(votes)}.",
        )

    def _elect(
        self, near: NDArray[np.int32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Picks (k,) among the n voters that own the rows of `near`, and their votes (k,)."""
        voters = len(near)
        taken = (near >= voters).sum(axis=1)
        weight = self.fade ** -taken.astype(np.float64)
        points = int(near.max(initial=voters - 1)) + 1
        votes = np.bincount(
            near.ravel(), weights=np.repeat(weight, near.shape[1]), minlength=points
        )[:voters].astype(np.float64)
        chosen = np.empty(k, dtype=np.int64)
        utilities = np.empty(k, dtype=np.float32)
        for place in range(k):
            pick = int(np.argmax(votes))
            chosen[place] = pick
            utilities[place] = max(float(votes[pick]), 0.0) / voters
            votes[pick] = -np.inf
            moved = np.flatnonzero((near == pick).any(axis=1))
            lost = weight[moved] * (1.0 - 1.0 / self.fade)
            weight[moved] -= lost
            votes -= np.bincount(
                near[moved].ravel(), weights=np.repeat(lost, near.shape[1]), minlength=points
            )[:voters]
        return chosen, utilities
