"""A chain of models takes labels only where gold supports the promised risk."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.acceptance import accept_threshold
from labelwright.tools.quality.cascade import Cascade, fit_cascade
from numpy.typing import NDArray


def chain(n: int, *, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Two models whose confidence is calibrated; the second is surer."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n)
    confidence = np.stack([1 - 0.6 * hard, 1 - 0.3 * hard])
    return confidence, rng.random((2, n)) < confidence


def test_the_promise_is_broken_no_more_often_than_allowed() -> None:
    broken = 0
    rounds = 200
    far, right = chain(20_000, seed=10_000)
    rows = np.arange(20_000)
    for seed in range(rounds):
        found = fit_cascade(*chain(200, seed=seed), risk=0.1, delta=0.1)
        if found is None:
            continue
        stage = found.stage(far)
        taken = stage < 2
        error = 1 - right[np.minimum(stage, 1), rows][taken].mean()
        broken += error > 0.1
    assert broken / rounds <= 0.1


def test_the_first_stage_that_is_sure_enough_is_taken() -> None:
    found = Cascade(0.8, 0.1, 0.1, 2, 1, 0, 1)
    confidence = np.array([[0.9, 0.5, 0.5, np.nan], [0.95, 0.85, 0.6, np.nan]])
    assert found.stage(confidence).tolist() == [0, 1, 2, 2]


def test_with_one_stage_it_is_the_acceptance_threshold() -> None:
    confidence, correct = chain(300, seed=5)
    found = fit_cascade(confidence[:1], correct[:1], risk=0.15, delta=0.1)
    alone = accept_threshold(confidence[0], correct[0], risk=0.15, delta=0.1)
    assert found is not None
    assert alone is not None
    assert (found.level, found.n_accepted, found.n_errors) == (
        alone.value,
        alone.n_accepted,
        alone.n_errors,
    )


def test_a_second_stage_takes_more() -> None:
    confidence, correct = chain(1000, seed=2)
    one = fit_cascade(confidence[:1], correct[:1], risk=0.1, delta=0.1)
    two = fit_cascade(confidence, correct, risk=0.1, delta=0.1)
    assert one is not None
    assert two is not None
    assert two.n_accepted > one.n_accepted


def test_gold_that_cannot_support_the_risk_gives_nothing() -> None:
    confidence, correct = chain(10, seed=0)
    assert fit_cascade(confidence, correct, risk=0.05, delta=0.1) is None
    assert fit_cascade(confidence[:, :0], correct[:, :0], risk=0.05, delta=0.1) is None


def test_models_that_are_wrong_are_never_taken() -> None:
    confidence, correct = chain(500, seed=0)
    assert fit_cascade(confidence, np.zeros_like(correct), risk=0.2, delta=0.1) is None


@pytest.mark.parametrize("bad", [np.array([0.5]), np.array([[1.5]]), np.empty((0, 3))])
def test_confidence_that_is_none_is_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(UserError):
        fit_cascade(bad, np.ones(bad.shape, dtype=bool), risk=0.1, delta=0.1)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(UserError, match="one of each"):
        fit_cascade(np.full((2, 3), 0.5), np.ones((2, 2), dtype=bool), risk=0.1, delta=0.1)


def test_another_number_of_stages_is_refused() -> None:
    with pytest.raises(UserError, match="give 2"):
        Cascade(0.8, 0.1, 0.1, 2, 1, 0, 1).stage(np.full((1, 4), 0.9))
