"""The contract of all acquisition strategies: one template that the tests of each inherit."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import ClassVar

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.strategies import STRATEGIES, Candidates, Need, Selection, Strategy, strategy
from labelwright.tools.uncertainty import MEASURES
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
        labelled_probabilities=(
            rng.dirichlet(np.ones(classes), labelled).astype(np.float32) if labelled else None
        ),
        classes=classes,
    )


def reordered(candidates: Candidates, order: NDArray[np.int64]) -> Candidates:
    assert candidates.vectors is not None
    assert candidates.probabilities is not None
    return replace(
        candidates,
        rows=candidates.rows[order],
        vectors=candidates.vectors[order],
        probabilities=candidates.probabilities[order],
    )


def without(candidates: Candidates, taken: NDArray[np.int64]) -> Candidates:
    """The next round: the taken rows are labelled."""
    here = np.isin(candidates.rows, taken)
    mine = reordered(candidates, np.flatnonzero(here))
    return replace(
        reordered(candidates, np.flatnonzero(~here)),
        labelled_vectors=_joined(candidates.labelled_vectors, mine.vectors),
        labelled_probabilities=_joined(candidates.labelled_probabilities, mine.probabilities),
    )


def _joined(
    known: NDArray[np.float32] | None, more: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    return more if known is None or more is None else np.concatenate([known, more])


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
        for field in fields(Candidates):
            np.testing.assert_array_equal(
                getattr(candidates, field.name), getattr(copy, field.name)
            )

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


class LooksAtProbabilities(StrategyContract):
    """Contract of those that look at probabilities."""

    def test_refuses_a_row_without_a_prediction(self) -> None:
        full = pool(5)
        assert full.probabilities is not None
        broken = full.probabilities.copy()
        broken[2] = 0
        with pytest.raises(UserError, match="row 2 of the probabilities"):
            self.one.select(replace(full, probabilities=broken), 2, seed=0)


class ByProbability(LooksAtProbabilities):
    """Contract of those that stay near the boundary."""

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


class ByUncertaintyAlone(ByProbability):
    """Contract of those that rank by a measure."""

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


class LooksAtVectors(StrategyContract):
    """Contract of those that look at vectors."""

    def planted(self) -> Candidates:
        """Four clusters of 50 (rows 0-49, …); the first three have a labelled item each."""
        rng = np.random.default_rng(2)
        points = np.repeat(np.eye(4, 16), 50, axis=0) + 0.05 * rng.standard_normal((200, 16))
        known = np.eye(4, 16)[:3] + 0.05 * rng.standard_normal((3, 16))
        return Candidates(
            np.arange(200), unit(points), np.full((200, 2), 0.5, np.float32), unit(known), classes=4
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


class ByVector(LooksAtVectors):
    """Contract of those that spread their picks over the vectors."""

    def test_takes_one_of_every_cluster_when_nothing_is_labelled(self) -> None:
        fresh = replace(self.planted(), labelled_vectors=None)
        for seed in range(5):
            picks = self.one.select(fresh, 4, seed=seed).rows
            assert sorted(picks // 50) == [0, 1, 2, 3]


class Covering(ByVector):
    """Contract of those that find what no label covers."""

    def test_first_pick_is_in_the_uncovered_cluster(self) -> None:
        for seed in range(5):
            assert self.one.select(self.planted(), 1, seed=seed).rows[0] >= 150

    def test_refuses_labelled_vectors_of_another_width(self) -> None:
        with pytest.raises(UserError, match="same encoder"):
            self.one.select(replace(pool(5), labelled_vectors=unit(np.ones((2, 3)))), 2, seed=0)
