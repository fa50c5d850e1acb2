"""Slips are told from items that people truly read in two ways."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.quality.ambiguity import disagreement, slip_rates
from numpy.typing import NDArray


def slipping(
    n: int, rates: tuple[float, ...], *, seed: int = 0, classes: int = 4
) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)[:, None]
    shape = (n, len(rates))
    wrong = (truth + rng.integers(1, classes, shape)) % classes
    return np.where(rng.random(shape) < np.array(rates), wrong, truth)


def split(n: int, m: int, *, share: float = 0.3, seed: int = 0) -> tuple[NDArray[np.int64], ...]:
    """Votes without slips, where a share of the items has two right readings."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, n)[:, None]
    ambiguous = rng.random(n) < share
    second = ambiguous[:, None] & (rng.random((n, m)) < 0.5)
    return np.where(second, (truth + 1) % 4, truth), ambiguous


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("annotators", [3, 8])
def test_slips_of_any_rate_have_a_dispersion_of_1(rate: float, annotators: int) -> None:
    found = disagreement(slipping(800, (rate,) * annotators), 4, seed=1)
    assert found.dispersion == pytest.approx(1, abs=0.12)
    assert found.looks_like == "slips"
    assert found.ambiguous().mean() < 0.02


def test_missing_answers_do_not_look_like_ambiguity() -> None:
    votes = slipping(800, (0.1, 0.2, 0.3, 0.2))
    votes[np.random.default_rng(5).random(votes.shape) < 0.3] = -1
    votes[3] = -1
    found = disagreement(votes, 4, seed=1)
    assert found.looks_like == "slips"
    assert np.isnan(found.entropy[3])
    assert np.isnan(found.slip[3])


def test_items_with_two_readings_are_seen_in_the_whole_set() -> None:
    votes, _ = split(600, 8)
    found = disagreement(votes, 4, seed=1)
    assert found.looks_like == "ambiguity"
    assert found.dispersion > 1.3


def test_with_many_answers_the_ambiguous_items_are_named() -> None:
    votes, truly = split(400, 20)
    flagged = disagreement(votes, 4, seed=1).ambiguous()
    assert (flagged & truly).sum() > 0.9 * truly.sum()
    assert (flagged & ~truly).sum() < 0.1 * flagged.sum()


def test_what_people_said_is_kept_whole() -> None:
    found = disagreement(np.array([[0, 0, 1, 1], [2, 2, 2, -1]]), 3, seed=0)
    np.testing.assert_allclose(found.soft, [[0.5, 0.5, 0], [0, 0, 1]])
    np.testing.assert_allclose(found.entropy, [np.log(2) / np.log(3), 0])
    np.testing.assert_allclose(found.agreement, [1 / 3, 1])


def test_the_chance_to_slip_is_found_without_knowing_who_is_right() -> None:
    rates = (0.05, 0.2, 0.4, 0.1)
    np.testing.assert_allclose(slip_rates(slipping(4000, rates), 4), rates, atol=0.03)


def test_an_annotator_alone_has_no_rate() -> None:
    votes = np.array([[0, 0, -1], [1, 1, -1], [-1, -1, 2]])
    assert np.isnan(slip_rates(votes, 3)).tolist() == [False, False, True]


def test_full_agreement_says_neither() -> None:
    found = disagreement(np.zeros((5, 3), dtype=np.int64), 2, seed=0)
    assert found.looks_like == "unknown"
    assert not found.ambiguous().any()


def test_the_same_seed_gives_the_same_numbers() -> None:
    votes = slipping(100, (0.2, 0.3, 0.1))
    first, second = disagreement(votes, 4, seed=4), disagreement(votes, 4, seed=4)
    assert (first.dispersion, first.dispersion_low) == (second.dispersion, second.dispersion_low)
    np.testing.assert_array_equal(first.slip, second.slip)


def test_one_answer_an_item_is_refused() -> None:
    with pytest.raises(UserError, match="two answers"):
        disagreement(np.array([[0, -1], [-1, 1]]), 2, seed=0)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(UserError, match="level"):
        disagreement(np.array([[0, 1]]), 2, seed=0, level=level)


def test_a_share_of_false_alarms_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="false_share"):
        disagreement(np.array([[0, 1]]), 2, seed=0).ambiguous(1.5)
