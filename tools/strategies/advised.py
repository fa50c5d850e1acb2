"""What all strategies share that ask a chat model: whom they show it, and what fills the number."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..llm_selection.adviser import Adviser, Tally
from .base import Candidates, Need, Selection, Strategy, prepare, sample
from .geometry import central, k_means
from .k_means import KMeans

NEEDS: frozenset[Need] = frozenset({"vectors", "texts", "adviser"})
_NOTHING_YET: frozenset[Need] = frozenset()
LEAST, MOST, TIMES = 50, 200, 5
"""Of a small batch the model sees `TIMES` as many candidates, from `LEAST` to `MOST`: ActiveLLM
(Bayer & Reuter 2024) chose best among 200, and worse among 400."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The candidates that the model is shown: n of `pool`, drawn evenly; all needs are there."""

    candidates: Candidates
    pool: int

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def texts(self) -> list[str]:
        """Their texts."""
        assert self.candidates.texts is not None
        return list(self.candidates.texts)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(n, d) unit vectors."""
        assert self.candidates.vectors is not None
        return self.candidates.vectors

    @property
    def adviser(self) -> Adviser:
        """Whom to ask."""
        assert self.candidates.adviser is not None
        return self.candidates.adviser


def draw(strategy: Strategy, candidates: Candidates, k: int, seed: int) -> Shown:
    """Draw the candidates that the model will see; only those are fetched.

    Raises:
        UserError: see `prepare`.
    """
    ordered = prepare(candidates, k, strategy, _NOTHING_YET)
    wanted = max(2 * k, min(MOST, max(LEAST, TIMES * k)))
    places = sample(len(ordered), wanted, np.random.default_rng(seed))
    drawn = ordered if len(places) == len(ordered) else ordered.at(places)
    full = prepare(drawn, k, strategy)
    assert full.adviser is not None
    return Shown(replace(full, adviser=replace(full.adviser, seed=seed)), len(ordered))


def all_of(shown: Shown) -> Selection:
    """All candidates, where no fewer are wanted: the model is not asked."""
    n = len(shown)
    return Selection(
        shown.candidates.rows,
        np.zeros(n, dtype=np.float32),
        f"All {n} of {shown.pool} candidates are wanted: the chat model was not asked.",
    )


def best_spread(
    values: NDArray[np.float32],
    vectors: NDArray[np.float32],
    k: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Places of the k largest values, largest first; of equal ones at the edge the most unlike.

    Args:
        values: shape (n,).
        vectors: (n, d), for the values that are equal where k cuts them.
        k: from 0 to n.
        rng: starts the grouping.
    """
    order = np.argsort(-values, kind="stable").astype(np.int64)
    if k == 0 or k == len(values):
        return order[:k]
    edge = values[order[k - 1]]
    sure = order[values[order] > edge]
    level = order[values[order] == edge]
    return np.concatenate([sure, level[spread_out(vectors[level], k - len(sure), rng)]])


def spread_out(vectors: NDArray[np.float32], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Places of k of n vectors: the most central of each of k groups; k from 1 to n."""
    if k >= len(vectors):
        return np.arange(len(vectors), dtype=np.int64)
    return central(vectors, k_means(vectors, k, rng), k)[0]


def filled(
    shown: Shown,
    chosen: NDArray[np.int64],
    utilities: NDArray[np.float32],
    k: int,
    seed: int,
    *,
    how: str,
    tally: Tally,
) -> Selection:
    """The chosen, and where the model gave too few the most central of groups of the others.

    Args:
        shown: what the model saw.
        chosen: places in it, at most k.
        utilities: of the chosen; what is filled in has 0.
        k: how many are wanted, at most `len(shown)`.
        seed: of the grouping.
        how: what the model was asked, for the reason.
        tally: what came of the calls.
    """
    rows, missing = shown.candidates.rows[chosen], k - len(chosen)
    words = f"{how}{tally.words()}"
    if missing:
        rest = np.setdiff1d(np.arange(len(shown)), chosen)
        more = KMeans().select(shown.candidates.at(rest), missing, seed=seed)
        rows = np.concatenate([rows, more.rows])
        utilities = np.concatenate([utilities, np.zeros(missing, dtype=np.float32)])
        words += f"; the {missing} that it did not give were taken by k_means among the others"
    part = "" if len(shown) == shown.pool else f"{len(shown)} of "
    return Selection(
        rows,
        utilities.astype(np.float32),
        f"{k} items: of {part}{shown.pool} items shown to the chat model in {tally.calls} "
        f"prompts, {words}.",
    )
