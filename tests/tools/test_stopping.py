"""Stopping criteria: each stops where it should, and never on what it does not know."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
)

MEASURABLE = [
    BudgetSpent(),
    Plateau(),
    StablePredictions(),
    TargetReached(0.9),
    TargetReached(0.9, by="estimate"),
]


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


@pytest.mark.parametrize("criterion", MEASURABLE, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("rounds", [0, 1, 3, 10])
def test_goes_on_when_nothing_is_known(criterion: Criterion, rounds: int) -> None:
    verdict = criterion.judge(of_kappa(*[None] * rounds))
    assert not verdict.stop
    assert verdict.signal is None
    assert verdict.reason.endswith(".")


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


def test_combinations_nest() -> None:
    nested = any_of(BudgetSpent(), all_of(StablePredictions(), TargetReached(0.9)))
    assert nested.judge(History(human_labels_left=0)).stop
    assert not nested.judge(of_kappa(1.0, 1.0, 1.0)).stop


@pytest.mark.parametrize("join", [any_of, all_of])
def test_refuses_to_join_nothing(join: Callable[[], Criterion]) -> None:
    with pytest.raises(UserError, match="at least one"):
        join()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Plateau(window=0),
        lambda: Plateau(epsilon=-0.1),
        lambda: Plateau(epsilon=float("nan")),
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
