"""Unsure items of which the pool holds many like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..density import density_weighted
from ..uncertainty import measures
from .base import Candidates, Need, Selection, prepare, ranked, spread


@dataclass(frozen=True, slots=True)
class Density:
    """Information density (Settles & Craven 2008): doubt weighted by likeness to the pool.

    After Settles & Craven, "An Analysis of Active Learning Strategies for Sequence Labeling Tasks"
    (2008), section 3.4: the utility is the entropy, as a share of the largest, times the mean
    cosine with all candidates to the power `beta`, in [0, 1]; a mean cosine below 0 counts as 0.
    The mean is one product with the mean vector: O(n (C + d)) time, O(n) memory beside the input.
    Ties are in random order.
    """

    name: str = "density"
    needs: frozenset[Need] = frozenset({"vectors", "probabilities"})
    beta: float = 1.0

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the unsure that stand for many; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        assert ordered.probabilities is not None
        doubt = measures(multi_label=ordered.multi_label)["entropy"](ordered.probabilities)
        utilities = density_weighted(doubt, ordered.vectors, beta=self.beta)
        chosen = ranked(utilities, k, np.random.default_rng(seed))
        return Selection(
            ordered.rows[chosen],
            utilities[chosen],
            f"The {len(chosen)} of {len(ordered)} items with the largest entropy times mean "
            f"likeness to all of them, {spread(utilities[chosen])} "
            f"(all candidates: {spread(utilities)}).",
        )
