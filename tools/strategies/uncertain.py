"""The items a classifier is least sure of, by one measure, without regard to one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..uncertainty import measures
from .base import Candidates, Need, Selection, prepare, ranked, spread


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """The k items with the largest uncertainty (Lewis & Gale 1994); ties in random order.

    `name` is that of a measure of `tools.uncertainty.MEASURES`, or with several labels an item of
    `MULTI_LABEL_MEASURES`; the utility of a pick is that measure, in [0, 1].
    """

    name: str
    needs: frozenset[Need] = frozenset({"probabilities"})

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the most uncertain; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        assert ordered.probabilities is not None
        utilities = measures(multi_label=ordered.multi_label)[self.name](ordered.probabilities)
        chosen = ranked(utilities, k, np.random.default_rng(seed))
        words = self.name.replace("_", " ")
        return Selection(
            ordered.rows[chosen],
            utilities[chosen],
            f"The {len(chosen)} most uncertain of {len(ordered)} items by {words}, "
            f"{spread(utilities[chosen])} (all candidates: {spread(utilities)}).",
        )
