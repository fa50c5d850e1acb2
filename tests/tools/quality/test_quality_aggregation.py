"""Labels of several annotators: whom each method believes, and that nobody stays nobody."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from labelwright.store.errors import UserError
from labelwright.tools.quality.aggregation import (
    Aggregate,
    Votes,
    dawid_skene,
    gold_accuracy,
    mace,
    majority,
    smoothed_share,
    weighted,
)
from numpy.typing import NDArray

ACCURACY = (0.9, 0.85, 0.8, 0.3, 0.35)


def answers(
    n: int = 300, *, seed: int = 0, classes: int = 3, missing: float = 0.1
) -> tuple[Votes, NDArray[np.int64]]:
    """Votes of three good annotators and two that guess, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    columns = []
    for accuracy in ACCURACY:
        wrong = (truth + rng.integers(1, classes, n)) % classes
        columns.append(np.where(rng.random(n) < accuracy, truth, wrong))
    votes = np.stack(columns, axis=1)
    votes[rng.random(votes.shape) < missing] = -1
    return votes, truth


class AggregationContract(ABC):
    """What every way of aggregating promises."""

    @abstractmethod
    def aggregate(self, votes: Votes, classes: int) -> Aggregate:
        """The method under test."""

    def test_labels_are_right_though_two_in_five_annotators_guess(self) -> None:
        votes, truth = answers()
        assert (self.aggregate(votes, 3).labels == truth).mean() > 0.8

    def test_rows_are_distributions(self) -> None:
        votes, _ = answers()
        votes[0] = [0, -1, -1, -1, -1]
        found = self.aggregate(votes, 3)
        assert found.distribution.shape == (300, 3)
        assert (found.distribution >= 0).all()
        np.testing.assert_allclose(found.distribution.sum(axis=1), 1)

    def test_what_nobody_answered_has_no_label_and_no_confidence(self) -> None:
        votes, _ = answers()
        votes[7] = -1
        found = self.aggregate(votes, 3)
        assert found.labels[7] == -1
        assert np.isnan(found.confidence[7])
        assert np.isnan(found.distribution[7]).all()
        assert (np.delete(found.labels, 7) >= 0).all()

    def test_good_annotators_are_believed_more_than_those_who_guess(self) -> None:
        votes, _ = answers()
        reliability = self.aggregate(votes, 3).reliability
        assert reliability[:3].min() > reliability[3:].max()

    def test_the_same_votes_give_the_same_result(self) -> None:
        votes, _ = answers()
        first, second = self.aggregate(votes, 3), self.aggregate(votes, 3)
        np.testing.assert_array_equal(first.distribution, second.distribution)
        np.testing.assert_array_equal(first.reliability, second.reliability)

    def test_no_answer_at_all_is_no_label_anywhere(self) -> None:
        found = self.aggregate(np.full((4, 2), -1), 3)
        assert (found.labels == -1).all()
        assert np.isnan(found.confidence).all()

    def test_a_label_that_nobody_gave_stays_possible_to_name(self) -> None:
        votes, _ = answers(60)
        found = self.aggregate(votes, 5)
        assert found.distribution.shape == (60, 5)
        np.testing.assert_allclose(found.distribution[:, 3:], 0, atol=0.05)

    @pytest.mark.parametrize("bad", [np.array([[3]]), np.array([[-2]]), np.array([0, 1])])
    def test_a_vote_that_is_no_label_is_refused(self, bad: NDArray[np.int64]) -> None:
        with pytest.raises(UserError):
            self.aggregate(bad, 3)


class TestMajority(AggregationContract):
    def aggregate(self, votes: Votes, classes: int) -> Aggregate:
        return majority(votes, classes)


class TestWeighted(AggregationContract):
    def aggregate(self, votes: Votes, classes: int) -> Aggregate:
        accuracy = np.array(ACCURACY)[: votes.shape[1]] if votes.ndim == 2 else np.array([0.9])
        return weighted(votes, classes, accuracy)


