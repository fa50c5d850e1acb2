"""The items that draws of a model, or the members of a committee, differ most about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..disagreement import CommitteeMeasure, bald, mean_kl, vote_entropy
from .base import Candidates, Need, Selection, in_order, part_of, prepare, ranked, sample, spread

_MEASURES: dict[str, tuple[CommitteeMeasure, str]] = {
    "bald": (bald, "what their label would tell about the model"),
    "committee_vote_entropy": (vote_entropy, "the entropy of the votes"),
    "committee_kl": (mean_kl, "mean divergence from what all say together"),
}


@dataclass(frozen=True, slots=True)
class Disagreement:
    """BALD (Houlsby 2011), or query by committee: where draws of the model differ most.

    `name` says by which measure of `tools.disagreement`: "bald" by mutual information of label and
    model (Houlsby et al. 2011; with dropout as draws Gal, Islam & Ghahramani 2017),
    "committee_vote_entropy" by the entropy of the votes (Dagan & Engelson 1995), "committee_kl" by
    the mean divergence from the consensus (McCallum & Nigam 1998). The utility of a pick is that
    measure, in [0, 1]; ties are in random order. Of the same draws "bald" and "committee_kl" are
    the same number. Up to `limit` candidates are all looked at; above, a seeded sample of `limit`
    (or k), so that no more are predicted T times, and the reason says so. O(T n C) time; 4 T n C
    bytes for the draws and at most 32 MB beside, n being at most `limit`.
    """

    name: str
    needs: frozenset[Need] = frozenset({"samples"})
    limit: int = 100_000

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take what the draws differ on; see `Strategy.select` for arguments and errors."""
        ordered = in_order(candidates, k, self.name)
        rng = np.random.default_rng(seed)
        seen = sample(len(ordered), max(k, self.limit), rng)
        part = prepare(ordered if len(seen) == len(ordered) else ordered.at(seen), k, self)
        assert part.samples is not None
        measure, words = _MEASURES[self.name]
        utilities = measure(part.samples)
        chosen = ranked(utilities, k, rng)
        return Selection(
            part.rows[chosen],
            utilities[chosen],
            f"The {len(chosen)} of {part_of(len(part), len(ordered))} on which "
            f"{len(part.samples)} draws of the model differ most by {words}, "
            f"{spread(utilities[chosen])} (all looked at: {spread(utilities)}).",
        )
