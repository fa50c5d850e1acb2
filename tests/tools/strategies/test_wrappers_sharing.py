"""The wrappers that make up a batch: balanced, by quota, by cost, drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.strategies import Candidates, strategy
from labelwright.tools.strategies.wrappers.base import evened
from labelwright.tools.strategies.wrappers.ranking import RANKING
from labelwright.tools.uncertainty import margin
from strategy_contract import bare, pool, unit
from wrapper_contract import WrapperContract


class TestClassBalanceMargin(WrapperContract):
    name = "class_balance(margin)"

    def predicted(self, counts: list[int]) -> Candidates:
        """That many candidates predicted as each label, rows in order of label."""
        label = np.repeat(np.arange(len(counts)), counts)
        p = np.full((len(label), len(counts)), 0.1 / (len(counts) - 1), dtype=np.float32)
        p[np.arange(len(label)), label] = 0.9
        return Candidates(np.arange(len(label)), probabilities=p)

    def test_labelled_and_picked_become_even(self) -> None:
        candidates = replace(
            self.predicted([50, 50, 50]),
            labelled_rows=np.arange(200, 209),
            labels=np.array([0] * 6 + [1] * 3),
        )
        picks = strategy("class_balance(random)").select(candidates, 9, seed=0).rows
        assert np.bincount(picks // 50, minlength=3).tolist() == [0, 3, 6]

    def test_what_one_label_lacks_the_others_give(self) -> None:
        picks = strategy("class_balance(random)").select(self.predicted([40, 40, 2]), 12, seed=0)
        assert (picks.rows >= 80).sum() == 2
        assert np.bincount(picks.rows[picks.rows < 80] // 40).tolist() == [5, 5]

    def test_within_a_label_the_inner_strategy_chooses(self) -> None:
        candidates = pool(200, labelled=0)
        assert candidates.probabilities is not None
        label, doubt = candidates.probabilities.argmax(axis=1), margin(candidates.probabilities)
        picks = np.searchsorted(candidates.rows, self.one.select(candidates, 8, seed=0).rows)
        for each in range(4):
            mine = picks[label[picks] == each]
            best = np.flatnonzero(label == each)
            assert sorted(mine) == sorted(best[np.argsort(-doubt[best])[:2]])

    def test_refuses_tasks_with_several_labels_an_item(self) -> None:
        with pytest.raises(UserError, match="one label an item"):
            self.one.select(replace(pool(9), multi_label=True), 2, seed=0)


class TestClassBalanceKCenter(WrapperContract):
    name = "class_balance(k_center)"


class TestQuotaOfLevels(WrapperContract):
    name = "quota(margin)"

    def test_takes_equally_many_of_each_level_the_most_doubtful_of_each(self) -> None:
        lead = np.linspace(0.995, 0.005, 100)
        p = np.stack([0.5 + lead / 2, 0.5 - lead / 2], axis=1).astype(np.float32)
        found = self.one.select(Candidates(np.arange(100), probabilities=p), 10, seed=0)
        expected = [level * 20 + place for level in range(5) for place in (18, 19)]
        assert sorted(found.rows) == expected


class TestQuotaOfClusters(WrapperContract):
    name = "quota(random, clusters, 4)"

    def test_takes_equally_many_of_each_cluster(self) -> None:
        rng = np.random.default_rng(2)
        points = np.repeat(np.eye(4, 16), [5, 20, 75, 100], axis=0)
        candidates = Candidates(
            np.arange(200), unit(points + 0.03 * rng.standard_normal(points.shape))
        )
        picks = self.one.select(candidates, 16, seed=0).rows
        cluster = np.repeat(np.arange(4), [5, 20, 75, 100])[picks]
        assert np.bincount(cluster).tolist() == [4, 4, 4, 4]


class TestQuotaOfGumbel(WrapperContract):
    name = "quota(gumbel(entropy, 2.0), bins, 3)"


class TestCostMargin(WrapperContract):
    name = "cost(margin)"

    def test_divides_by_the_given_costs(self) -> None:
        candidates = pool(100)
        assert candidates.probabilities is not None
        assert candidates.costs is not None
        worth = margin(candidates.probabilities) / candidates.costs
        found = self.one.select(candidates, 12, seed=0)
        np.testing.assert_array_equal(found.utilities, np.sort(worth)[::-1][:12])

    def test_given_costs_need_no_texts(self) -> None:
        priced = replace(bare(pool(30), frozenset({"probabilities"})), costs=pool(30).costs)
        self.check(self.one.select(priced, 4, seed=0), priced, 4)

    def test_without_costs_a_long_text_costs_more(self) -> None:
        texts = ["short text"] * 50 + ["a text that takes ten times as long to read " * 3] * 50
        even = Candidates(np.arange(100), texts=texts, probabilities=np.full((100, 2), 0.5, "f4"))
        found = self.one.select(even, 50, seed=0)
        assert (found.rows < 50).all()
        assert "costs by length of text" in found.reason

    def test_reading_the_median_text_costs_as_much_as_answering(self) -> None:
        even = Candidates(
            np.arange(3), texts=["", "four", "eighteen"], probabilities=np.full((3, 2), 0.5, "f4")
        )
        np.testing.assert_allclose(
            self.one.select(even, 3, seed=0).utilities, [1, 1 / 2, 1 / 3], rtol=1e-6
        )


class TestCostEntropy(WrapperContract):
    name = "cost(entropy)"


class TestGumbelMargin(WrapperContract):
    name = "gumbel(margin)"

    def test_draws_in_proportion_to_utility(self) -> None:
        lead = np.array([0.2, 0.6, 0.8])
        p = np.stack([0.5 + lead / 2, 0.5 - lead / 2], axis=1).astype(np.float32)
        candidates = Candidates(np.arange(3), probabilities=p)
        counts = np.zeros(3)
        for seed in range(1400):
            counts[self.one.select(candidates, 1, seed=seed).rows[0]] += 1
        # Utilities .8 : .4 : .2; standard deviation at most 19: four of them.
        assert np.abs(counts - [800, 400, 200]).max() < 76

    def test_a_low_temperature_gives_the_inner_strategy(self) -> None:
        candidates = pool(200)
        sharp = strategy("gumbel(margin, 0.000001)").select(candidates, 20, seed=0)
        np.testing.assert_array_equal(
            sharp.rows, strategy("margin").select(candidates, 20, seed=0).rows
        )

    def test_no_utility_comes_last_at_any_temperature(self) -> None:
        p = np.repeat([[1.0, 0.0], [0.9, 0.1]], 20, axis=0).astype(np.float32)
        candidates = Candidates(np.arange(40), probabilities=p)
        hot = strategy("gumbel(margin, 1000000)")
        for seed in range(5):
            assert (hot.select(candidates, 20, seed=seed).rows >= 20).all()

    def test_spreads_over_copies_where_margin_takes_one_kind(self) -> None:
        p = np.repeat([[0.5, 0.5], [0.6, 0.4]], 50, axis=0).astype(np.float32)
        candidates = Candidates(np.arange(100), probabilities=p)
        assert (strategy("margin").select(candidates, 20, seed=0).rows < 50).all()
        assert 2 < (self.one.select(candidates, 20, seed=0).rows < 50).sum() < 18


class TestGumbelCost(WrapperContract):
    name = "gumbel(cost(least_confidence))"


class TestGumbelContrastive(WrapperContract):
    name = "gumbel(contrastive, 0.5)"


@pytest.mark.parametrize("name", sorted(RANKING))
def test_no_pick_changes_the_utilities_of_a_ranking_strategy(name: str) -> None:
    candidates = pool(400, labelled=20)
    full = strategy(name).select(candidates, 400, seed=0)
    assert (full.utilities >= 0).all()
    known = dict(zip(full.rows.tolist(), full.utilities.tolist(), strict=True))
    others = candidates.at(np.flatnonzero(~np.isin(candidates.rows, full.rows[:1])))
    few = strategy(name).select(others, 9, seed=1)
    # One candidate of 400 less moves a mean over all of them, as of `density`, by 1/200 at most.
    np.testing.assert_allclose(few.utilities, full.utilities[1:10], rtol=0.05, atol=0.005)
    for row, utility in zip(few.rows.tolist(), few.utilities.tolist(), strict=True):
        assert utility == pytest.approx(known[row], rel=0.05, abs=0.005)


@pytest.mark.parametrize("inner", ["k_center", "random", "subsample(margin)", "gumbel(margin)"])
@pytest.mark.parametrize("outer", ["gumbel", "cost"])
def test_what_does_not_rank_is_refused(outer: str, inner: str) -> None:
    with pytest.raises(UserError, match=r"utility of each item by itself.*use one of .*margin"):
        strategy(f"{outer}({inner})")


def test_picks_come_from_the_group_with_fewest_first() -> None:
    rng = np.random.default_rng(0)
    sequence = evened(np.array([3, 0, 1]), np.array([9, 2, 9]), 7, rng)
    counts = np.bincount(sequence, minlength=3)
    assert counts.tolist() == [1, 2, 4] or counts.tolist() == [2, 2, 3]
    assert sequence[0] == 1
