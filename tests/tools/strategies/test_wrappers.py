"""The wrappers that narrow: what they show, and that the rest is really not predicted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from labelwright.models.learners import Inputs, Training
from labelwright.models.learners.linear import LinearLearner
from labelwright.store.errors import UserError
from labelwright.tools.strategies import STRATEGIES, WRAPPERS, Candidates, strategy
from labelwright.tools.strategies.wrappers.base import arguments
from numpy.typing import NDArray
from strategy_contract import CountingSource, pool, unit
from support import HashEncoder
from wrapper_contract import Seen, WrapperContract, with_seen


class Narrowing(WrapperContract):
    """Contract of those that show the inner strategy a part."""

    name: ClassVar[str]
    small: ClassVar[str]
    """One that shows at most 40 of 400."""

    def test_predicts_only_what_it_shows(self) -> None:
        full = pool(400)
        source = CountingSource(full)
        candidates = Candidates(
            full.rows,
            labels=np.array([0, 0, 1, 1, 2, 3]),
            labelled_rows=full.rows[:6],
            classes=4,
            source=source,
        ).at(np.arange(6, 400))
        found = strategy(self.small).select(candidates, 7, seed=0)
        self.check(found, candidates, 7)
        asked = np.concatenate(source.asked["probabilities"])
        shown = np.unique(asked)
        assert len(shown) == len(asked) <= 40
        assert np.isin(found.rows, shown).all()
        assert f"of {len(candidates)} items" in found.reason

    def test_shows_k_where_that_is_more(self) -> None:
        candidates = pool(400)
        self.check(strategy(self.small).select(candidates, 300, seed=0), candidates, 300)


class TestSubsampleMargin(Narrowing):
    name = "subsample(margin, 20)"
    small = "subsample(margin, 40)"

    def test_every_item_is_shown_equally_often(self) -> None:
        candidates = pool(10)
        counts = np.zeros(10)
        for seed in range(400):
            picks = strategy("subsample(margin, 3)").select(candidates, 3, seed=seed).rows
            counts[np.searchsorted(candidates.rows, picks)] += 1
        # 120 expected each, standard deviation 9.2: five of them.
        assert (np.abs(counts - 120) < 46).all()


class TestSubsampleKCenter(WrapperContract):
    name = "subsample(k_center, 70)"


class TestSubsampleOfSubsample(WrapperContract):
    name = "subsample(subsample(random, 20), 40)"


class TestSealsMargin(Narrowing):
    name = "seals(margin)"
    small = "seals(margin, 5)"

    def test_shows_exactly_the_nearest_of_every_labelled_item(self) -> None:
        full = pool(90)
        assert full.vectors is not None
        assert full.labelled_vectors is not None
        near = np.argsort(-(full.labelled_vectors @ full.vectors.T), axis=1)[:, :3]
        seen = Seen()
        with_seen("seals(random, 3)", seen).select(full, 2, seed=0)
        np.testing.assert_array_equal(seen.rows, full.rows[np.unique(near)])

    def test_follows_the_labels_from_round_to_round(self) -> None:
        """Planted: a path of near items; SEALS finds its end step by step, whatever is far."""
        angle = np.linspace(0, np.pi / 2, 40)
        path = np.stack([np.cos(angle), np.sin(angle), np.zeros(40)], axis=1)
        far = np.tile([0.0, 0.0, 1.0], (40, 1))
        everything = unit(np.concatenate([path, far]))
        rows = np.arange(80)
        labelled = [0]
        for _ in range(4):
            free = np.setdiff1d(rows, labelled)
            candidates = Candidates(
                free, everything[free], labelled_vectors=everything[np.array(labelled)]
            )
            labelled += strategy("seals(k_center, 6)").select(candidates, 1, seed=0).rows.tolist()
            assert labelled[-1] < 40
        assert max(labelled) > 6
        assert strategy("k_center").select(candidates, 1, seed=0).rows[0] >= 40

    def test_sees_all_while_nothing_is_labelled(self) -> None:
        fresh = pool(60, labelled=0)
        found = strategy("seals(margin, 1)").select(fresh, 5, seed=1)
        np.testing.assert_array_equal(found.rows, strategy("margin").select(fresh, 5, seed=1).rows)
        assert "Nothing is labelled yet, so it saw all 60 items." in found.reason


class TestSealsTypiClust(WrapperContract):
    name = "seals(typiclust, 4)"


class TestAnchorMargin(Narrowing):
    name = "anchor(margin)"
    small = "anchor(margin, 40, 2, 20)"

    def planted(self) -> Candidates:
        """Rows 0-199 around the 50 labelled items of label 0, 200-209 around the one of label 1."""
        rng = np.random.default_rng(4)
        around = np.repeat(np.eye(2, 16), [200, 10], axis=0)
        known = np.repeat(np.eye(2, 16), [50, 1], axis=0)
        return Candidates(
            np.arange(210),
            unit(around + 0.05 * rng.standard_normal(around.shape)),
            np.full((210, 2), 0.5, dtype=np.float32),
            unit(known + 0.05 * rng.standard_normal(known.shape)),
            labelled_rows=np.arange(1000, 1051),
            labels=np.repeat([0, 1], [50, 1]),
        )

    def test_a_rare_label_brings_as_many_as_a_common_one(self) -> None:
        seen = Seen()
        with_seen("anchor(random, 1000, 1, 10)", seen).select(self.planted(), 4, seed=0)
        assert (seen.rows >= 200).sum() == 10
        assert len(seen.rows) == 20

    def test_without_labels_the_rare_one_is_not_looked_for_and_the_reason_says_so(self) -> None:
        unknown = replace(self.planted(), labels=None, labelled_rows=None)
        reason = strategy("anchor(random)").select(unknown, 4, seed=0).reason
        assert "their labels unknown" in reason
        assert "their labels unknown" not in self.one.select(self.planted(), 4, seed=0).reason

    def test_shows_those_of_largest_mean_cosine_to_the_anchors_that_bring_them(self) -> None:
        full = pool(90)
        assert full.vectors is not None
        assert full.labelled_vectors is not None
        cosine = full.labelled_vectors @ full.vectors.T
        brought = np.zeros_like(cosine)
        np.put_along_axis(brought, np.argsort(-cosine, axis=1)[:, :15], 1.0, axis=1)
        times = brought.sum(axis=0)
        mean = np.where(times > 0, (cosine * brought).sum(axis=0) / np.maximum(times, 1), -9)
        seen = Seen()
        with_seen("anchor(random, 12, 10, 15)", seen).select(full, 2, seed=0)
        np.testing.assert_array_equal(seen.rows, full.rows[np.sort(np.argsort(-mean)[:12])])

    def test_refuses_labels_of_other_items(self) -> None:
        few = replace(self.planted(), labels=np.array([0, 1]), labelled_rows=np.array([1, 2]))
        with pytest.raises(UserError, match="2 labels for 51 labelled vectors"):
            self.one.select(few, 3, seed=0)

    def test_anchors_change_with_the_seed(self) -> None:
        texts = {
            tuple(strategy("anchor(margin, 12, 2, 12)").select(self.planted(), 4, seed=seed).rows)
            for seed in range(6)
        }
        assert len(texts) > 1


class TestAnchorBadge(WrapperContract):
    name = "anchor(badge, 20, 2, 9)"


class TestPruneMargin(Narrowing):
    name = "prune(margin)"
    small = "prune(margin, 0.1)"

    def planted(self) -> Candidates:
        """Rows 0-29 of usual words in the usual order, 30-39 of words that occur nowhere else."""
        usual = [f"where is my parcel number {n % 3} please" for n in range(30)]
        odd = [f"zq{n} xv{n} kk{n} ww{n}" for n in range(10)]
        return Candidates(np.arange(40), texts=usual + odd)

    def test_leaves_odd_texts_out(self) -> None:
        for seed in range(5):
            picks = strategy("prune(random, 0.5)").select(self.planted(), 20, seed=seed).rows
            assert (picks < 30).all()

    def test_moves_towards_texts_unlike_the_labelled(self) -> None:
        planted = self.planted()
        labelled = [f"where is my parcel number {n % 3} please" for n in range(8)]
        source = CountingSource(
            Candidates(np.arange(48), texts=[*(planted.texts or ()), *labelled])
        )
        known = Candidates(planted.rows, labelled_rows=np.arange(40, 48), source=source)
        strong = strategy("prune(random, 0.25, 2)").select(known, 10, seed=0)
        assert sorted(strong.rows) == list(range(30, 40))
        assert "8 labelled texts" in strong.reason
        weak = strategy("prune(random, 0.25, 0)").select(known, 10, seed=0)
        assert (weak.rows < 30).all()


class TestPruneKCenter(WrapperContract):
    name = "prune(k_center, 0.3, 0.0, 2)"


def test_a_narrowing_wrapper_has_a_real_learner_predict_only_what_it_shows() -> None:
    names = ["billing", "delivery"]
    texts = [f"{names[n % 2]} question number {n}" for n in range(300)]
    vectors = HashEncoder().encode(texts)
    learner = LinearLearner(label_names=names, label_texts=names, encoder=HashEncoder())
    known = np.arange(10)
    learner.fit(
        Training(Inputs(texts[:10], vectors[:10]), known % 2, np.ones(10, dtype=np.float32)), seed=0
    )
    predicted: list[int] = []

    class Source(CountingSource):
        def probabilities(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
            predicted.extend(rows.tolist())
            return learner.predict_proba(Inputs([texts[row] for row in rows], vectors[rows]))

    everything = Candidates(np.arange(300), vectors, texts=texts)
    candidates = Candidates(
        np.arange(10, 300),
        labelled_rows=known,
        labels=known % 2,
        classes=2,
        source=Source(everything),
    )
    for name, most in (
        ("subsample(margin, 30)", 30),
        ("seals(margin, 3)", 30),
        ("anchor(margin, 25)", 25),
        ("prune(margin, 0.1)", 29),
        ("prune(subsample(badge, 12), 0.1)", 12),
    ):
        predicted.clear()
        found = strategy(name).select(candidates, 5, seed=0)
        shown = set(predicted)
        assert 5 <= len(predicted) == len(shown) <= most, name
        assert min(shown) >= 10, name
        assert set(found.rows.tolist()) <= shown


@pytest.mark.parametrize("called", WRAPPERS)
def test_every_wrapper_has_a_contract_and_says_what_it_takes(called: str) -> None:
    tests = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    assert any(f'name = "{called}(' in text for text in tests)
    assert arguments(WRAPPERS[called])[0].required
    assert WRAPPERS[called].__doc__


def test_wrappers_are_no_plain_strategies() -> None:
    assert not set(WRAPPERS) & set(STRATEGIES)
