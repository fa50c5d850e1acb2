"""A strategy that picks among strategies by what their batches gained, as a bandit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ....store.errors import UserError
from ..base import Candidates, Need, Selection, Strategy, prepare
from .base import NOTHING_YET, Wrapper


@dataclass(frozen=True, slots=True)
class Adaptive(Wrapper):
    """Lets one of its strategies choose: each once in turn, then by Thompson sampling (1933).

    `Candidates.gains` has what the earlier batches of each strategy gained, by its name, as
    `gains.gain` measures it. The mean gain of each is taken to be normal about its weighted mean,
    where a batch counts `memory` times as much as the one after it, with the variance that all
    share; one value is drawn for each, and the largest chooses (Chapelle & Li 2011; a discount
    for gains that change, Qi et al. 2023). Only what the chosen one needs is fetched. `arm` of the
    selection is its name.
    """

    called: ClassVar[str] = "adaptive"
    arms: tuple[Strategy, ...]
    memory: float = 0.9

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(names) < 2:
            raise UserError(f"adaptive was given {names!r}: give at least 2 strategies")
        if len(set(names)) < len(names):
            raise UserError(f"adaptive was given {names!r}: give each strategy once")
        if not 0 < self.memory <= 1:
            raise UserError(
                f"adaptive was given memory={self.memory!r}: give above 0 and at most 1"
            )

    @property
    def needs(self) -> frozenset[Need]:
        """Those of all its strategies; only those of the one that chooses are fetched."""
        return frozenset().union(*(arm.needs for arm in self.arms))

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Let the strategy whose turn it is choose; see `Strategy.select`."""
        ordered = prepare(candidates, k, self, NOTHING_YET)
        history = _history(self.arms, ordered.gains)
        arm, why = self._chosen(history, self.rng(seed))
        found = self.arms[arm].select(ordered, k, seed=seed)
        name = self.arms[arm].name
        return replace(found, reason=f"{found.reason} {name} chose: {why}.", arm=name)

    def _chosen(
        self, history: Sequence[NDArray[np.float64]], rng: np.random.Generator
    ) -> tuple[int, str]:
        for place, gains in enumerate(history):
            if len(gains) == 0:
                return place, f"the first of {len(history)} strategies without a measured gain"
        weights = [
            np.asarray(self.memory ** np.arange(len(gains))[::-1], dtype=np.float64)
            for gains in history
        ]
        mean = np.array([np.average(g, weights=w) for g, w in zip(history, weights, strict=True)])
        size = np.array([w.sum() for w in weights])
        drawn = rng.normal(mean, np.sqrt(_variance(history, weights, mean) / size))
        shown = ", ".join(
            f"{arm.name} {value:.3g} of {len(gains)}"
            for arm, value, gains in zip(self.arms, mean, history, strict=True)
        )
        return int(np.argmax(drawn)), f"drawn by mean gain ({shown} batches)"


def _history(
    arms: Sequence[Strategy], gains: Mapping[str, Sequence[float]] | None
) -> list[NDArray[np.float64]]:
    found = [np.asarray((gains or {}).get(arm.name, ()), dtype=np.float64) for arm in arms]
    for arm, values in zip(arms, found, strict=True):
        if not np.isfinite(values).all():
            raise UserError(
                f"the gains of {arm.name!r} are {values.tolist()!r}: give finite numbers"
            )
    return found


def _variance(
    history: Sequence[NDArray[np.float64]],
    weights: Sequence[NDArray[np.float64]],
    mean: NDArray[np.float64],
) -> float:
    """The variance of one gain about the mean of its strategy, the same for all."""
    everything, weight = np.concatenate(history), np.concatenate(weights)
    free = weight.sum() - len(history)
    # With hardly more than one gain each, how far strategies lie apart stands in for the noise.
    about = np.repeat(mean, [len(gains) for gains in history])
    if free < 1:
        about, free = np.full_like(everything, np.average(everything, weights=weight)), weight.sum()
    return float((weight * (everything - about) ** 2).sum() / free)
