"""The part of the candidates that a strategy compares with one another, and what is labelled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Candidates, Strategy, part_of, sample_for
from .geometry import nearest_similarity


@dataclass(frozen=True, slots=True)
class Part:
    """The s candidates that are looked at, all or a seeded sample of them.

    `rows` (s,) are their pool rows, ascending; `vectors` (s, d) theirs and `labelled` (m, d) those
    of the labelled items, m >= 0. `whole` is the number of candidates and `wanted` how many to
    choose, at most s.
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]
    labelled: NDArray[np.float32]
    whole: int
    wanted: int

    def __len__(self) -> int:
        """The number of candidates that are looked at."""
        return len(self.rows)

    def __str__(self) -> str:
        """How much is looked at, for a reason."""
        return part_of(len(self.rows), self.whole)

    def nearest_label(self) -> NDArray[np.float32]:
        """The largest cosine of each with a labelled item, shape (s,); -1 where there is none."""
        return nearest_similarity(self.vectors, self.labelled)

    def with_labelled(self) -> NDArray[np.float32]:
        """Their vectors and those of the labelled items after them, shape (s + m, d)."""
        return np.concatenate([self.vectors, self.labelled]) if len(self.labelled) else self.vectors


def part(
    strategy: Strategy, ordered: Candidates, k: int, limit: int, rng: np.random.Generator
) -> Part:
    """At most `limit` of the candidates, for a strategy that compares all it sees.

    Args:
        strategy: the one that asks, for the message.
        ordered: prepared candidates with vectors, at least one.
        k: how many are wanted.
        limit: how many the strategy can compare within its bound on memory.
        rng: draws the sample.

    Raises:
        UserError: more items are wanted than can be compared.
    """
    vectors, labelled = ordered.vectors, ordered.labelled_vectors
    assert vectors is not None
    seen = sample_for(strategy, len(ordered), k, limit, rng)
    if len(seen) < len(ordered):
        vectors = vectors[seen]
    return Part(
        rows=ordered.rows[seen],
        vectors=vectors,
        labelled=vectors[:0] if labelled is None else labelled,
        whole=len(ordered),
        wanted=min(k, len(seen)),
    )
