"""Labels are accepted without a person only where gold items support the promised risk."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.acceptance import (
    GRID,
    accept_threshold,
    gold_needed,
    threshold_possible,
)


def test_the_promised_risk_is_broken_no_more_often_than_promised() -> None:
    rng = np.random.default_rng(0)
    risk, delta, runs = 0.1, 0.2, 400
    # Accuracy equals confidence, so the risk of a threshold t is the mean of 1 - c above t.
    pool = rng.beta(6, 1.2, size=100_000)
    broken = found = 0
    for _ in range(runs):
        confidence = rng.beta(6, 1.2, size=120)
        correct = rng.random(120) < confidence
        threshold = accept_threshold(confidence, correct, risk=risk, delta=delta)
        if threshold is None:
            continue
        found += 1
        broken += (1 - pool[pool >= threshold.value]).mean() > risk
    assert found > 0.3 * runs
    assert broken / runs <= delta


def test_the_promise_holds_when_every_threshold_breaks_it() -> None:
    rng = np.random.default_rng(1)
    broken = 0
    for _ in range(400):
        correct = rng.random(80) < 0.89
        broken += accept_threshold(rng.random(80), correct, risk=0.1, delta=0.1) is not None
    assert broken / 400 <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / 400)


def test_a_threshold_is_the_loosest_that_is_supported() -> None:
    confidence = np.repeat([0.9, 0.6, 0.3], 50)
    correct = np.concatenate([np.ones(50), np.ones(50), np.zeros(50)])
    threshold = accept_threshold(confidence, correct, risk=0.1, delta=0.1)
    assert threshold is not None
    assert 0.3 < threshold.value <= 0.6
    assert (threshold.n_accepted, threshold.n_errors, threshold.n) == (100, 0, 150)


def test_all_right_accepts_everything() -> None:
    threshold = accept_threshold(np.full(60, 0.5), np.ones(60), risk=0.1, delta=0.1)
    assert threshold is not None
    assert threshold.value == 0.01


@pytest.mark.parametrize(("n", "supported"), [(37, False), (38, True)])
def test_the_test_is_exact(n: int, supported: bool) -> None:
    # P(Binomial(37, 0.1) <= 1) = 0.1037 and P(Binomial(38, 0.1) <= 1) = 0.0953.
    correct = np.arange(n) != 0
    threshold = accept_threshold(np.full(n, 0.5), correct, risk=0.1, delta=0.1, grid=[0.5])
    assert (threshold is not None) == supported


@pytest.mark.parametrize(("rest", "supported"), [(53, False), (54, True)])
def test_one_early_error_is_survived_when_half_of_the_gold_can_bear_it(
    rest: int, supported: bool
) -> None:
    # 38 accepted can bear one error, the first 22 cannot; half of 75 is less than 38.
    confidence = np.concatenate([np.full(22, 0.9), [0.8], np.linspace(0.7, 0.1, rest - 1)])
    correct = np.arange(len(confidence)) != 0
    threshold = accept_threshold(confidence, correct, risk=0.1, delta=0.1)
    assert (threshold is not None) == supported


@pytest.mark.parametrize("n", [0, 1, 21])
def test_too_few_items_support_no_threshold(n: int) -> None:
    assert gold_needed(0.1, 0.1) == 22
    assert accept_threshold(np.ones(n), np.ones(n), risk=0.1, delta=0.1) is None
    assert accept_threshold(np.ones(22), np.ones(22), risk=0.1, delta=0.1) is not None


@settings(max_examples=50)
@given(st.floats(0.01, 0.5), st.floats(0.01, 0.5))
def test_gold_needed_is_the_first_number_that_can_succeed(risk: float, delta: float) -> None:
    n = gold_needed(risk, delta)
    assert (1 - risk) ** n <= delta * (1 + 1e-6)
    assert (1 - risk) ** (n - 1) > delta * (1 - 1e-6)


@pytest.mark.parametrize(
    ("risk", "delta"), [(0, 0.1), (1, 0.1), (0.1, 0), (0.1, 1), (math.nan, 0.1)]
)
def test_risks_that_make_no_sense_are_refused(risk: float, delta: float) -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        accept_threshold([0.5], [True], risk=risk, delta=delta)


def test_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="outside"):
        accept_threshold([np.nan], [True], risk=0.1, delta=0.1)
    with pytest.raises(UserError, match="one of each"):
        accept_threshold([0.5, 0.6], [True], risk=0.1, delta=0.1)


def test_the_grid_goes_from_strict_to_loose() -> None:
    assert (GRID[0], GRID[-1], len(set(GRID))) == (0.99, 0.01, 99)
    assert list(GRID) == sorted(GRID, reverse=True)


@pytest.mark.parametrize(
    ("errors", "size", "possible"),
    [(0, 21, False), (0, 22, True), (1, 37, False), (1, 44, True), (2, 44, False), (2, 60, True)],
)
def test_more_gold_is_of_use_where_it_could_make_up_for_the_errors_there_are(
    errors: int, size: int, possible: bool
) -> None:
    # P(Binomial(37, 0.1) <= 1) = 0.104, P(Binomial(44, 0.1) <= 2) = 0.173.
    correct = np.arange(20) >= errors
    assert threshold_possible(np.ones(20), correct, size, risk=0.1, delta=0.1) == possible


def test_with_errors_among_the_unsure_more_gold_may_open_what_little_gold_cannot() -> None:
    confidence, correct = np.repeat([0.9, 0.4], 11), np.repeat([True, False], 11)
    assert accept_threshold(confidence, correct, risk=0.1, delta=0.1) is None
    assert threshold_possible(confidence, correct, 44, risk=0.1, delta=0.1)
    assert not threshold_possible(confidence[::-1], correct, 44, risk=0.1, delta=0.1)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_with_no_more_gold_what_is_possible_is_what_is_there(
    items: list[tuple[float, bool]],
) -> None:
    confidence, correct = zip(*items, strict=True)
    found = accept_threshold(confidence, correct, risk=0.2, delta=0.1)
    possible = threshold_possible(confidence, correct, len(items), risk=0.2, delta=0.1)
    assert possible == (found is not None)


@pytest.mark.parametrize("ranked", [False, True])
def test_the_promise_holds_where_the_first_part_says_whether_there_is_a_second(
    ranked: bool,
) -> None:
    rng = np.random.default_rng(2)
    broken, runs, first, size = 0, 1000, 22, 44
    for _ in range(runs):
        # Just too many errors at every threshold.
        confidence = rng.random(size) if ranked else np.ones(size)
        correct = rng.random(size) < 0.899
        head = confidence[:first], correct[:first]
        more = threshold_possible(*head, size, risk=0.1, delta=0.1)
        tested = (confidence, correct) if more else head
        broken += accept_threshold(*tested, risk=0.1, delta=0.1) is not None
    assert broken / runs <= 0.1


def test_without_gold_nothing_can_be_said_of_more() -> None:
    with pytest.raises(UserError, match="give one of each a gold item"):
        threshold_possible([], [], 20, risk=0.1, delta=0.1)
