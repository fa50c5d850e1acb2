"""The items whose label would move the last layer of the model most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..gradient import expected_gradient_length
from .base import Candidates, Need, Selection, prepare, ranked, spread


@dataclass(frozen=True, slots=True)
class ExpectedGradient:
    """Expected gradient length of the last layer (Settles 2007; Huang 2016), in closed form.

    After Settles, Craven & Ray, "Multiple-Instance Active Learning" (2007), for the last layer
    alone as in Huang et al., "Active Learning for Speech Recognition: the Power of Gradients"
    (2016): the utility is sum_c p_c |p - e_c| |h|, where vectors h have length 1, so that it is at
    least 0 and less than sqrt 2 and comes from the probabilities alone. O(n C) time and memory.
    Ties are in random order.
    """

    name: str = "expected_gradient"
    needs: frozenset[Need] = frozenset({"probabilities"})

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the longest gradients; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        assert ordered.probabilities is not None
        utilities = expected_gradient_length(ordered.probabilities)
        chosen = ranked(utilities, k, np.random.default_rng(seed))
        return Selection(
            ordered.rows[chosen],
            utilities[chosen],
            f"The {len(chosen)} of {len(ordered)} items whose label is expected to move the last "
            f"layer most; gradient length {spread(utilities[chosen])} "
            f"(all candidates: {spread(utilities)}).",
        )
