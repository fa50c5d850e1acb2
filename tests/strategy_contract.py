"""The contract of all acquisition strategies: one template that the tests of each inherit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from advising import adviser
from labelwright.store.errors import UserError
from labelwright.tools.llm_selection.adviser import Adviser
from labelwright.tools.strategies import STRATEGIES, Candidates, Need, Selection, Strategy, strategy
from labelwright.tools.uncertainty import MEASURES
from numpy.typing import NDArray

ADVISER = adviser()
_WORDS = ("when", "does", "my", "new", "card", "parcel", "refund", "arrive", "fail", "cost")


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def pool(n: int, *, seed: int = 0, labelled: int = 6, d: int = 8, classes: int = 4) -> Candidates:
    """A pool of n with gaps in the row numbers, all that a strategy may need known."""
    rng = np.random.default_rng(seed)
    found = Candidates(
        rows=np.sort(rng.choice(10 * n + 10, size=n, replace=False)).astype(np.int64),
        vectors=unit(rng.standard_normal((n, d))),
        probabilities=rng.dirichlet(np.ones(classes), n).astype(np.float32),
        labelled_vectors=unit(rng.standard_normal((labelled, d))) if labelled else None,
        labelled_probabilities=(
            rng.dirichlet(np.ones(classes), labelled).astype(np.float32) if labelled else None
        ),
        classes=classes,
    )
    return replace(
        found,
        samples=rng.dirichlet(np.ones(classes), (5, n)).astype(np.float32),
        texts=tuple(" ".join(words) for words in rng.choice(_WORDS, (n, 6), replace=True).tolist()),
        costs=rng.uniform(1.0, 3.0, n).astype(np.float32),
        labelled_rows=np.arange(labelled) + 10 * n + 10,
        labels=rng.integers(0, classes, labelled),
        label_vectors=unit(rng.standard_normal((classes, d))),
        adviser=ADVISER,
    )


def without(candidates: Candidates, taken: NDArray[np.int64]) -> Candidates:
    """The next round: the taken rows are labelled with their most probable label."""
    here = np.isin(candidates.rows, taken)
    mine = candidates.at(np.flatnonzero(here))
    assert mine.probabilities is not None
    return replace(
        candidates.at(np.flatnonzero(~here)),
        labelled_rows=_joined(candidates.labelled_rows, mine.rows),
        labels=_joined(candidates.labels, mine.probabilities.argmax(axis=1)),
        labelled_vectors=_joined(candidates.labelled_vectors, mine.vectors),
        labelled_probabilities=_joined(candidates.labelled_probabilities, mine.probabilities),
    )


def _joined(known: NDArray[Any] | None, more: NDArray[Any] | None) -> NDArray[Any] | None:
    return more if known is None or more is None else np.concatenate([known, more])


def lacking(candidates: Candidates, need: Need) -> Candidates:
    """As they are, without what is needed."""
    absent: dict[str, Any] = {need: None}
    return replace(candidates, **absent)


def bare(candidates: Candidates, needs: frozenset[Need]) -> Candidates:
    """The rows and what is needed, and nothing else."""
    kept: dict[str, Any] = {need: getattr(candidates, need) for need in needs}
    return Candidates(candidates.rows, **kept)


@dataclass
class CountingSource:
    """Gives what a pool of `pool` holds, and remembers for which rows it was asked."""

    full: Candidates
    asked: dict[str, list[NDArray[np.int64]]] = field(default_factory=dict)
    has_model: bool = True

    def _found(self, need: Need, rows: NDArray[np.int64]) -> Candidates:
        self.asked.setdefault(need, []).append(rows)
        return self.full.at(np.searchsorted(self.full.rows, rows))

    def label_vectors(self) -> NDArray[np.float32]:
        self.asked.setdefault("label_vectors", []).append(np.empty(0, dtype=np.int64))
        assert self.full.label_vectors is not None
        return self.full.label_vectors

    def adviser(self) -> Adviser:
        self.asked.setdefault("adviser", []).append(np.empty(0, dtype=np.int64))
        assert self.full.adviser is not None
        return self.full.adviser

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        found = self._found("vectors", rows).vectors
        assert found is not None
        return found

    def probabilities(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        found = self._found("probabilities", rows).probabilities
        assert found is not None
        return found

    def samples(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        found = self._found("samples", rows).samples
        assert found is not None
        return found

    def texts(self, rows: NDArray[np.int64]) -> Sequence[str]:
        found = self._found("texts", rows).texts
        assert found is not None
        return found


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
        none = pool(4).at(np.empty(0, dtype=np.int64))
        self.check(self.one.select(none, 2, seed=0), none, 2)

    def test_same_seed_same_picks(self) -> None:
        first, again = (self.one.select(pool(80), 9, seed=5) for _ in range(2))
        np.testing.assert_array_equal(first.rows, again.rows)
        np.testing.assert_array_equal(first.utilities, again.utilities)
        assert first.reason == again.reason

    def test_does_not_depend_on_the_order_of_candidates(self) -> None:
        candidates = pool(80)
        shuffled = candidates.at(np.random.default_rng(9).permutation(80))
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
            samples=np.full((5, 30, 4), 0.25, dtype=np.float32),
            texts=("the same",) * 30,
        )
        self.check(self.one.select(candidates, 11, seed=0), candidates, 11)

    def test_leaves_its_input_alone(self) -> None:
        candidates, copy = pool(30), pool(30)
        self.one.select(candidates, 5, seed=0)
        for each in fields(Candidates):
            np.testing.assert_array_equal(getattr(candidates, each.name), getattr(copy, each.name))

    def test_works_with_its_needs_alone(self) -> None:
        needed = bare(pool(30), self.one.needs)
        self.check(self.one.select(needed, 4, seed=0), needed, 4)

    def test_fetches_what_it_needs_and_chooses_the_same(self) -> None:
        full, source = pool(30), CountingSource(pool(30))
        got = self.one.select(Candidates(full.rows, source=source), 4, seed=0)
        known = self.one.select(bare(full, self.one.needs), 4, seed=0)
        np.testing.assert_array_equal(got.rows, known.rows)
        assert set(source.asked) == self.one.needs
        for asked in source.asked.values():
            rows = np.concatenate(asked)
            assert len(np.unique(rows)) == len(rows)

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


class LooksAtSamples(StrategyContract):
    """Contract of those that look at draws of the model."""

    def test_refuses_samples_of_another_number(self) -> None:
        full = pool(5)
        assert full.samples is not None
        with pytest.raises(UserError, match="samples have shape"):
            self.one.select(replace(full, samples=full.samples[:, :4]), 2, seed=0)

    def test_refuses_a_single_draw(self) -> None:
        full = pool(5)
        assert full.samples is not None
        with pytest.raises(UserError, match="at least two members"):
            self.one.select(replace(full, samples=full.samples[:1]), 2, seed=0)

    def test_names_the_draw_and_the_row_without_a_prediction(self) -> None:
        full = pool(5)
        assert full.samples is not None
        broken = full.samples.copy()
        broken[3, 2] = 0
        with pytest.raises(UserError, match=r"member 3.*row 2 of the probabilities"):
            self.one.select(replace(full, samples=broken), 2, seed=0)

    def test_takes_what_the_draws_differ_on_and_not_what_all_doubt(self) -> None:
        """Rows 0-9: each draw sure, of one class or the other; the rest: all draws at even odds."""
        split = np.tile(np.array([[0.95, 0.05], [0.05, 0.95]]), (3, 1))
        samples = np.full((6, 100, 2), 0.5, dtype=np.float32)
        samples[:, :10] = split[:, None, :]
        candidates = Candidates(
            np.arange(100),
            unit(np.random.default_rng(0).standard_normal((100, 4))),
            samples.mean(axis=0),
            samples=samples,
        )
        for seed in range(5):
            # Two of one question tell all there is: a joint criterion takes no more of them.
            assert (self.one.select(candidates, 2, seed=seed).rows < 10).all()


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
