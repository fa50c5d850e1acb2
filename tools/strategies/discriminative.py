"""Items that a classifier can tell from the labelled ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Candidates, Need, Selection, nothing, prepare, sample, spread
from .geometry import mean_vector


@dataclass(frozen=True, slots=True)
class Discriminative:
    """DAL (Gissin 2019): what looks least like the labelled, in sub-batches.

    After Gissin & Shalev-Shwartz, "Discriminative Active Learning" (2019): a logistic regression
    (balanced classes) learns to tell labelled from unlabelled vectors; the items surest to be
    unlabelled are taken, count as labelled, and it learns again, `batches` times. It learns from at
    most `limit` candidates (a seeded sample), but always judges and chooses among all of them.
    With nothing labelled, the item nearest to the mean comes first, with the utility 1. The
    utility of a pick is its probability of being unlabelled when it was taken, in [0, 1]. Each
    sub-batch takes O(n d) time to judge, O(n) memory beside the vectors.
    """

    name: str = "discriminative"
    needs: frozenset[Need] = frozenset({"vectors"})
    batches: int = 10
    limit: int = 5_000

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the least known in sub-batches; see `Strategy.select`."""
        ordered = prepare(candidates, k, self)
        vectors, labelled = ordered.vectors, ordered.labelled_vectors
        assert vectors is not None
        if len(ordered) == 0:
            return nothing(ordered)
        wanted = min(k, len(vectors))
        rng = np.random.default_rng(seed)
        free = np.ones(len(vectors), dtype=np.bool_)
        chosen: list[int] = []
        utilities: list[float] = []
        if labelled is None or len(labelled) == 0:
            labelled = np.empty((0, vectors.shape[1]), dtype=np.float32)
            chosen.append(int(np.argmax(vectors @ mean_vector(vectors))))
            utilities.append(1.0)
            free[chosen] = False
        step = -(-wanted // self.batches)
        while len(chosen) < wanted:
            known = np.concatenate([labelled, vectors[chosen]])
            left = np.flatnonzero(free)
            learnt = left[sample(len(left), self.limit, rng)]
            odds = _unknown(known, vectors[learnt], vectors)
            odds[~free] = -np.inf
            best = np.argsort(-odds, kind="stable")[: min(step, wanted - len(chosen))]
            chosen += best.tolist()
            utilities += (1.0 / (1.0 + np.exp(-odds[best].astype(np.float64)))).tolist()
            free[best] = False
        found = np.array(utilities, dtype=np.float32)
        return Selection(
            ordered.rows[chosen],
            found,
            f"{len(chosen)} of {len(ordered)} items that a classifier tells best from the labelled "
            f"items, learnt again after every {step}; probability of being unlabelled "
            f"{spread(found)}.",
        )


def _unknown(
    known: NDArray[np.float32], unknown: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Log odds (n,) of being unlabelled by a logistic regression of unknown against known."""
    from sklearn.linear_model import LogisticRegression

    points = np.concatenate([known, unknown])
    target = np.concatenate([np.zeros(len(known)), np.ones(len(unknown))])
    learner = LogisticRegression(class_weight="balanced", C=10.0, max_iter=1000)
    learner.fit(points, target)
    weights = learner.coef_[0].astype(np.float32)
    odds: NDArray[np.float32] = vectors @ weights + np.float32(learner.intercept_[0])
    return odds
