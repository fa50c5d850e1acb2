"""What every stopping criterion must hold to: the template that their tests inherit."""

from __future__ import annotations

from abc import abstractmethod

import pytest
from labelwright.tools.stopping import Criterion, History, RoundRecord, all_of, any_of, k_of


def rounds(count: int) -> History:
    """Rounds of which nothing was measured."""
    return History(tuple(RoundRecord(n, 20 * n) for n in range(1, count + 1)))


class StopperContract:
    """Inherit, and give a criterion with a history at which it stops and one at which it does not.

    Both histories must have all that the criterion needs.
    """

    @abstractmethod
    def criterion(self) -> Criterion: ...

    @abstractmethod
    def stops_at(self) -> History: ...

    @abstractmethod
    def goes_on_at(self) -> History: ...

    def test_stops_and_goes_on(self) -> None:
        assert self.criterion().judge(self.stops_at()).stop is True
        assert self.criterion().judge(self.goes_on_at()).stop is False

    def test_gives_a_signal_and_a_reason_when_it_judges(self) -> None:
        for history in (self.stops_at(), self.goes_on_at()):
            verdict = self.criterion().judge(history)
            assert isinstance(verdict.signal, float)
            assert not verdict.reason[0].islower()
            assert verdict.reason.endswith(".")

    @pytest.mark.parametrize("count", [0, 1, 3, 10])
    def test_goes_on_when_nothing_is_known_and_says_what_is_missing(self, count: int) -> None:
        verdict = self.criterion().judge(rounds(count))
        assert not verdict.stop
        assert verdict.signal is None
        assert "measured" in verdict.reason

    def test_judges_the_same_again(self) -> None:
        history = self.stops_at()
        assert self.criterion().judge(history) == self.criterion().judge(history)

    def test_joins_with_others(self) -> None:
        one = self.criterion()
        for join in (any_of(one), all_of(one), k_of(1, one)):
            assert join.judge(self.stops_at()).stop
            assert not join.judge(self.goes_on_at()).stop
            assert one.judge(self.stops_at()).reason in join.judge(self.stops_at()).reason
