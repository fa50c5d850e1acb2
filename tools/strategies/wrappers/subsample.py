"""A random part of the pool: the plainest way to predict fewer rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..base import Candidates, Need, Selection, Strategy, prepare, sample
from .base import NOTHING_YET, Wrapper, no_smaller, pass_on


@dataclass(frozen=True, slots=True)
class Subsample(Wrapper):
    """Shows the inner strategy a seeded random sample of `n` candidates, or k where that is more.

    Only rows are looked at before the draw: nothing is embedded or predicted for the others.
    """

    called: ClassVar[str] = "subsample"
    inner: Strategy
    n: int = 5_000

    def __post_init__(self) -> None:
        no_smaller(self, "n", 1)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Strategy.needs`."""
        return self.inner.needs

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Draw, then let the inner strategy choose; see `Strategy.select`."""
        ordered = prepare(candidates, k, self, NOTHING_YET)
        kept = sample(len(ordered), max(self.n, k), self.rng(seed))
        how = f"It saw a random {len(kept)} of {len(ordered)} items."
        return pass_on(ordered, kept, self.inner, k, seed, how)
