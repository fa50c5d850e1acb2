"""A chat model rates each item: the best rated are labelled, or some of every level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..llm_selection.adviser import Adviser
from ..llm_selection.rating import LEVELS, Rated, difficulty, score
from ..llm_selection.usefulness import useful
from .advised import NEEDS, Shown, all_of, best_spread, draw, filled
from .base import Candidates, Need, Selection, nothing, spread
from .coverage import greedy_cover


@dataclass(frozen=True, slots=True)
class LLMRated:
    """The k best rated of 50 to 200 candidates drawn evenly; of equals the most unlike.

    `llm_score` asks for a score from 1 to 10 (20 items a prompt), utility score / 10. `llm_useful`
    is the probability of yes to "is this worth labelling" (Ask-LLM, Sachdeva et al. 2024), one
    prompt an item, from log-probabilities alone. Items without a rating are never taken before
    rated ones; what is missing is filled up by `k_means`, and the reason says so.
    """

    name: str
    rate: Callable[[Adviser, list[str]], Rated]
    scale: float
    words: str
    needs: frozenset[Need] = NEEDS

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the best rated; see `Strategy.select` for arguments and errors."""
        shown = draw(self, candidates, k, seed)
        if len(shown) == 0:
            return nothing(shown.candidates)
        if k >= len(shown):
            return all_of(shown)
        rated = self.rate(shown.adviser, shown.texts)
        known = np.flatnonzero(rated.known)
        rng = np.random.default_rng(seed)
        wanted = min(k, len(known))
        best = known[best_spread(rated.values[known], shown.vectors[known], wanted, rng)]
        utilities = (rated.values[best] / self.scale).astype(np.float32)
        return filled(
            shown,
            best,
            utilities,
            k,
            seed,
            how=f"{len(known)} were rated by {self.words} and the {wanted} best taken, from "
            f"{spread(utilities)}",
            tally=rated.tally,
        )


@dataclass(frozen=True, slots=True)
class LLMDifficulty:
    """An equal share of each of four levels of difficulty, easy ones first.

    After LDCAL (Li et al. 2024): the model rates 50 to 200 candidates drawn evenly as easy,
    moderate, challenging or hard; k is divided equally over the levels (what a level lacks goes to
    the others), and within a level each pick is the one of largest certainty gain
    mean_u max(cos(x, u) - max_l cos(u, l), 0) over the level's items u, l being what is labelled or
    picked already. The utility of a pick is that gain.
    """

    name: str = "llm_difficulty"
    needs: frozenset[Need] = NEEDS

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take some of each level; see `Strategy.select` for arguments and errors."""
        shown = draw(self, candidates, k, seed)
        if len(shown) == 0:
            return nothing(shown.candidates)
        if k >= len(shown):
            return all_of(shown)
        rated = difficulty(shown.adviser, shown.texts)
        levels = [np.flatnonzero(rated.values == level) for level in range(len(LEVELS))]
        shares = quotas([len(places) for places in levels], k)
        parts = [_cover(shown, *each) for each in zip(levels, shares, strict=True)]
        taken = ", ".join(
            f"{share} of {len(places)} {level}"
            for share, places, level in zip(shares, levels, LEVELS, strict=True)
        )
        return filled(
            shown,
            np.concatenate([places for places, _ in parts]),
            np.concatenate([gains for _, gains in parts]),
            k,
            seed,
            how=f"{int(rated.known.sum())} were rated and taken by level: {taken}",
            tally=rated.tally,
        )


def quotas(sizes: list[int], k: int) -> list[int]:
    """How many to take of each group: equal shares, what a group lacks going to the others.

    Returns:
        At most each size; they add up to min(k, sum of sizes). One too many goes to the foremost.
    """
    shares = [0] * len(sizes)
    left = min(k, sum(sizes))
    while left:
        open_groups = [place for place, size in enumerate(sizes) if shares[place] < size]
        for place in open_groups[:left]:
            more = min(max(1, left // len(open_groups)), sizes[place] - shares[place])
            shares[place] += more
        left = min(k, sum(sizes)) - sum(shares)
    return shares


def _cover(
    shown: Shown, places: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    if k == 0:
        return places[:0], np.empty(0, dtype=np.float32)
    vectors, labelled = shown.vectors[places], shown.candidates.labelled_vectors
    covered = np.zeros(len(places), dtype=np.float32)
    if labelled is not None and len(labelled):
        covered = np.maximum((vectors @ labelled.T).max(axis=1), 0.0)
    chosen, gains = greedy_cover(vectors @ vectors.T, covered, k)
    return places[chosen], gains


def llm_score() -> LLMRated:
    """The strategy `llm_score`."""
    return LLMRated("llm_score", score, 10.0, "score")


def llm_useful() -> LLMRated:
    """The strategy `llm_useful`."""
    return LLMRated("llm_useful", useful, 1.0, "the probability that labelling them helps")
