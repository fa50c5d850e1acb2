"""Wrappers that reorder what a ranking strategy says: utility for its cost, and drawn by utility.

They need the utility of every candidate by itself. Strategies whose picks depend on one another
have none: their utility is that of an item after those chosen before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ....store.errors import UserError
from ..base import Candidates, Need, Selection, Strategy, prepare, ranked, spread
from .base import Wrapper

RANKING = frozenset(
    {
        "least_confidence",
        "margin",
        "entropy",
        "contrastive",
        "bald",
        "committee_vote_entropy",
        "committee_kl",
        "density",
        "expected_gradient",
    }
)
"""The plain strategies that take the largest of utilities, at least 0, which no pick changes."""

_TEXTS: frozenset[Need] = frozenset({"texts"})
_LEAST = np.finfo(np.float32).tiny


@dataclass(frozen=True, slots=True)
class Cost(Wrapper):
    """The k items with the largest utility for their cost (Settles, Craven & Friedland 2008).

    The utility of a pick is that of the inner strategy divided by `Candidates.costs`. Where costs
    are absent, an item costs 1 + its length / the median length, in characters: reading a text of
    median length takes as long as answering. The inner strategy must rank.
    """

    called: ClassVar[str] = "cost"
    ranks: ClassVar[bool] = True
    inner: Strategy

    def __post_init__(self) -> None:
        _check_ranks(self.called, self.inner)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Strategy.needs`; texts are only asked for where costs are absent."""
        return self.inner.needs | _TEXTS

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Take the most utility for the cost; see `Strategy.select`."""
        ordered = prepare(candidates, k, self if candidates.costs is None else _Priced(self.inner))
        costs, whose = ordered.costs, "given costs"
        if costs is None:
            assert ordered.texts is not None
            costs, whose = _reading_costs(ordered), "costs by length of text"
        worth = utilities(self.inner, ordered, seed) / costs
        chosen = ranked(worth, k, np.random.default_rng(seed))
        return Selection(
            ordered.rows[chosen],
            worth[chosen],
            f"The {len(chosen)} of {len(ordered)} items with most {self.inner.name} for their "
            f"cost, {spread(worth[chosen])} (all candidates: {spread(worth)}); {whose}, those of "
            f"the chosen {spread(costs[chosen])} (all candidates: {spread(costs)}).",
        )


@dataclass(frozen=True, slots=True)
class _Priced(Cost):
    """`Cost` where costs are known: no texts are needed."""

    @property
    def needs(self) -> frozenset[Need]:
        return self.inner.needs


@dataclass(frozen=True, slots=True)
class Gumbel(Wrapper):
    """Draws items by their utility instead of taking the k largest (Kirsch 2023).

    After Kirsch et al., "Stochastic Batch Acquisition" (2023), the power acquisition of table 1:
    the k largest of log u_i + t g_i, with g_i drawn from the standard Gumbel distribution and t
    the `temperature` (1 / beta of the paper), which draws without replacement in proportion to
    u_i^(1 / t). So near copies of one doubtful item seldom fill a batch. Towards 0 it becomes the
    inner strategy, towards infinity a random draw. Items of utility 0 come last. The utility of a
    pick is that of the inner strategy, which must rank.
    """

    called: ClassVar[str] = "gumbel"
    inner: Strategy
    temperature: float = 1.0

    def __post_init__(self) -> None:
        _check_ranks(self.called, self.inner)
        if not 0 < self.temperature < np.inf:
            raise UserError(
                f"gumbel was given temperature={self.temperature!r}: give a number above 0"
            )

    @property
    def needs(self) -> frozenset[Need]:
        """See `Strategy.needs`."""
        return self.inner.needs

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Draw by utility; see `Strategy.select`."""
        ordered = prepare(candidates, k, self)
        worth = utilities(self.inner, ordered, seed)
        rng = self.rng(seed)
        noise = np.float32(self.temperature) * rng.gumbel(size=len(worth)).astype(np.float32)
        drawn = np.log(np.maximum(worth, _LEAST)) + noise
        # However large the noise, what has no utility is not drawn before what has some.
        drawn[worth <= 0] -= np.float32(1e30)
        chosen = ranked(drawn, k, rng)
        return Selection(
            ordered.rows[chosen],
            worth[chosen],
            f"{len(chosen)} of {len(ordered)} items drawn in proportion to their "
            f"{self.inner.name}{self._power()}, {spread(worth[chosen])} (all candidates: "
            f"{spread(worth)}).",
        )

    def _power(self) -> str:
        return "" if self.temperature == 1 else f" to the power of {1 / self.temperature:.3g}"


def utilities(inner: Strategy, ordered: Candidates, seed: int) -> NDArray[np.float32]:
    """What a ranking strategy thinks of each of n candidates in the order of rows, shape (n,)."""
    found = np.zeros(len(ordered), dtype=np.float32)
    if len(ordered):
        every = inner.select(ordered, len(ordered), seed=seed)
        found[np.searchsorted(ordered.rows, every.rows)] = every.utilities
    return found


def _reading_costs(ordered: Candidates) -> NDArray[np.float32]:
    assert ordered.texts is not None
    lengths = np.fromiter(map(len, ordered.texts), dtype=np.float32, count=len(ordered))
    usual = float(np.median(lengths)) if len(lengths) else 0.0
    return (1.0 + lengths / max(usual, 1.0)).astype(np.float32)


def _check_ranks(outer: str, inner: Strategy) -> None:
    ranks = inner.ranks if isinstance(inner, Wrapper) else inner.name in RANKING
    if not ranks:
        raise UserError(
            f"{outer} needs the utility of each item by itself, and the picks of {inner.name!r} "
            f"depend on one another or on what it is shown: use one of "
            f"{', '.join(sorted(RANKING))} or cost(...) in it, and narrowing wrappers around it"
        )
