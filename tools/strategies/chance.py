"""The strategy every other one must beat: a uniform draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Candidates, Need, Selection, prepare


@dataclass(frozen=True, slots=True)
class Random:
    """A uniform draw without replacement; the utility of every pick is 0."""

    name: str = "random"
    needs: frozenset[Need] = frozenset()

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Draw min(k, n) rows; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        chosen = np.random.default_rng(seed).permutation(len(ordered))[:k]
        return Selection(
            ordered.rows[chosen],
            np.zeros(len(chosen), dtype=np.float32),
            f"{len(chosen)} of {len(ordered)} items drawn at random, all equally likely.",
        )
