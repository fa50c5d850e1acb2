"""Items that together tell most about which draw of the model is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..batch_bald import batch_bald
from ..disagreement import bald
from .base import Candidates, Need, Selection, in_order, part_of, prepare, ranked, sample, spread


@dataclass(frozen=True, slots=True)
class BatchBald:
    """BatchBALD (Kirsch 2019): what a batch tells about the model together, copies counted once.

    After Kirsch, van Amersfoort & Gal, "BatchBALD: Efficient and Diverse Batch Acquisition for
    Deep Bayesian Active Learning" (2019), by `tools.batch_bald`. Two things bound its cost: draws
    are made for at most `limit` candidates (or k), a seeded sample, and the joint information is
    worked out for the `kept` of them (or k) of largest BALD, as no item can add more than its BALD;
    the reason says so where that leaves any out. Up to `joint` possible labellings of the picks are
    all gone through, `draws` drawn ones after that. The utility of a pick is what it adds to the
    joint information, in nats, at most log T in all: far larger batches than T draws can tell apart
    end in picks that add nothing. 4 T n C bytes for the draws of n items, O(k draws kept T C) time
    at most, and 32 MB beside.
    """

    name: str = "batch_bald"
    needs: frozenset[Need] = frozenset({"samples"})
    limit: int = 100_000
    kept: int = 1_000
    joint: int = 1_024
    draws: int = 256

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take what tells most together, one by one; see `Strategy.select`."""
        ordered = in_order(candidates, k, self.name)
        rng = np.random.default_rng(seed)
        seen = sample(len(ordered), max(k, self.limit), rng)
        part = prepare(ordered if len(seen) == len(ordered) else ordered.at(seen), k, self)
        assert part.samples is not None
        near = np.sort(ranked(bald(part.samples), max(k, self.kept), rng))
        found = batch_bald(part.samples[:, near], k, seed=seed, joint=self.joint, draws=self.draws)
        among = part_of(len(part), len(ordered))
        if len(near) < len(part):
            among = f"the {len(near)} that they differ most on, of {among}"
        return Selection(
            part.rows[near[found.picks]],
            found.gains,
            f"{len(found.picks)} items that together tell most about which of {len(part.samples)} "
            f"draws of the model is right, among {among}: {float(found.gains.sum()):.3g} of "
            f"{float(np.log(len(part.samples))):.3g} nats; gain {spread(found.gains)}, exact for "
            f"the first {found.exact}.",
        )