class TestDawidSkene(AggregationContract):
    def aggregate(self, votes: Votes, classes: int) -> Aggregate:
        return dawid_skene(votes, classes)


class TestMace(AggregationContract):
    def aggregate(self, votes: Votes, classes: int) -> Aggregate:
        return mace(votes, classes, seed=3, restarts=1, iterations=20)


def test_the_distribution_of_the_majority_is_what_people_said() -> None:
    votes = np.array([[0, 0, 1, -1], [1, 2, 2, 2]])
    np.testing.assert_allclose(
        majority(votes, 3).distribution, [[2 / 3, 1 / 3, 0], [0, 1 / 4, 3 / 4]]
    )


def test_a_tie_is_reported_and_goes_to_the_lower_label() -> None:
    found = majority(np.array([[2, 1], [1, 1], [-1, -1]]), 3)
    assert found.tied.tolist() == [True, False, False]
    assert found.labels.tolist() == [1, 1, -1]


def test_one_good_annotator_outweighs_two_that_guess() -> None:
    votes = np.array([[0, 1, 1]])
    assert majority(votes, 2).labels.tolist() == [1]
    assert weighted(votes, 2, np.array([0.95, 0.55, 0.55])).labels.tolist() == [0]


def test_log_odds_are_those_of_the_formula() -> None:
    found = weighted(np.array([[0, 1]]), 3, np.array([0.8, 0.6]))
    powers = np.array([2 * 0.8 / 0.2, 2 * 0.6 / 0.4, 1.0])
    np.testing.assert_allclose(found.distribution[0], powers / powers.sum())


def test_who_answered_no_gold_item_counts_for_nothing() -> None:
    accuracy = gold_accuracy(np.array([[0, -1], [1, -1]]), np.array([0, 1]), 4)
    np.testing.assert_allclose(accuracy, [3 / 6, 1 / 4])
    found = weighted(np.array([[-1, 2]]), 4, accuracy)
    np.testing.assert_allclose(found.distribution, np.full((1, 4), 0.25))


def test_accuracies_that_claim_certainty_are_refused() -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        weighted(np.array([[0]]), 2, np.array([1.0]))


def test_gold_of_another_length_is_refused() -> None:
    with pytest.raises(UserError, match="right label of each"):
        gold_accuracy(np.array([[0], [1]]), np.array([0]), 2)


def test_the_reliability_of_dawid_and_skene_is_near_the_true_accuracy() -> None:
    votes, _ = answers(2000)
    np.testing.assert_allclose(dawid_skene(votes, 3).reliability, ACCURACY, atol=0.06)


def test_reliability_stands_with_its_annotator_whoever_answered_first() -> None:
    votes, _ = answers()
    votes[:40, 0] = -1
    swapped = mace(votes[:, ::-1], 3, seed=0, restarts=1).reliability[::-1]
    np.testing.assert_allclose(mace(votes, 3, seed=0, restarts=1).reliability, swapped, atol=0.05)


@pytest.mark.parametrize("method", ["dawid_skene", "mace"])
def test_without_crowd_kit_it_is_said_how_to_get_it(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "crowdkit", None)
    votes = np.array([[0, 1]])
    with pytest.raises(UserError, match=r"pip install 'labelwright\[crowd\]'"):
        dawid_skene(votes, 2) if method == "dawid_skene" else mace(votes, 2, seed=0)


@given(hnp.arrays(np.int64, (7, 4), elements=st.integers(-1, 2)))
def test_a_smoothed_share_is_never_0_and_keeps_the_order(votes: Votes) -> None:
    smooth = smoothed_share(votes, 3)
    assert (smooth > 0).all()
    np.testing.assert_allclose(smooth.sum(axis=1), 1)
    known = (votes >= 0).any(axis=1)
    shares = majority(votes, 3).distribution[known]
    assert (np.argsort(shares, kind="stable") == np.argsort(smooth[known], kind="stable")).all()
