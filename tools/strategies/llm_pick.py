"""A chat model names the items to label, by index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..llm_selection.picking import Criterion, pick
from .advised import NEEDS, all_of, draw, filled, spread_out
from .base import Candidates, Need, Selection, nothing

MORE = 1.5
"""Items asked for in place of each wanted one, so that the grouping has something to refine."""


@dataclass(frozen=True, slots=True)
class LLMPick:
    """The model picks by index, several short lists a round; its picks are grouped by meaning.

    After ActiveLLM (Bayer & Reuter 2024) and SelectLLM (Parkar et al. 2024): 50 to 200 candidates
    (2 k where that is more), drawn evenly, are shown in lists of at most 50. The model names half
    as many again as are wanted (`pick`); these are grouped into k by meaning and the most central
    of each group is taken. What it fails to give is filled up from the others by `k_means`, and the
    reason says so. Utility 1 for its picks, 0 for the filling.
    """

    name: str = "llm_pick"
    needs: frozenset[Need] = NEEDS
    criterion: Criterion = "hybrid"
    reasoned: bool = True

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take what the model names; see `Strategy.select` for arguments and errors."""
        shown = draw(self, candidates, k, seed)
        if len(shown) == 0:
            return nothing(shown.candidates)
        if k >= len(shown):
            return all_of(shown)
        wanted = min(len(shown), int(np.ceil(MORE * k)))
        picked = pick(
            shown.adviser,
            shown.texts,
            wanted,
            criterion=self.criterion,
            reasoned=self.reasoned,
            seed=seed,
        )
        rng = np.random.default_rng(seed)
        kept = picked.places
        if len(kept):
            kept = kept[spread_out(shown.vectors[kept], min(k, len(kept)), rng)]
        return filled(
            shown,
            kept,
            np.ones(len(kept), dtype=np.float32),
            k,
            seed,
            how=f"{len(picked.places)} were named as {_word(self.criterion)} and {len(kept)} of "
            "them taken, grouped by meaning",
            tally=picked.tally,
        )


def _word(criterion: Criterion) -> str:
    return "informative and diverse" if criterion == "hybrid" else criterion
