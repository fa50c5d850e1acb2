"""Measures of sets against their definitions and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from labelwright.store.errors import UserError
from labelwright.tools.set_quality import by_label, set_measures
from numpy.typing import NDArray
from sklearn.metrics import f1_score, hamming_loss


def sets(n: int, classes: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, classes)) < 0.4).astype(np.int64)
    answers = np.where(rng.random((n, classes)) < 0.15, 1 - truth, truth)
    return answers, truth


def test_the_estimates_are_those_of_scikit_learn() -> None:
    answers, truth = sets(60, 5, 0)
    found = set_measures(answers, truth, level=0.95, seed=0)
    assert found["micro_f1"].estimate == pytest.approx(f1_score(truth, answers, average="micro"))
    assert found["macro_f1"].estimate == pytest.approx(f1_score(truth, answers, average="macro"))
    assert found["decisions"].estimate == pytest.approx(1 - hamming_loss(truth, answers))


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    answers, truth = sets(20_000, 3, 1)
    real = f1_score(truth, answers, average="micro")
    rng = np.random.default_rng(2)
    hits = 0
    for seed in range(200):
        pick = rng.choice(len(truth), 60, replace=False)
        found = set_measures(answers[pick], truth[pick], level=0.9, seed=seed)["micro_f1"]
        hits += found.low <= real <= found.high
    assert 0.82 <= hits / 200 <= 0.97


def test_a_label_that_nobody_gave_is_left_out_of_the_mean() -> None:
    truth = np.array([[1, 0], [0, 0]])
    found = set_measures(truth, truth, level=0.95, seed=0)
    assert found["macro_f1"].estimate == 1.0


def test_all_empty_sets_that_agree_are_right() -> None:
    none = np.zeros((4, 3), dtype=np.int64)
    assert all(
        each.estimate == 1.0 for each in set_measures(none, none, level=0.9, seed=1).values()
    )


def test_each_label_is_counted_by_itself() -> None:
    answers, truth = np.array([[1, 0], [1, 1]]), np.array([[1, 1], [0, 1]])
    first, second = by_label(answers, truth, ["a", "b"])
    assert (first.both, first.person, first.machine, first.f1) == (1, 0, 1, pytest.approx(2 / 3))
    assert (second.both, second.person, second.machine) == (1, 1, 0)


def test_a_label_that_nobody_gave_has_no_f1() -> None:
    none = np.zeros((2, 2), dtype=np.int64)
    assert [each.f1 for each in by_label(none, none, ["a", "b"])] == [None, None]


@given(
    arrays(np.int64, (6, 3), elements=st.integers(0, 1)),
    arrays(np.int64, (6, 3), elements=st.integers(0, 1)),
)
def test_the_interval_always_holds_the_estimate(
    answers: NDArray[np.int64], truth: NDArray[np.int64]
) -> None:
    for each in set_measures(answers, truth, level=0.95, seed=3).values():
        assert 0 <= each.low <= each.estimate <= each.high <= 1


@pytest.mark.parametrize("shape", [(0, 2), (2, 3), (2,)])
def test_shapes_that_differ_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError):
        set_measures(np.zeros(shape, dtype=np.int64), np.zeros((2, 2)), level=0.9, seed=0)
