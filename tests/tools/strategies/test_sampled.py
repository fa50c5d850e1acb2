"""Strategies from draws of the model, its last layer, regions and label descriptions."""

from __future__ import annotations

import tracemalloc
from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.disagreement import bald, mean_kl, vote_entropy
from labelwright.tools.strategies import Candidates, strategy
from labelwright.tools.strategies.batch_bald import BatchBald
from labelwright.tools.strategies.committee import Disagreement
from labelwright.tools.strategies.density import Density
from labelwright.tools.strategies.label_descriptions import LabelDescriptions
from labelwright.tools.strategies.region import RegionUncertainty
from labelwright.tools.uncertainty import MULTI_LABEL_MEASURES, entropy
from numpy.typing import NDArray
from strategy_contract import (
    ByProbability,
    CountingSource,
    LooksAtProbabilities,
    LooksAtSamples,
    LooksAtVectors,
    pool,
    unit,
)


def drawn(candidates: Candidates) -> NDArray[np.float32]:
    assert candidates.samples is not None
    return candidates.samples


class _ByMeasure(LooksAtSamples, ABC):
    """Contract of those that rank by a measure of disagreement."""

    @abstractmethod
    def measured(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the strategy ranks by."""

    def test_takes_the_largest_in_falling_order(self) -> None:
        candidates = pool(300)
        everything = np.sort(self.measured(drawn(candidates)))[::-1]
        got = self.one.select(candidates, 20, seed=1)
        np.testing.assert_array_equal(got.utilities, everything[:20])

    def test_breaks_ties_by_the_seed(self) -> None:
        even = replace(pool(200), samples=np.full((3, 200, 4), 0.25, dtype=np.float32))
        picks = {tuple(self.one.select(even, 3, seed=seed).rows) for seed in range(5)}
        assert len(picks) == 5

    def test_above_its_limit_only_a_sample_is_predicted_and_the_reason_says_so(self) -> None:
        full = pool(400)
        source = CountingSource(full)
        small = Disagreement(self.name, limit=50)
        got = small.select(Candidates(full.rows, source=source), 10, seed=1)
        self.check(got, full, 10)
        assert len(source.asked["samples"][0]) == 50
        assert "a seeded sample of 50 of 400 items" in got.reason
        self.check(small.select(full, 390, seed=1), full, 390)


class TestBald(_ByMeasure):
    name = "bald"

    def measured(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return bald(samples)


class TestCommitteeVoteEntropy(_ByMeasure):
    name = "committee_vote_entropy"

    def measured(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return vote_entropy(samples)

    def test_counts_votes_and_not_how_sure_they_are(self) -> None:
        # Row 0: one of four barely votes otherwise. Row 1: all agree, at very different odds.
        first = np.array([[0.9, 0.51], [0.9, 0.99], [0.9, 0.6], [0.49, 0.95]], dtype=np.float32)
        samples = np.stack([first, 1 - first], axis=2)
        got = self.one.select(Candidates(np.arange(2), samples=samples), 2, seed=0)
        assert got.rows.tolist() == [0, 1]
        assert got.utilities[1] == pytest.approx(0.0, abs=1e-6)


class TestCommitteeKl(_ByMeasure):
    name = "committee_kl"

    def measured(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return mean_kl(samples)


class TestBatchBald(LooksAtSamples):
    name = "batch_bald"

    def planted_copies(self) -> Candidates:
        """Rows 0-29 copies of one question, as bald ranks first; 30-32 three others."""
        p = np.full((8, 60), 0.5)
        p[:, :30] = np.where(np.arange(8) < 4, 0.98, 0.02)[:, None]
        p[:, 30] = np.where(np.arange(8) % 2 < 1, 0.95, 0.05)
        p[:, 31] = np.where(np.arange(8) % 4 < 2, 0.95, 0.05)
        p[:, 32] = np.where(np.arange(8) % 8 < 1, 0.95, 0.05)
        samples = np.stack([p, 1 - p], axis=2).astype(np.float32)
        return Candidates(np.arange(60), samples=samples)

    def test_takes_one_of_many_copies_where_bald_takes_nothing_else(self) -> None:
        candidates = self.planted_copies()
        for seed in range(5):
            assert (strategy("bald").select(candidates, 3, seed=seed).rows < 30).all()
            picks = self.one.select(candidates, 3, seed=seed).rows
            assert picks[0] < 30
            assert sorted(picks[1:]) == [30, 31]

    def test_gains_add_up_to_no_more_than_the_draws_hold(self) -> None:
        got = self.one.select(pool(300), 60, seed=0)
        assert 1.0 < got.utilities.sum() <= np.log(5) + 1e-3
        assert (got.utilities >= 0).all()

    def test_says_what_it_left_out(self) -> None:
        full = pool(400)
        source = CountingSource(full)
        small = BatchBald(limit=200, kept=40)
        got = small.select(Candidates(full.rows, source=source), 10, seed=1)
        self.check(got, full, 10)
        assert len(source.asked["samples"][0]) == 200
        assert "the 40 that they differ most on, of a seeded sample of 200 of 400" in got.reason
        self.check(small.select(full, 390, seed=1), full, 390)

    def test_keeps_those_of_largest_bald(self) -> None:
        full = pool(400)
        least = np.sort(bald(drawn(full)))[-40]
        picks = BatchBald(kept=40).select(full, 30, seed=0).rows
        assert (bald(drawn(full))[np.searchsorted(full.rows, picks)] >= least).all()

    def test_memory_is_bounded(self) -> None:
        rng = np.random.default_rng(0)
        samples = rng.dirichlet(np.ones(20), (6, 5000)).astype(np.float32)
        candidates = Candidates(np.arange(5000), samples=samples)
        tracemalloc.start()
        self.one.select(candidates, 3, seed=0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 48 * 2**20


class TestDensity(LooksAtProbabilities, LooksAtVectors):
    name = "density"

    def test_of_the_equally_unsure_takes_the_dense(self) -> None:
        # 90 near copies of one text and ten lone ones, all at even odds.
        rng = np.random.default_rng(0)
        points = np.concatenate(
            [np.eye(1, 16) + 0.05 * rng.standard_normal((90, 16)), np.eye(16)[1:11]]
        )
        candidates = Candidates(np.arange(100), unit(points), np.full((100, 2), 0.5, np.float32))
        for seed in range(5):
            assert (self.one.select(candidates, 20, seed=seed).rows < 90).all()

    def test_takes_no_sure_item_however_dense(self) -> None:
        planted = self.planted()
        p = np.tile(np.array([1.0, 0.0], dtype=np.float32), (200, 1))
        p[150:] = 0.5
        picks = self.one.select(replace(planted, probabilities=p), 50, seed=0).rows
        assert (picks >= 150).all()

    def test_utility_is_entropy_times_mean_cosine(self) -> None:
        candidates = pool(60)
        vectors, p = candidates.vectors, candidates.probabilities
        assert vectors is not None
        assert p is not None
        mean = np.maximum((vectors @ vectors.T).mean(axis=1), 0)
        got = Density(beta=2.0).select(candidates, 60, seed=0)
        place = np.searchsorted(candidates.rows, got.rows)
        np.testing.assert_allclose(got.utilities, (entropy(p) * mean**2)[place], atol=1e-5)

    def test_takes_several_labels_an_item(self) -> None:
        p = np.zeros((50, 4), dtype=np.float32)
        p[7:9, 2] = 0.5
        alike = unit(np.ones((50, 8)))
        several = replace(pool(50, labelled=0), multi_label=True, probabilities=p, vectors=alike)
        assert set(self.one.select(several, 2, seed=0).rows) == set(several.rows[7:9])


class TestExpectedGradient(ByProbability):
    name = "expected_gradient"

    def test_utility_is_the_expected_length_of_the_gradient(self) -> None:
        candidates = pool(60)
        p, vectors = candidates.probabilities, candidates.vectors
        assert p is not None
        assert vectors is not None
        expected = np.zeros(60)
        for item in range(60):
            for label in range(4):
                gradient = np.outer(p[item] - np.eye(4)[label], vectors[item])
                expected[item] += p[item, label] * np.linalg.norm(gradient)
        got = self.one.select(candidates, 60, seed=0)
        place = np.searchsorted(candidates.rows, got.rows)
        np.testing.assert_allclose(got.utilities, expected[place], rtol=1e-4)
        assert (np.diff(got.utilities) <= 0).all()


class TestRegion(LooksAtProbabilities, LooksAtVectors):
    name = "region"

    def mixed(self) -> Candidates:
        """Four clusters of 50: sure, unsure of one class, as unsure of mixed classes, sure."""
        p = np.tile(np.array([0.6, 0.4], dtype=np.float32), (200, 1))
        p[:50] = p[150:] = [0.98, 0.02]
        p[100:150:2] = [0.4, 0.6]
        return replace(self.planted(), probabilities=p)

    def test_begins_where_the_model_is_unsure_and_of_more_than_one_mind(self) -> None:
        four = RegionUncertainty(regions=4, share=1.0)
        for seed in range(5):
            picks = four.select(self.mixed(), 20, seed=seed).rows
            assert (picks[:10] // 50 == 2).all()
            assert (picks[10:] // 50 == 1).all()

    def test_a_region_gives_no_more_than_its_share_before_all_have_given(self) -> None:
        four = RegionUncertainty(regions=4, share=0.04)
        for seed in range(5):
            picks = four.select(self.mixed(), 16, seed=seed).rows // 50
            assert np.bincount(picks[:8], minlength=4).tolist() == [2, 2, 2, 2]
            assert np.bincount(picks, minlength=4).tolist() == [4, 4, 4, 4]

    def test_within_a_region_the_least_sure_come_first(self) -> None:
        candidates = self.mixed()
        assert candidates.probabilities is not None
        p = candidates.probabilities.copy()
        p[[103, 120, 141]] = 0.5
        one = RegionUncertainty(regions=4, share=1.0)
        picks = one.select(replace(candidates, probabilities=p), 3, seed=0).rows
        assert sorted(picks) == [103, 120, 141]

    def test_says_that_it_saw_a_sample(self) -> None:
        full = pool(400)
        source = CountingSource(full)
        got = RegionUncertainty(limit=60).select(Candidates(full.rows, source=source), 9, seed=1)
        self.check(got, full, 9)
        assert len(source.asked["vectors"][0]) == len(source.asked["probabilities"][0]) == 60
        assert "a seeded sample of 60 of 400 items" in got.reason


class TestLabelDescriptions(LooksAtVectors):
    name = "label_descriptions"

    def described(self) -> Candidates:
        """The planted clusters, the first three described and nothing labelled."""
        return replace(
            self.planted(),
            labelled_vectors=None,
            label_vectors=unit(np.eye(4, 16)[:3] + 0.02),
        )

    @pytest.mark.parametrize("seed", range(5))
    def test_takes_as_many_of_each_described_label_and_nothing_else(self, seed: int) -> None:
        picks = self.one.select(self.described(), 12, seed=seed).rows // 50
        for turn in picks.reshape(4, 3):
            assert sorted(turn) == [0, 1, 2]

    def test_labels_with_fewer_labelled_items_come_first(self) -> None:
        known = replace(
            self.described(),
            labelled_rows=np.array([900, 901, 902]),
            labels=np.array([0, 0, 1]),
            labelled_vectors=unit(np.eye(4, 16)[[0, 0, 1]] + 0.01),
        )
        picks = self.one.select(known, 3, seed=0).rows // 50
        assert picks[0] == 2
        assert sorted(picks) == [1, 2, 2]

    def test_copies_of_the_nearest_item_are_not_all_taken(self) -> None:
        # Ten copies of the item nearest to one description, and twenty others a bit further.
        rng = np.random.default_rng(0)
        near = np.array([0.7, 0.71, 0.0, 0.0, 0.0, 0.0])
        others = np.concatenate(
            [np.full((20, 1), 0.65), np.zeros((20, 1)), rng.standard_normal((20, 4))], axis=1
        )
        others[:, 2:] *= 0.76 / np.linalg.norm(others[:, 2:], axis=1, keepdims=True)
        vectors = unit(np.concatenate([np.tile(near, (10, 1)), others]))
        candidates = Candidates(np.arange(30), vectors, label_vectors=unit(np.eye(1, 6)), classes=1)
        assert (self.one.select(candidates, 5, seed=0).rows < 10).sum() == 1
        assert (LabelDescriptions(apart=0.0).select(candidates, 5, seed=0).rows < 10).all()

    def test_gives_all_where_every_label_has_one_description(self) -> None:
        candidates = pool(90)
        assert candidates.label_vectors is not None
        alike = replace(candidates, label_vectors=candidates.label_vectors[[0, 0, 0, 0]])
        few = LabelDescriptions(breadth=2)
        self.check(few.select(alike, 70, seed=0), alike, 70)

    def test_fewer_items_than_labels_are_shared_out_by_the_seed(self) -> None:
        found = {tuple(self.one.select(self.described(), 2, seed=s).rows // 50) for s in range(20)}
        assert len(found) > 2

    def test_refuses_descriptions_of_another_encoder(self) -> None:
        with pytest.raises(UserError, match="same encoder"):
            self.one.select(replace(pool(5), label_vectors=unit(np.ones((4, 3)))), 2, seed=0)

    def test_refuses_descriptions_of_other_lengths(self) -> None:
        full = pool(5)
        assert full.label_vectors is not None
        with pytest.raises(UserError, match=r"label_vectors\[0\] has squared length"):
            self.one.select(replace(full, label_vectors=2 * full.label_vectors), 2, seed=0)

    def test_refuses_a_task_without_labels(self) -> None:
        none = replace(pool(5), label_vectors=np.empty((0, 8), dtype=np.float32), labels=None)
        with pytest.raises(UserError, match="no label is described"):
            self.one.select(none, 2, seed=0)


@pytest.mark.parametrize("name", sorted(MULTI_LABEL_MEASURES))
def test_with_several_labels_an_item_the_measure_is_of_each_label(name: str) -> None:
    p = np.random.default_rng(0).random((200, 4)).astype(np.float32)
    several = replace(pool(200, labelled=0), probabilities=p, multi_label=True)
    got = strategy(name).select(several, 15, seed=0)
    expected = np.sort(MULTI_LABEL_MEASURES[name](p))[::-1][:15]
    np.testing.assert_array_equal(got.utilities, expected)
