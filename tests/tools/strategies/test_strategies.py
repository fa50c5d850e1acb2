"""One contract for all strategies, and what each promises beyond it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.strategies import STRATEGIES, Candidates, Need, Selection, Strategy, strategy
from labelwright.tools.strategies.cluster import Cluster
from labelwright.tools.strategies.diverse import UncertaintyDiversity
from labelwright.tools.uncertainty import MEASURES, margin
from numpy.typing import NDArray


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def pool(n: int, *, seed: int = 0, labelled: int = 6, d: int = 8, classes: int = 4) -> Candidates:
    """A pool of n with gaps in the row numbers, all fields known."""
    rng = np.random.default_rng(seed)
    return Candidates(
        rows=np.sort(rng.choice(10 * n + 10, size=n, replace=False)).astype(np.int64),
        vectors=unit(rng.standard_normal((n, d))),
        probabilities=rng.dirichlet(np.ones(classes), n).astype(np.float32),
        labelled_vectors=unit(rng.standard_normal((labelled, d))) if labelled else None,
    )


def reordered(candidates: Candidates, order: NDArray[np.int64]) -> Candidates:
    assert candidates.vectors is not None
    assert candidates.probabilities is not None
    return Candidates(
        candidates.rows[order],
        candidates.vectors[order],
        candidates.probabilities[order],
        candidates.labelled_vectors,
    )


def without(candidates: Candidates, taken: NDArray[np.int64]) -> Candidates:
    """The next round: the taken rows are labelled."""
    assert candidates.vectors is not None
    left = np.flatnonzero(~np.isin(candidates.rows, taken))
    mine = candidates.vectors[np.isin(candidates.rows, taken)]
    known = candidates.labelled_vectors
    labelled = mine if known is None else np.concatenate([known, mine])
    return replace(reordered(candidates, left), labelled_vectors=labelled)


def lacking(candidates: Candidates, need: Need) -> Candidates:
    if need == "vectors":
        return replace(candidates, vectors=None)
    return replace(candidates, probabilities=None)


class StrategyContract:
    """What every strategy promises; inherit it and name the strategy."""

    name: ClassVar[str]

    @property
    def one(self) -> Strategy:
        return strategy(self.name)

    def check(self, selection: Selection, candidates: Candidates, k: int) -> None:
        assert len(selection.rows) == min(k, len(candidates))
        assert len(np.unique(selection.rows)) == len(selection.rows)
        assert np.isin(selection.rows, candidates.rows).all()
        assert selection.rows.dtype == np.int64
        assert selection.utilities.shape == selection.rows.shape
        assert selection.utilities.dtype == np.float32
        assert np.isfinite(selection.utilities).all()

    @pytest.mark.parametrize("n", [1, 3, 60])
    @pytest.mark.parametrize("k", [1, 2, 7, 59, 60, 200])
    @pytest.mark.parametrize("labelled", [0, 5])
    def test_gives_exactly_k_distinct_candidates_or_all(
        self, n: int, k: int, labelled: int
    ) -> None:
        candidates = pool(n, labelled=labelled)
        self.check(self.one.select(candidates, k, seed=3), candidates, k)

    def test_gives_none_of_no_candidates(self) -> None:
        none = reordered(pool(4), np.empty(0, dtype=np.int64))
        self.check(self.one.select(none, 2, seed=0), none, 2)

    def test_same_seed_same_picks(self) -> None:
        first, again = (self.one.select(pool(80), 9, seed=5) for _ in range(2))
        np.testing.assert_array_equal(first.rows, again.rows)
        np.testing.assert_array_equal(first.utilities, again.utilities)
        assert first.reason == again.reason

    def test_does_not_depend_on_the_order_of_candidates(self) -> None:
        candidates = pool(80)
        shuffled = reordered(candidates, np.random.default_rng(9).permutation(80))
        picks = [self.one.select(some, 9, seed=5).rows for some in (candidates, shuffled)]
        np.testing.assert_array_equal(picks[0], picks[1])

    def test_three_rounds_never_take_a_row_twice(self) -> None:
        candidates = pool(40, labelled=0)
        taken: list[int] = []
        for seed in range(3):
            selection = self.one.select(candidates, 8, seed=seed)
            self.check(selection, candidates, 8)
            taken += selection.rows.tolist()
            candidates = without(candidates, selection.rows)
        assert len(set(taken)) == 24

    def test_gives_k_where_all_texts_are_the_same(self) -> None:
        candidates = replace(
            pool(30),
            vectors=np.tile(np.eye(1, 8, dtype=np.float32), (30, 1)),
            probabilities=np.full((30, 4), 0.25, dtype=np.float32),
        )
        self.check(self.one.select(candidates, 11, seed=0), candidates, 11)

    def test_leaves_its_input_alone(self) -> None:
        candidates, copy = pool(30), pool(30)
        self.one.select(candidates, 5, seed=0)
        for field in ("rows", "vectors", "probabilities", "labelled_vectors"):
            np.testing.assert_array_equal(getattr(candidates, field), getattr(copy, field))

    def test_works_with_its_needs_alone(self) -> None:
        full = pool(30)
        bare = Candidates(
            full.rows,
            full.vectors if "vectors" in self.one.needs else None,
            full.probabilities if "probabilities" in self.one.needs else None,
        )
        self.check(self.one.select(bare, 4, seed=0), bare, 4)

    def test_names_a_missing_need(self) -> None:
        for need in self.one.needs:
            with pytest.raises(UserError, match=f"'{self.name}' needs '{need}'"):
                self.one.select(lacking(pool(5), need), 2, seed=0)

    @pytest.mark.parametrize("k", [0, -3])
    def test_refuses_to_choose_none(self, k: int) -> None:
        with pytest.raises(UserError, match=f"k={k}.*at least 1"):
            self.one.select(pool(5), k, seed=0)

    def test_refuses_repeated_rows(self) -> None:
        with pytest.raises(UserError, match="not distinct"):
            self.one.select(replace(pool(3), rows=np.array([4, 4, 5])), 2, seed=0)

    def test_reason_is_a_sentence_with_the_number_of_picks(self) -> None:
        reason = self.one.select(pool(30), 7, seed=0).reason
        assert reason.endswith(".")
        assert "7" in reason
        assert "30" in reason

    def test_is_registered_under_its_name(self) -> None:
        assert self.one.name == self.name
        assert STRATEGIES[self.name] is self.one


class ByProbability(StrategyContract):
    """Contract of those that look at probabilities: they stay near the boundary."""

    def test_takes_the_boundary(self) -> None:
        angle = np.linspace(0, np.pi, 401)
        right = (0.5 + 0.5 * np.cos(angle)).astype(np.float32)
        candidates = Candidates(
            np.arange(401),
            unit(np.stack([np.cos(angle), np.sin(angle)], axis=1)),
            np.stack([right, 1 - right], axis=1),
        )
        picks = self.one.select(candidates, 5, seed=0).rows
        assert (np.abs(picks - 200) <= 50).all()

    def test_refuses_a_row_without_a_prediction(self) -> None:
        full = pool(5)
        assert full.probabilities is not None
        broken = full.probabilities.copy()
        broken[2] = 0
        with pytest.raises(UserError, match="row 2 of the probabilities"):
            self.one.select(replace(full, probabilities=broken), 2, seed=0)


class ByUncertaintyAlone(ByProbability):
    def test_takes_the_largest_in_falling_order(self) -> None:
        candidates = pool(300)
        assert candidates.probabilities is not None
        everything = np.sort(MEASURES[self.name](candidates.probabilities))[::-1]
        got = self.one.select(candidates, 20, seed=1)
        np.testing.assert_array_equal(got.utilities, everything[:20])

    def test_breaks_ties_by_the_seed(self) -> None:
        even = replace(pool(200), probabilities=np.full((200, 4), 0.25, dtype=np.float32))
        picks = {tuple(self.one.select(even, 3, seed=seed).rows) for seed in range(5)}
        assert len(picks) == 5


class ByVector(StrategyContract):
    """Contract of those that look at vectors: they find what no label covers."""

    def planted(self) -> Candidates:
        """Four clusters of 50 (rows 0-49, …); the first three have a labelled item each."""
        rng = np.random.default_rng(2)
        points = np.repeat(np.eye(4, 16), 50, axis=0) + 0.05 * rng.standard_normal((200, 16))
        known = np.eye(4, 16)[:3] + 0.05 * rng.standard_normal((3, 16))
        return Candidates(
            np.arange(200), unit(points), np.full((200, 2), 0.5, np.float32), unit(known)
        )

    def test_refuses_vectors_of_other_lengths(self) -> None:
        full = pool(5)
        assert full.vectors is not None
        with pytest.raises(UserError, match=r"vectors\[0\] has squared length"):
            self.one.select(replace(full, vectors=3 * full.vectors), 2, seed=0)

    def test_refuses_vectors_of_another_number(self) -> None:
        full = pool(5)
        assert full.vectors is not None
        with pytest.raises(UserError, match="vectors have shape"):
            self.one.select(replace(full, vectors=full.vectors[:4]), 2, seed=0)

    def test_takes_one_of_every_cluster_when_nothing_is_labelled(self) -> None:
        fresh = replace(self.planted(), labelled_vectors=None)
        for seed in range(5):
            picks = self.one.select(fresh, 4, seed=seed).rows
            assert sorted(picks // 50) == [0, 1, 2, 3]


class Covering(ByVector):
    def test_first_pick_is_in_the_uncovered_cluster(self) -> None:
        for seed in range(5):
            assert self.one.select(self.planted(), 1, seed=seed).rows[0] >= 150

    def test_refuses_labelled_vectors_of_another_width(self) -> None:
        with pytest.raises(UserError, match="same encoder"):
            self.one.select(replace(pool(5), labelled_vectors=unit(np.ones((2, 3)))), 2, seed=0)


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
    tested = {
        value.name
        for value in globals().values()
        if isinstance(value, type) and issubclass(value, StrategyContract) and "name" in vars(value)
    }
    assert tested == set(STRATEGIES)


def test_an_unknown_strategy_gets_the_list() -> None:
    with pytest.raises(UserError, match=r"'coreset'.*random.*uncertainty_diversity"):
        strategy("coreset")
