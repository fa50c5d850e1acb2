"""The contract of all wrappers, and an inner strategy that remembers what it was shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.strategies import (
    STRATEGIES,
    WRAPPERS,
    Candidates,
    Selection,
    Strategy,
    strategy,
)
from strategy_contract import StrategyContract, lacking, pool


class WrapperContract(StrategyContract):
    """What a strategy promises, and that its name is its text."""

    def test_is_registered_under_its_name(self) -> None:
        assert self.one.name == self.name
        assert strategy(self.one.name) == self.one
        assert self.name.partition("(")[0] in WRAPPERS

    def test_names_a_missing_need(self) -> None:
        for need in self.one.needs:
            with pytest.raises(UserError) as caught:
                self.one.select(replace(lacking(pool(5), need), costs=None), 2, seed=0)
            assert f"{self.name!r} needs {need!r}" in str(caught.value)

    def test_gives_k_of_a_pool_in_which_all_is_labelled_by_one_label(self) -> None:
        candidates = pool(40)
        candidates = replace(candidates, labels=np.zeros(6, dtype=np.int64))
        self.check(self.one.select(candidates, 7, seed=0), candidates, 7)


class Seen:
    """Remembers what an inner strategy was shown."""

    name = "random"
    needs = STRATEGIES["random"].needs

    def __init__(self) -> None:
        self.rows = np.empty(0, dtype=np.int64)

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        self.rows = candidates.rows
        return STRATEGIES["random"].select(candidates, k, seed=seed)


def with_seen(name: str, seen: Seen) -> Strategy:
    """The wrapper of that text around one that remembers."""
    outer = strategy(name)
    return replace(outer, inner=seen)  # type: ignore[type-var]
