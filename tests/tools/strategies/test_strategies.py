"""What each strategy of the main job promises beyond the contract."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.strategies import STRATEGIES, Candidates, strategy
from labelwright.tools.strategies.base import ranked
from labelwright.tools.strategies.cluster import Cluster
from labelwright.tools.strategies.diverse import UncertaintyDiversity
from labelwright.tools.uncertainty import margin
from strategy_contract import (
    ByProbability,
    ByUncertaintyAlone,
    ByVector,
    Covering,
    StrategyContract,
    pool,
    unit,
)


class TestRandom(StrategyContract):
    name = "random"

    def test_takes_every_item_equally_often(self) -> None:
        candidates = pool(10)
        counts = np.zeros(10)
        for seed in range(1000):
            picks = self.one.select(candidates, 3, seed=seed).rows
            counts[np.searchsorted(candidates.rows, picks)] += 1
        # 300 expected each, standard deviation 14.5: five of them.
        assert (np.abs(counts - 300) < 73).all()


class TestLeastConfidence(ByUncertaintyAlone):
    name = "least_confidence"


class TestMargin(ByUncertaintyAlone):
    name = "margin"


class TestEntropy(ByUncertaintyAlone):
    name = "entropy"


class TestKCenter(Covering):
    name = "k_center"

    @pytest.mark.parametrize("labelled", [0, 7])
    def test_is_what_the_plain_algorithm_gives(self, labelled: int) -> None:
        candidates = pool(90, labelled=labelled)
        assert candidates.vectors is not None
        vectors = candidates.vectors.astype(np.float64)
        known = candidates.labelled_vectors
        covered = [] if known is None else list(known.astype(np.float64))
        expected: list[int] = []
        for _ in range(12):
            if covered:
                far = [min(1 - v @ c for c in covered) for v in vectors]
                pick = int(np.argmax(far))
            else:
                pick = int(np.argmax(vectors @ vectors.mean(axis=0)))
            expected.append(pick)
            covered.append(vectors[pick])
        got = self.one.select(candidates, 12, seed=0).rows
        np.testing.assert_array_equal(got, candidates.rows[expected])

    def test_distances_fall_and_the_seed_changes_nothing(self) -> None:
        one, two = (self.one.select(pool(200), 30, seed=seed) for seed in (1, 2))
        np.testing.assert_array_equal(one.rows, two.rows)
        assert (np.diff(one.utilities) <= 1e-6).all()

    def test_covers_within_twice_the_best_radius(self) -> None:
        # Eight tight clusters: the best eight centres are within 2 r of all, r their radius.
        rng = np.random.default_rng(0)
        points = unit(np.repeat(np.eye(8, 12), 30, axis=0) + 0.02 * rng.standard_normal((240, 12)))
        picks = self.one.select(Candidates(np.arange(240), points), 8, seed=0).rows
        assert len(set(picks // 30)) == 8


class TestCluster(Covering):
    name = "cluster"

    def test_takes_the_middle_of_a_cluster_not_its_rim(self) -> None:
        angle = np.concatenate([np.linspace(-0.3, 0.3, 21), [1.2]])
        points = unit(np.stack([np.cos(angle), np.sin(angle)], axis=1))
        few = Cluster(neighbours=6)
        for seed in range(20):
            picks = few.select(Candidates(np.arange(22), points), 1, seed=seed).rows
            assert 3 <= picks[0] <= 17

    def test_utility_is_the_typicality_of_the_paper(self) -> None:
        candidates = pool(120, labelled=0)
        assert candidates.vectors is not None
        got = self.one.select(candidates, 1, seed=0)
        vectors = candidates.vectors.astype(np.float64)
        apart = np.sort(np.linalg.norm(vectors[:, None] - vectors[None], axis=2), axis=1)
        typicality = 1 / apart[:, 1:21].mean(axis=1)
        assert got.rows[0] == candidates.rows[np.argmax(typicality)]
        assert got.utilities[0] == pytest.approx(typicality.max(), rel=1e-3)

    def test_says_that_it_saw_a_sample_and_keeps_its_promises(self) -> None:
        small = Cluster(limit=50, neighbours_from=20)
        candidates = pool(400)
        selection = small.select(candidates, 10, seed=1)
        self.check(selection, candidates, 10)
        assert "a seeded sample of 50 of 400 items" in selection.reason
        self.check(small.select(candidates, 390, seed=1), candidates, 390)

    def test_takes_second_items_when_clusters_are_limited(self) -> None:
        few = Cluster(max_clusters=4)
        picks = few.select(replace(self.planted(), labelled_vectors=None), 8, seed=0).rows
        assert np.bincount(picks // 50).tolist() == [2, 2, 2, 2]

    def test_does_not_take_a_lone_outlier_first(self) -> None:
        full = replace(self.planted(), labelled_vectors=None)
        assert full.vectors is not None
        vectors = full.vectors.copy()
        vectors[17] = unit(-np.ones((1, 16)))[0]
        picks = self.one.select(replace(full, vectors=vectors), 5, seed=0)
        assert picks.rows[-1] == 17 or 17 not in picks.rows


class TestUncertaintyDiversity(ByProbability, ByVector):
    name = "uncertainty_diversity"

    def test_every_pick_is_among_the_most_uncertain(self) -> None:
        candidates = pool(500)
        assert candidates.probabilities is not None
        u = margin(candidates.probabilities)
        least = np.sort(u)[::-1][99]
        got = self.one.select(candidates, 5, seed=0)
        assert (got.utilities >= least).all()
        assert (np.diff(got.utilities) <= 0).all()
        np.testing.assert_array_equal(got.utilities, u[np.searchsorted(candidates.rows, got.rows)])

    def test_spreads_where_margin_alone_would_crowd(self) -> None:
        # The most uncertain ten are near copies; the next forty are spread over three clusters.
        planted = self.planted()
        lead = np.full(200, 0.9)
        lead[:10] = 0.01
        lead[50:60] = lead[100:110] = lead[150:160] = 0.02
        p = np.stack([0.5 + lead / 2, 0.5 - lead / 2], axis=1).astype(np.float32)
        crowded = replace(planted, probabilities=p)
        alone = strategy("margin").select(crowded, 4, seed=0).rows
        assert len(set(alone // 50)) == 1
        spread = self.one.select(crowded, 4, seed=0).rows
        assert len(set(spread // 50)) == 4

    def test_repeated_texts_leave_room_for_the_most_uncertain(self) -> None:
        lead = np.linspace(0.0, 0.9, 10)
        p = np.stack([0.5 + lead / 2, 0.5 - lead / 2], axis=1).astype(np.float32)
        texts = np.eye(2, 4, dtype=np.float32)[[0, 1] * 5]
        picks = self.one.select(Candidates(np.arange(10), texts, p), 5, seed=0).rows
        assert {0, 1, 2} <= set(picks.tolist())

    def test_beta_of_one_is_margin(self) -> None:
        candidates = pool(100)
        got = UncertaintyDiversity(beta=1).select(candidates, 6, seed=0)
        alone = strategy("margin").select(candidates, 6, seed=0)
        assert set(got.rows) == set(alone.rows)


def test_every_registered_strategy_has_a_contract_test() -> None:
    files = Path(__file__).parent.glob("test_*.py")
    texts = [file.read_text(encoding="utf-8") for file in files]
    tested = {name for text in texts for name in re.findall(r'^    name = "(\w+)"$', text, re.M)}
    assert tested == set(STRATEGIES)


@pytest.mark.parametrize("k", [1, 7, 299, 300, 400])
def test_ranked_is_a_full_sort_after_a_shuffle(k: int) -> None:
    # Few different values, so that ties lie on both sides of the k-th.
    values = np.random.default_rng(1).integers(0, 5, 300).astype(np.float32)
    shuffled = np.random.default_rng(8).permutation(300)
    whole = shuffled[np.argsort(-values[shuffled], kind="stable")]
    np.testing.assert_array_equal(ranked(values, k, np.random.default_rng(8)), whole[:k])


def test_labelled_probabilities_must_fit_the_labelled_vectors() -> None:
    full = pool(5)
    assert full.labelled_probabilities is not None
    short = replace(full, labelled_probabilities=full.labelled_probabilities[:3])
    with pytest.raises(UserError, match=r"labelled probabilities have shape \(3, 4\) for 6"):
        strategy("contrastive").select(short, 2, seed=0)
    other = replace(full, labelled_probabilities=full.labelled_probabilities[:, :3])
    with pytest.raises(UserError, match="predict both with the same model"):
        strategy("contrastive").select(other, 2, seed=0)


def test_an_unknown_strategy_gets_the_list() -> None:
    with pytest.raises(UserError, match=r"'coreset'.*random.*uncertainty_diversity"):
        strategy("coreset")
