"""Whether annotators differ by slips, or because the item has more than one right reading.

Slips are spread over the items as chance spreads them. Where people truly differ, some items
find everybody agreed and others split, more than slips of the same overall rate would. The first
should be outvoted, the second kept as a distribution (a soft label).

The measure is the share of pairs of annotators that agree about an item (Fleiss 1971), against
the same votes if all differences were slips: one truth an item, each annotator wrong with a
chance of its own, evenly over the other labels. Those chances are fitted to how often each pair
of annotators agrees, which needs no guess of who is right.

Annotators that err on the same items, as language models do, look like a split reading too. For
them a high dispersion means "hard items", and only people can say whether the item is ambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from .aggregation import Votes, checked_votes, vote_counts

SIMULATED = 20_000
"""Items that are simulated at least, to tell slips from ambiguity."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How the votes on n items differ.

    Attributes:
        soft: (n, C) share of the annotators that gave each label; NaN where nobody answered.
        entropy: (n,) of `soft`, 0 to 1 (divided by log C); NaN where nobody answered.
        agreement: (n,) share of the pairs that agree; NaN below two answers.
        slip: (n,) chance that slips alone leave so little agreement; NaN below two answers. With
            three or four answers it is never small.
        slip_rate: (m,) fitted chance of each annotator to slip; NaN for who shared no item.
        dispersion: variance of `agreement` over what slips would give: 1 is slips, more is
            ambiguity; NaN where slips give none.
        dispersion_low: lower end of its bootstrap interval over the items.
        dispersion_high: upper end.
        level: of the interval.
    """

    soft: NDArray[np.float64]
    entropy: NDArray[np.float64]
    agreement: NDArray[np.float64]
    slip: NDArray[np.float64]
    slip_rate: NDArray[np.float64]
    dispersion: float
    dispersion_low: float
    dispersion_high: float
    level: float

    @property
    def looks_like(self) -> str:
        """`ambiguity` where the whole interval is above 1, else `slips`; `unknown` without one."""
        if np.isnan(self.dispersion):
            return "unknown"
        return "ambiguity" if self.dispersion_low > 1.0 else "slips"

    def ambiguous(self, false_share: float = 0.1) -> NDArray[np.bool_]:
        """(n,) items with less agreement than slips explain.

        At most `false_share` of them are expected to be slips (Benjamini & Hochberg 1995).

        Raises:
            UserError: `false_share` outside (0, 1).
        """
        if not 0 < false_share < 1:
            raise UserError(f"false_share is {false_share!r}: give a number between 0 and 1")
        tested = np.flatnonzero(~np.isnan(self.slip))
        order = tested[np.argsort(self.slip[tested], kind="stable")]
        bound = false_share * np.arange(1, len(order) + 1) / max(len(order), 1)
        below = np.flatnonzero(self.slip[order] <= bound)
        found = np.zeros(len(self.slip), dtype=np.bool_)
        found[order[: below[-1] + 1 if len(below) else 0]] = True
        return found


def disagreement(
    votes: Votes, classes: int, *, seed: int, level: float = 0.95, resamples: int = 1000
) -> Disagreement:
    """Measure how annotators differ, and whether slips would explain it.

    Args:
        votes: (n, m), label indices or -1.
        classes: C, at least 2.
        seed: of the simulation and the bootstrap.
        level: of the interval of the dispersion.
        resamples: of the bootstrap.

    Raises:
        UserError: votes that are no label indices, no item with two answers, or `level` outside
            (0, 1).
    """
    checked = checked_votes(votes, classes)
    shared = (checked >= 0).sum(axis=1) >= 2
    if not shared.any():
        raise UserError("no item has two answers: disagreement needs at least two for an item")
    if not 0 < level < 1:
        raise UserError(f"level is {level!r}: give a number between 0 and 1")
    rng = np.random.default_rng(seed)
    rates = slip_rates(checked, classes)
    counts = vote_counts(checked, classes)
    agreement = _agreement(counts)
    rounds = max(20, -(-SIMULATED // len(checked)))
    slips = _simulated(checked[shared], classes, rates, rounds, rng)
    ratio, low, high = _dispersion(agreement[shared], slips, rng, level, resamples)
    chance = np.full(len(checked), np.nan)
    chance[shared] = _tail(agreement[shared], slips, counts[shared].sum(axis=1))
    soft = _soft(counts)
    return Disagreement(soft, _entropy(soft), agreement, chance, rates, ratio, low, high, level)


def slip_rates(votes: Votes, classes: int) -> NDArray[np.float64]:
    """The chance of each annotator to slip that fits how often each pair of them agrees.

    Minimises sum over pairs of n_jk (agree_jk - (1 - e_j)(1 - e_k) - e_j e_k / (C - 1))^2, e in
    [0, 1 - 1 / C].

    Returns:
        (m,); NaN for an annotator that shares no item with another.

    Raises:
        UserError: as `disagreement`.
    """
    checked = checked_votes(votes, classes)
    both, agree = _pairs(checked, classes)
    known = both.sum(axis=1) > 0
    from scipy.optimize import minimize

    def cost(e: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        u = 1 - e
        gap = np.outer(u, u) + np.outer(e, e) / (classes - 1) - agree
        pull = both * gap
        return float((pull * gap).sum()), 4 * (pull @ (e / (classes - 1)) - pull @ u)

    most = 1 - 1 / classes
    start = np.full(checked.shape[1], most / 4)
    found = minimize(cost, start, jac=True, bounds=[(0.0, most)] * len(start)).x
    return np.asarray(np.where(known, found, np.nan), dtype=np.float64)


def _pairs(votes: Votes, classes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of all shared items that each pair shares, and of those, where they agree: (m, m)."""
    answered = (votes >= 0).astype(np.float64)
    both = answered.T @ answered
    agree = np.zeros_like(both)
    for label in range(classes):
        said = (votes == label).astype(np.float64)
        agree += said.T @ said
    np.fill_diagonal(both, 0.0)
    agree = np.divide(agree, both, out=np.zeros_like(both), where=both > 0)
    return both / max(both.sum(), 1.0), agree


