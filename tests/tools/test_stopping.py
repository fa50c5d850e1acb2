"""Stopping criteria: each stops where it should, and never on what it does not know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.stopping import (
    BudgetSpent,
    Criterion,
    History,
    Plateau,
    RoundRecord,
    StablePredictions,
    TargetReached,
    all_of,
    any_of,
    cohen_kappa,
    k_of,
)
from labelwright.tools.stopping_base import Measured
from stoppers import StopperContract


def of_accuracy(*values: float | None) -> History:
    return History(
        tuple(
            RoundRecord(i, 20 * i, value, None if value is None else value - 0.05, None, 100)
            for i, value in enumerate(values, start=1)
        )
    )


def of_kappa(*values: float | None) -> History:
    return History(
        tuple(RoundRecord(i, 20 * i, kappa=value) for i, value in enumerate(values, start=1))
    )


class TestPlateau(StopperContract):
    def criterion(self) -> Criterion:
        return Plateau()

    def stops_at(self) -> History:
        return of_accuracy(0.7, 0.7, 0.7, 0.7)

    def goes_on_at(self) -> History:
        return of_accuracy(0.7, 0.7, 0.7, 0.8)


class TestStablePredictions(StopperContract):
    def criterion(self) -> Criterion:
        return StablePredictions()

    def stops_at(self) -> History:
        return of_kappa(None, 0.99, 1.0, 0.99)

    def goes_on_at(self) -> History:
        return of_kappa(None, 0.99, 1.0, 0.9)


class TestTargetByLowerBound(StopperContract):
    def criterion(self) -> Criterion:
        return TargetReached(0.9)

    def stops_at(self) -> History:
        return of_accuracy(0.5, 0.96)

    def goes_on_at(self) -> History:
        return of_accuracy(0.5, 0.94)


class TestTargetByEstimate(TestTargetByLowerBound):
    def criterion(self) -> Criterion:
        return TargetReached(0.95, by="estimate")


class TestAnyOf(TestPlateau):
    def criterion(self) -> Criterion:
        return any_of(Plateau(), StablePredictions())

    def test_gives_a_signal_and_a_reason_when_it_judges(self) -> None:
        # That of the one that decides; none while several hold back.
        assert isinstance(self.criterion().judge(self.stops_at()).signal, float)
        assert self.criterion().judge(self.goes_on_at()).signal is None


class TestKOfN(TestPlateau):
    def criterion(self) -> Criterion:
        return k_of(2, Plateau(), Plateau(window=2), StablePredictions())

    @pytest.mark.parametrize("count", [0, 1, 3, 10])
    def test_goes_on_when_nothing_is_known_and_says_what_is_missing(self, count: int) -> None:
        verdict = self.criterion().judge(of_kappa(*[None] * count))
        assert not verdict.stop
        assert verdict.signal == 0.0
        assert "0 of 3 criteria say stop, 2 are needed." in verdict.reason
        assert "measured" in verdict.reason


@pytest.mark.parametrize("rounds", [0, 1, 3, 10])
def test_a_budget_that_was_not_set_stops_nothing(rounds: int) -> None:
    verdict = BudgetSpent().judge(of_kappa(*[None] * rounds))
    assert not verdict.stop
    assert verdict.signal is None


@pytest.mark.parametrize(
    ("history", "stop", "words"),
    [
        (History(human_labels_left=0), True, "human labels is spent"),
        (History(human_labels_left=1), False, "1 human labels"),
        (History(usd_left=-0.01, human_labels_left=5), True, "US dollars is spent"),
        (History(minutes_left=0.0, usd_left=0.0), True, "US dollars and minutes is spent"),
        (History(minutes_left=0.5), False, "0.5 minutes"),
        (History(), False, "No budget was set"),
    ],
)
def test_budget(history: History, stop: bool, words: str) -> None:
    verdict = BudgetSpent().judge(history)
    assert verdict.stop is stop
    assert words in verdict.reason


@pytest.mark.parametrize(
    ("accuracies", "stop"),
    [
        ((0.7, 0.7, 0.7), False),
        ((0.7, 0.7, 0.7, 0.7), True),
        ((0.7, 0.7, 0.7, 0.8), False),
        ((0.8, 0.7, 0.7, 0.7), True),
        ((0.5, 0.6, 0.7, 0.8, 0.9), False),
        ((0.5, 0.9, 0.9, 0.902, 0.904), True),
        ((0.5, 0.9, 0.9, 0.902, 0.907), False),
        # The best, not the last: a bad round is no plateau's beginning.
        ((0.7, 0.8, 0.6, 0.6), False),
        ((0.7, None, 0.7, None, 0.7), False),
        ((0.7, None, 0.7, None, 0.7, 0.7), True),
    ],
)
def test_plateau(accuracies: Sequence[float | None], stop: bool) -> None:
    assert Plateau(window=3, epsilon=0.005).judge(of_accuracy(*accuracies)).stop is stop


@pytest.mark.parametrize("of", ["gold", "cross_validated", "audit"])
def test_plateau_is_of_the_accuracy_that_was_asked_for(of: Measured) -> None:
    field = {"gold": "accuracy", "cross_validated": "cross_validated", "audit": "audited"}[of]
    flat = History(tuple(RoundRecord(n, 20 * n, **{field: 0.8}) for n in range(1, 5)))
    for asked in get_args(Measured):
        verdict = Plateau(of=asked).judge(flat)
        assert verdict.stop is (asked == of)
        name = "" if asked == "gold" else asked.replace("_", "-")
        assert name in verdict.reason


def test_plateau_of_no_tolerance_needs_no_gain_at_all() -> None:
    strict = Plateau(window=1, epsilon=0.0)
    assert strict.judge(of_accuracy(0.5, 0.5)).stop
    assert not strict.judge(of_accuracy(0.5, 0.51)).stop


def test_plateau_signal_is_the_gain() -> None:
    verdict = Plateau(window=2, epsilon=0.0).judge(of_accuracy(0.5, 0.6, 0.75, 0.7))
    assert verdict.signal == pytest.approx(0.15)
    assert "+0.1500" in verdict.reason


@pytest.mark.parametrize(
    ("kappas", "stop"),
    [
        ((0.99, 0.99), False),
        ((None, 0.99, 1.0, 0.99), True),
        ((0.2, 0.99, 1.0, 0.99), True),
        ((0.99, 1.0, 0.97), False),
        ((0.99, 0.99, None), False),
        ((0.99, 0.99, None, 0.99, 0.99), False),
    ],
)
def test_stable_predictions(kappas: Sequence[float | None], stop: bool) -> None:
    assert StablePredictions().judge(of_kappa(*kappas)).stop is stop


def test_stable_predictions_signal_is_the_mean_of_the_window() -> None:
    verdict = StablePredictions(window=2, threshold=0.5).judge(of_kappa(0.1, 0.6, 0.8))
    assert verdict.signal == pytest.approx(0.7)
    assert verdict.stop


def test_target_by_lower_bound_and_by_estimate() -> None:
    history = of_accuracy(0.5, 0.93)
    low, estimate = TargetReached(0.9).judge(history), TargetReached(0.9, "estimate").judge(history)
    assert not low.stop
    assert low.signal == pytest.approx(0.88)
    assert estimate.stop
    assert estimate.signal == pytest.approx(0.93)
    assert "on 100 items" in low.reason
    assert TargetReached(0.88).judge(of_accuracy(0.5, 0.931)).stop


def test_target_looks_at_the_newest_measurement_only() -> None:
    assert not TargetReached(0.9, "estimate").judge(of_accuracy(0.95, 0.8)).stop
    assert TargetReached(0.9, "estimate").judge(of_accuracy(0.8, 0.95, None)).stop


def test_any_of_names_those_that_stop() -> None:
    both = any_of(BudgetSpent(), TargetReached(0.9, "estimate"))
    history = of_accuracy(0.95)
    verdict = both.judge(history)
    assert verdict.stop
    assert verdict.signal == pytest.approx(0.95)
    assert "reaches the target" in verdict.reason
    assert "budget" not in verdict.reason
    assert not both.judge(of_accuracy(0.5)).stop


def test_all_of_names_those_that_hold_back() -> None:
    both = all_of(TargetReached(0.9, "estimate"), Plateau(window=1))
    going = both.judge(of_accuracy(0.8, 0.95))
    assert not going.stop
    assert "plateau" in going.reason
    assert "reaches" not in going.reason
    done = both.judge(of_accuracy(0.95, 0.95))
    assert done.stop
    assert "plateau" in done.reason
    assert "reaches" in done.reason


@pytest.mark.parametrize(("k", "stop"), [(1, True), (2, True), (3, False)])
def test_k_of_n_counts_those_that_stop(k: int, stop: bool) -> None:
    done = [TargetReached(0.9, "estimate"), Plateau(window=1)]
    verdict = k_of(k, *done, StablePredictions()).judge(of_accuracy(0.95, 0.95))
    assert verdict.stop is stop
    assert verdict.signal == pytest.approx(2 / 3)
    assert f"2 of 3 criteria say stop, {k} are needed." in verdict.reason
    # The reasons of those that decide, and of no others.
    assert ("reaches the target" in verdict.reason) is stop
    assert ("measured agreement" in verdict.reason) is not stop


@pytest.mark.parametrize("k", [0, 3, -1])
def test_k_of_n_refuses_a_number_that_cannot_be(k: int) -> None:
    with pytest.raises(UserError, match=f"k is {k} of 2"):
        k_of(k, Plateau(), BudgetSpent())


def test_combinations_nest() -> None:
    nested = any_of(BudgetSpent(), all_of(StablePredictions(), TargetReached(0.9)))
    assert nested.judge(History(human_labels_left=0)).stop
    assert not nested.judge(of_kappa(1.0, 1.0, 1.0)).stop


@pytest.mark.parametrize("join", [any_of, all_of, lambda: k_of(1)])
def test_refuses_to_join_nothing(join: Callable[[], Criterion]) -> None:
    with pytest.raises(UserError, match="at least one"):
        join()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Plateau(window=0),
        lambda: Plateau(epsilon=-0.1),
        lambda: Plateau(epsilon=float("nan")),
        lambda: Plateau(of="test"),  # type: ignore[arg-type]
        lambda: StablePredictions(window=0),
        lambda: StablePredictions(threshold=1.1),
        lambda: TargetReached(0.0),
        lambda: TargetReached(95),
        lambda: TargetReached(0.9, by="high"),  # type: ignore[arg-type]
    ],
)
def test_refuses_parameters_out_of_range(make: Callable[[], Criterion]) -> None:
    with pytest.raises(UserError, match="is "):
        make()


labellings = st.integers(1, 6).flatmap(
    lambda c: st.lists(
        st.tuples(st.integers(0, c - 1), st.integers(0, c - 1)), min_size=1, max_size=40
    ).map(lambda pairs: (np.array(pairs), c))
)


@settings(deadline=None)
@given(case=labellings)
def test_kappa_is_that_of_scikit_learn(case: tuple[np.ndarray, int]) -> None:
    from sklearn.metrics import cohen_kappa_score

    pairs, classes = case
    a, b = pairs[:, 0], pairs[:, 1]
    mine = cohen_kappa(a, b, classes)
    assert -1 <= mine <= 1
    assert mine == pytest.approx(cohen_kappa(b, a, classes))
    if len(set(a) | set(b)) == 1:
        assert mine == 1.0
    else:
        assert mine == pytest.approx(cohen_kappa_score(a, b), abs=1e-12)


def test_kappa_by_hand() -> None:
    # Cohen's formula on 20 + 15 agreements of 50: p_o = .7, p_e = .5.
    a = np.repeat([0, 0, 1, 1], [20, 5, 10, 15])
    b = np.repeat([0, 1, 0, 1], [20, 5, 10, 15])
    assert cohen_kappa(a, b, 2) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ([], [], "n >= 1"),
        ([0, 1], [0], "shapes"),
        ([0, 2], [0, 1], "class 2 is outside 0 to 1"),
        ([0, 1], [-1, 1], "class -1 is outside"),
    ],
)
def test_kappa_refuses(a: list[int], b: list[int], words: str) -> None:
    with pytest.raises(UserError, match=words):
        cohen_kappa(np.array(a, dtype=np.int64), np.array(b, dtype=np.int64), 2)
