"""Strategies that need a model and vectors: what each promises beyond the contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.strategies import Candidates, strategy
from labelwright.tools.strategies.cluster_margin import ClusterMargin
from labelwright.tools.strategies.contrastive import Contrastive
from labelwright.tools.strategies.ranked_batch import RankedBatch
from labelwright.tools.uncertainty import margin
from numpy.typing import NDArray
from strategy_contract import (
    ByProbability,
    ByVector,
    Covering,
    LooksAtProbabilities,
    LooksAtVectors,
    pool,
    unit,
)


def known(candidates: Candidates) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    assert candidates.vectors is not None
    assert candidates.probabilities is not None
    return candidates.vectors, candidates.probabilities


def two_class(first: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.stack([first, 1 - first], axis=1).astype(np.float32)


class TestBadge(LooksAtProbabilities, LooksAtVectors):
    name = "badge"

    def test_each_pick_is_drawn_by_its_distance_in_the_full_gradient_space(self) -> None:
        candidates = pool(60, labelled=0)
        vectors, p = known(candidates)
        a = p - np.eye(4)[p.argmax(axis=1)]
        full = (a[:, :, None] * vectors[:, None, :]).reshape(60, -1)
        got = self.one.select(candidates, 20, seed=0)
        picks = np.searchsorted(candidates.rows, got.rows)
        for place, pick in enumerate(picks):
            before = full[picks[:place]] if place else np.zeros((1, full.shape[1]))
            squared = ((full[pick] - before) ** 2).sum(axis=1).min()
            assert got.utilities[place] == pytest.approx(squared, rel=1e-3, abs=1e-5)

    def test_draws_in_proportion_to_squared_distance(self) -> None:
        # Gradients of lengths 1 : 2, so 1 : 4 in the first draw.
        p = two_class(np.array([0.9, 0.8]))
        candidates = Candidates(np.arange(2), np.eye(2, dtype=np.float32), p)
        second = sum(self.one.select(candidates, 1, seed=seed).rows[0] for seed in range(1000))
        # 800 expected, standard deviation 12.6: five of them.
        assert abs(second - 800) < 64

    def test_third_draws_are_in_proportion_too_though_bounds_are_old(self) -> None:
        # After picks in two places of many, all old bounds in the second are too high.
        vectors = np.repeat(unit(np.array([[1.0, 0, 0], [0, 1, 0], [0, 0.6, 0.8]])), 40, axis=0)
        p = two_class(np.full(120, 0.5))
        third = []
        for seed in range(400):
            got = self.one.select(Candidates(np.arange(120), vectors, p), 3, seed=seed)
            first, second, last = got.rows // 40
            if (first, second) == (0, 1):
                third.append(last)
                assert got.utilities[2] == pytest.approx(0.5 * (2 - 2 * 0.6), abs=1e-5)
        assert len(third) > 40
        assert set(third) == {2}

    def test_first_two_draws_are_as_often_as_their_distances_say(self) -> None:
        # From (1, 0) the squared distances are 2 and 0.8, each times the same square of 0.5.
        vectors = unit(np.array([[1.0, 0], [0, 1], [0.6, 0.8]]))
        p = two_class(np.array([0.5, 0.5, 0.5]))
        drawn = [
            self.one.select(Candidates(np.arange(3), vectors, p), 2, seed=seed).rows.tolist()
            for seed in range(1500)
        ]
        after = [second for first, second in drawn if first == 0]
        # 2 of 2.8, of about 500: standard deviation 0.02.
        assert np.mean([second == 1 for second in after]) == pytest.approx(2 / 2.8, abs=0.1)

    def test_the_origin_is_no_centre_after_the_first_pick(self) -> None:
        # A peer keeps the origin, and then items without a gradient can never be drawn.
        p = two_class(np.array([1.0, 1.0, 1.0, 0.5]))
        vectors = np.eye(4, dtype=np.float32)
        for seed in range(20):
            got = self.one.select(Candidates(np.arange(4), vectors, p), 2, seed=seed)
            assert got.rows[0] == 3
            assert got.utilities[1] == pytest.approx(0.5)

    def test_repeated_texts_are_never_drawn_twice(self) -> None:
        # What rounding leaves of the distance between copies is no reason to draw one again.
        two = pool(2, d=384)
        vectors, p = known(two)
        many = Candidates(np.arange(60), np.tile(vectors, (30, 1)), np.tile(p, (30, 1)))
        for seed in range(5):
            self.check(self.one.select(many, 60, seed=seed), many, 60)

    def test_the_seed_decides_and_nothing_else(self) -> None:
        # A peer draws from the machine's entropy: three runs, three batches.
        candidates = pool(300)
        first = self.one.select(candidates, 10, seed=1).rows
        np.random.default_rng().random()
        np.testing.assert_array_equal(first, self.one.select(candidates, 10, seed=1).rows)
        assert set(first) != set(self.one.select(candidates, 10, seed=2).rows)

    def test_finds_the_unsure_clusters_and_at_most_one_sure_item(self) -> None:
        # Items without a gradient lie in one place, the origin: worth one draw, and no second.
        planted = self.planted()
        sure = np.full(200, 1.0)
        sure[::10] = 0.55
        p = two_class(sure)
        found = []
        for seed in range(20):
            picks = self.one.select(replace(planted, probabilities=p), 5, seed=seed).rows
            assert (picks % 10 != 0).sum() <= 1
            found.append(len(set(picks[picks % 10 == 0] // 50)))
        assert np.mean(found) >= 3.5


class TestContrastive(LooksAtProbabilities, LooksAtVectors):
    name = "contrastive"

    def test_utility_is_the_mean_divergence_of_the_paper(self) -> None:
        candidates = pool(60, labelled=25)
        vectors, p = known(candidates)
        theirs = candidates.labelled_probabilities
        assert candidates.labelled_vectors is not None
        assert theirs is not None
        near = np.argsort(-(vectors @ candidates.labelled_vectors.T), axis=1)[:, :10]
        each = theirs[near] * (np.log(theirs[near]) - np.log(p)[:, None, :])
        expected = each.sum(axis=2).mean(axis=1)
        got = self.one.select(candidates, 60, seed=0)
        place = np.searchsorted(candidates.rows, got.rows)
        np.testing.assert_allclose(got.utilities, expected[place], rtol=1e-3, atol=1e-5)
        assert (np.diff(got.utilities) <= 0).all()
        assert "25 labelled items" in got.reason

    def test_takes_what_is_judged_unlike_its_neighbours(self) -> None:
        planted = self.planted()
        first = np.repeat([0.95, 0.05, 0.95, 0.05], 50)
        odd = [7, 66, 121, 180]
        first[odd] = 1 - first[odd]
        picks = self.one.select(replace(planted, probabilities=two_class(first)), 4, seed=0)
        assert sorted(picks.rows) == odd
        assert "too few labelled items have predictions" in picks.reason

    def test_an_item_is_not_its_own_neighbour(self) -> None:
        planted = self.planted()
        first = np.full(200, 0.9)
        first[30] = 0.1
        one = Contrastive(neighbours=1)
        got = one.select(replace(planted, probabilities=two_class(first)), 1, seed=0)
        # KL of 0.9 from 0.1, in nats.
        assert got.utilities[0] == pytest.approx(0.8 * np.log(9), rel=1e-3)

    def test_neighbours_among_all_candidates_are_those_of_the_plain_table(self) -> None:
        candidates = pool(2600, labelled=0)
        vectors, p = known(candidates)
        cosine = vectors @ vectors.T
        np.fill_diagonal(cosine, -2)
        near = np.argsort(-cosine, axis=1)[:, :10]
        expected = (p[near] * (np.log(p[near]) - np.log(p)[:, None, :])).sum(axis=2).mean(axis=1)
        got = self.one.select(candidates, 30, seed=0)
        place = np.searchsorted(candidates.rows, got.rows)
        np.testing.assert_allclose(got.utilities, expected[place], rtol=1e-3, atol=1e-5)
        assert got.utilities[-1] == pytest.approx(np.sort(expected)[-30], rel=1e-3)

    def test_blocks_and_samples_keep_the_promises(self) -> None:
        candidates = pool(9000, labelled=0)
        got = Contrastive(limit=700).select(candidates, 20, seed=0)
        self.check(got, candidates, 20)
        assert "700 candidates" in got.reason


class TestClusterMargin(ByProbability, ByVector):
    name = "cluster_margin"

    def test_every_pick_is_among_the_most_uncertain(self) -> None:
        candidates = pool(500)
        u = margin(known(candidates)[1])
        got = self.one.select(candidates, 5, seed=0)
        assert (got.utilities >= np.sort(u)[::-1][49]).all()
        np.testing.assert_array_equal(got.utilities, u[np.searchsorted(candidates.rows, got.rows)])

    def test_clusters_take_turns_the_smallest_first(self) -> None:
        # 60 uncertain items in clusters of 40, 15 and 5, asked for six: two of each.
        rng = np.random.default_rng(0)
        points = unit(np.repeat(np.eye(3, 8), [40, 15, 5], axis=0) + 0.02 * rng.random((60, 8)))
        candidates = Candidates(np.arange(60), points, np.full((60, 2), 0.5, np.float32))
        picks = ClusterMargin(share=0.5).select(candidates, 6, seed=0).rows
        groups = np.searchsorted([40, 55], picks, side="right")
        assert groups.tolist() == [2, 1, 0, 2, 1, 0]

    def test_beta_of_one_is_margin(self) -> None:
        candidates = pool(100)
        got = ClusterMargin(beta=1).select(candidates, 6, seed=0)
        assert set(got.rows) == set(strategy("margin").select(candidates, 6, seed=0).rows)


class TestDeterminantalPoints(LooksAtProbabilities, Covering):
    name = "dpp"

    def test_each_pick_has_the_largest_determinant(self) -> None:
        candidates = pool(50, labelled=3, d=6)
        vectors, p = known(candidates)
        assert candidates.labelled_vectors is not None
        q = 0.05 + 0.95 * margin(p)
        b = np.concatenate([q[:, None] * vectors, candidates.labelled_vectors]).astype(np.float64)
        kernel = b @ b.T + 0.01 * np.eye(53)
        got = self.one.select(candidates, 12, seed=0)
        chosen = [50, 51, 52]
        for row, utility in zip(got.rows, got.utilities, strict=True):
            now = np.linalg.det(kernel[np.ix_(chosen, chosen)])
            more = np.array(
                [
                    0.0
                    if item in chosen
                    else np.linalg.det(kernel[np.ix_([*chosen, item], [*chosen, item])])
                    for item in range(50)
                ]
            )
            pick = int(np.searchsorted(candidates.rows, row))
            assert more[pick] == pytest.approx(more.max(), rel=1e-3)
            assert utility + 0.01 == pytest.approx(more.max() / now, rel=1e-2)
            chosen.append(pick)

    def test_takes_more_items_than_there_are_dimensions(self) -> None:
        candidates = pool(80, d=3)
        self.check(self.one.select(candidates, 40, seed=0), candidates, 40)

    def test_sure_items_come_last(self) -> None:
        planted = replace(self.planted(), labelled_vectors=None)
        first = np.full(200, 0.99)
        first[[5, 60, 110, 170]] = 0.5
        picks = self.one.select(replace(planted, probabilities=two_class(first)), 4, seed=0).rows
        assert sorted(picks) == [5, 60, 110, 170]


class TestRankedBatch(LooksAtProbabilities, Covering):
    name = "ranked_batch"

    @pytest.mark.parametrize("labelled", [0, 7])
    def test_is_the_ranking_of_the_paper(self, labelled: int) -> None:
        candidates = pool(70, labelled=labelled, d=5)
        vectors, p = known(candidates)
        v = vectors.astype(np.float64)
        covered = np.empty((0, 5))
        got = self.one.select(candidates, 30, seed=0)
        picks = np.searchsorted(candidates.rows, got.rows).tolist()
        taken: list[int] = []
        if labelled:
            assert candidates.labelled_vectors is not None
            covered = candidates.labelled_vectors.astype(np.float64)
        else:
            # The start: the item that is nearest to all on average.
            apart = np.linalg.norm(v[:, None] - v[None], axis=2).mean(axis=1)
            assert picks[0] == int(np.argmin(apart))
            assert got.utilities[0] == 1
            taken, covered = picks[:1], v[picks[:1]]
        for pick, utility in list(zip(picks, got.utilities, strict=True))[len(taken) :]:
            nearest = np.linalg.norm(v[:, None] - covered[None], axis=2).min(axis=1)
            left = (70 - len(taken)) / (70 - len(taken) + len(covered))
            score = left * (1 - 1 / (1 + nearest)) + (1 - left) * (1 - p.max(axis=1))
            score[taken] = -1
            assert pick == int(np.argmax(score))
            assert utility == pytest.approx(score.max(), abs=1e-5)
            taken.append(pick)
            covered = np.concatenate([covered, v[[pick]]])

    def test_the_start_is_not_taken_again(self) -> None:
        # A peer keeps it among the candidates and may give it twice.
        p = two_class(np.array([0.5, 1.0, 1.0]))
        vectors = unit(np.array([[1.0, 0.0], [1.0, 0.1], [1.0, -0.1]]))
        got = self.one.select(Candidates(np.arange(3), vectors, p), 3, seed=0)
        assert got.rows[0] == 0
        assert sorted(got.rows) == [0, 1, 2]

    def test_more_labels_give_uncertainty_more_weight(self) -> None:
        planted = self.planted()
        p = two_class(np.where(np.arange(200) == 20, 0.5, 1.0))
        few = self.one.select(replace(planted, probabilities=p), 1, seed=0)
        assert few.rows[0] >= 150
        assert planted.labelled_vectors is not None
        copies = np.repeat(planted.labelled_vectors, 400, axis=0)
        many = self.one.select(
            replace(planted, probabilities=p, labelled_vectors=copies), 1, seed=0
        )
        assert many.rows[0] == 20

    def test_says_that_the_start_was_found_by_a_sample(self) -> None:
        fresh = pool(300, labelled=0)
        got = RankedBatch(limit=50).select(fresh, 9, seed=0)
        self.check(got, fresh, 9)
        assert "nearest on average to 50 of 300" in got.reason


SEVERAL = Candidates(
    rows=np.arange(4),
    vectors=np.eye(4, dtype=np.float32),
    # Rows of several labels do not sum to 1.
    probabilities=np.array([[0.9, 0.9], [0.6, 0.1], [1.0, 0.0], [0.0, 0.0]], dtype=np.float32),
    multi_label=True,
)


class TestSeveralLabelsAnItem:
    def test_badge_draws_by_the_gradient_of_the_likeliest_set(self) -> None:
        # Gradients (-0.1, -0.1), (-0.4, 0.1) and none: squares 0.02 and 0.17.
        drawn = [strategy("badge").select(SEVERAL, 1, seed=seed) for seed in range(600)]
        rows = np.array([each.rows[0] for each in drawn])
        assert set(rows) == {0, 1}
        utilities = {int(each.rows[0]): float(each.utilities[0]) for each in drawn}
        assert utilities == pytest.approx({0: 0.02, 1: 0.17}, abs=1e-6)
        # 537 expected, standard deviation 7.5: five of them.
        assert abs((rows == 1).sum() - 537) < 38

    def test_contrast_adds_up_the_divergences_of_the_labels(self) -> None:
        known_ones = np.array([[0.8, 0.3]], dtype=np.float32)
        given = replace(
            SEVERAL,
            labelled_vectors=np.eye(1, 4, dtype=np.float32),
            labelled_probabilities=known_ones,
        )
        got = Contrastive(neighbours=1).select(given, 4, seed=0)
        p = np.clip(known(SEVERAL)[1].astype(np.float64), 1e-6, 1 - 1e-6)
        expected = (
            known_ones * np.log(known_ones / p)
            + (1 - known_ones) * np.log((1 - known_ones) / (1 - p))
        ).sum(axis=1)
        np.testing.assert_allclose(got.utilities, expected[got.rows], rtol=1e-2)

    def test_ranked_batch_knows_how_likely_the_likeliest_set_is(self) -> None:
        copies = np.repeat(np.eye(1, 4, dtype=np.float32), 4000, axis=0)
        given = replace(
            SEVERAL, vectors=copies[:4], labelled_vectors=copies, labelled_probabilities=None
        )
        assert strategy("ranked_batch").select(given, 4, seed=0).rows.tolist() == [1, 0, 2, 3]


@pytest.mark.parametrize("name", ["badge", "contrastive", "cluster_margin", "dpp", "ranked_batch"])
def test_hybrid_strategies_name_both_needs(name: str) -> None:
    assert strategy(name).needs == {"vectors", "probabilities"}
    bare = replace(pool(5), vectors=None)
    with pytest.raises(UserError, match="embed the pool"):
        strategy(name).select(bare, 2, seed=0)