def _agreement(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of agreeing pairs, sum_c k_c (k_c - 1) / (k (k - 1)): (..., C) to (...)."""
    total = counts.sum(axis=-1)
    pairs = total * (total - 1)
    same = (counts * (counts - 1)).sum(axis=-1)
    found: NDArray[np.float64] = np.full(total.shape, np.nan)
    np.divide(same, pairs, out=found, where=pairs > 0)
    return found


def _simulated(
    votes: Votes,
    classes: int,
    rates: NDArray[np.float64],
    rounds: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """(rounds, n) agreement if the same annotators answered the same items and only slipped."""
    found = np.empty((rounds, len(votes)))
    chance = np.nan_to_num(rates)
    for turn in range(rounds):
        slipped = rng.random(votes.shape) < chance
        other = rng.integers(1, classes, size=votes.shape)
        # The truth may be called 0 in every item: only who agrees with whom counts.
        said = np.where(votes < 0, -1, np.where(slipped, other, 0))
        found[turn] = _agreement(vote_counts(said, classes))
    return found


def _dispersion(
    seen: NDArray[np.float64],
    slips: NDArray[np.float64],
    rng: np.random.Generator,
    level: float,
    resamples: int,
) -> tuple[float, float, float]:
    """Mean squared distance from what slips give on average, over what slips give."""
    expected, variance = slips.mean(axis=0), slips.var(axis=0, ddof=1)
    if variance.mean() <= 0:
        return float("nan"), float("nan"), float("nan")
    # `expected` is itself a mean of simulations, which adds its own variance.
    squares = (seen - expected) ** 2 / (1 + 1 / len(slips))
    picks = rng.integers(0, len(seen), size=(resamples, len(seen)))
    drawn = squares[picks].mean(axis=1) / np.maximum(variance[picks].mean(axis=1), 1e-12)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(squares.mean() / variance.mean()), float(low), float(high)


def _tail(
    seen: NDArray[np.float64], slips: NDArray[np.float64], answers: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of simulated items with as many answers that agree no more; never 0."""
    found = np.empty(len(seen))
    for size in np.unique(answers):
        rows = answers == size
        pool = np.sort(slips[:, rows].ravel())
        below = np.searchsorted(pool, seen[rows] + 1e-9, side="right")
        found[rows] = (below + 1) / (len(pool) + 1)
    return found


def _soft(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    total = counts.sum(axis=1, keepdims=True)
    found: NDArray[np.float64] = np.full_like(counts, np.nan)
    np.divide(counts, total, out=found, where=total > 0)
    return found


def _entropy(soft: NDArray[np.float64]) -> NDArray[np.float64]:
    terms = np.where(soft > 0, soft * np.log(np.where(soft > 0, soft, 1.0)), 0.0)
    found = np.abs(terms.sum(axis=1)) / np.log(soft.shape[1])
    return np.where(np.isnan(soft).any(axis=1), np.nan, found)
