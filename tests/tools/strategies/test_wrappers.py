"""What each wrapper promises beyond the contract, and that narrowing really predicts fewer rows."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from labelwright.models.learners import Inputs, Training
from labelwright.models.learners.linear import LinearLearner
from labelwright.store.errors import UserError
from labelwright.tools.strategies import (
    STRATEGIES,
    WRAPPERS,
    Candidates,
    Selection,
    Strategy,
    strategy,
)
from labelwright.tools.strategies.wrappers.base import arguments, evened
from labelwright.tools.strategies.wrappers.ranking import RANKING
from labelwright.tools.uncertainty import margin
from numpy.typing import NDArray
from strategy_contract import CountingSource, StrategyContract, bare, lacking, pool, unit
from support import HashEncoder


class WrapperContract(StrategyContract):
    """What a strategy promises, and that its name is its text."""

    def test_is_registered_under_its_name(self) -> None:
        assert self.one.name == self.name
        assert strategy(self.one.name) == self.one
        assert self.name.partition("(")[0] in WRAPPERS

    def test_names_a_missing_need(self) -> None:
        for need in self.one.needs:
            with pytest.raises(UserError) as caught:
                self.one.select(replace(lacking(pool(5), need), costs=None), 2, seed=0)
            assert f"{self.name!r} needs {need!r}" in str(caught.value)

    def test_gives_k_of_a_pool_in_which_all_is_labelled_by_one_label(self) -> None:
        candidates = pool(40)
        candidates = replace(candidates, labels=np.zeros(6, dtype=np.int64))
        self.check(self.one.select(candidates, 7, seed=0), candidates, 7)


class Narrowing(WrapperContract):
    """Contract of those that show the inner strategy a part."""

    name: ClassVar[str]
    small: ClassVar[str]
    """One that shows at most 40 of 400, labelled items apart."""

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
        shown = np.setdiff1d(asked, full.rows[:6])
        assert len(shown) == len(asked) - 6 <= 40
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


class TestWarmStart(WrapperContract):
    name = "warm_start(typiclust, margin)"

    @pytest.mark.parametrize(
        ("labelled", "chooses"), [(0, "typiclust"), (7, "typiclust"), (8, "margin")]
    )
    def test_waits_for_two_labels_of_each_class(self, labelled: int, chooses: str) -> None:
        candidates = pool(60, labelled=labelled)
        found = self.one.select(candidates, 5, seed=3)
        np.testing.assert_array_equal(
            found.rows, strategy(chooses).select(candidates, 5, seed=3).rows
        )
        assert f"By {chooses}, as there are {labelled} labels" in found.reason

    def test_waits_for_as_many_labels_as_it_is_told(self) -> None:
        later = strategy("warm_start(typiclust, margin, 21)")
        assert "By typiclust" in later.select(pool(60, labelled=20), 5, seed=0).reason
        assert "By margin" in later.select(pool(60, labelled=21), 5, seed=0).reason

    def test_waits_for_a_model(self) -> None:
        full = pool(60, labelled=20)
        source = CountingSource(full, has_model=False)
        candidates = Candidates(full.rows, labelled_rows=full.rows[:20], classes=4, source=source)
        found = self.one.select(candidates, 5, seed=0)
        assert "By typiclust, as there is no model yet." in found.reason
        assert "probabilities" not in source.asked
        source.has_model = True
        assert "By margin" in self.one.select(candidates, 5, seed=0).reason
        assert "By typiclust" in self.one.select(lacking(full, "probabilities"), 5, seed=0).reason

    def test_says_when_it_cannot_know_how_many_classes_there_are(self) -> None:
        unknown = replace(lacking(pool(9), "probabilities"), classes=None)
        with pytest.raises(UserError, match=r"warm_start\(typiclust, margin, 20\)"):
            self.one.select(unknown, 2, seed=0)


class TestWarmStartOfWrappers(WrapperContract):
    name = "warm_start(prune(k_center), anchor(margin), 3)"


class TestAdaptive(WrapperContract):
    name = "adaptive(margin, k_center, badge)"

    def test_fetches_what_it_needs_and_chooses_the_same(self) -> None:
        full, source = pool(30), CountingSource(pool(30))
        turn = Candidates(full.rows, gains={"margin": [0.1]}, source=source)
        got = self.one.select(turn, 4, seed=0)
        np.testing.assert_array_equal(
            got.rows, strategy("k_center").select(full_vectors(full), 4, seed=0).rows
        )
        assert set(source.asked) == {"vectors"}

    def chosen(self, gains: dict[str, list[float]], seed: int = 0) -> str:
        found = self.one.select(replace(pool(40), gains=gains), 3, seed=seed)
        expected = strategy(str(found.arm)).select(pool(40), 3, seed=seed)
        np.testing.assert_array_equal(found.rows, expected.rows)
        assert f"{found.arm} chose" in found.reason
        return str(found.arm)

    def test_without_gains_each_has_its_turn(self) -> None:
        assert self.chosen({}) == "margin"
        assert self.chosen({"margin": [0.3]}) == "k_center"
        assert self.chosen({"margin": [0.3], "k_center": [0.1, 0.2]}) == "badge"
        assert self.chosen({"k_center": [0.1], "other": [9.0]}) == "margin"

    def test_what_gained_most_chooses_most_often_and_the_others_sometimes(self) -> None:
        gains = {"margin": [0.1, 0.25], "k_center": [0.0, 0.2], "badge": [0.15, 0.35]}
        names = [self.chosen(gains, seed) for seed in range(200)]
        times = [names.count(name) for name in ("k_center", "margin", "badge")]
        assert times[0] < times[1] < times[2]
        assert times[0] > 0
        assert times[2] > 100

    def test_what_is_clearly_best_always_chooses(self) -> None:
        gains = {"margin": [0.1, 0.11], "k_center": [0.1, 0.09], "badge": [0.9, 0.91]}
        assert {self.chosen(gains, seed) for seed in range(30)} == {"badge"}

    def test_scale_and_place_of_gains_do_not_matter(self) -> None:
        gains = {"margin": [0.1, 0.2, 0.4], "k_center": [0.3, 0.1], "badge": [0.2, 0.3]}
        large = {name: [100 * value - 7 for value in values] for name, values in gains.items()}
        assert [self.chosen(gains, s) for s in range(20)] == [
            self.chosen(large, s) for s in range(20)
        ]

    def test_late_gains_count_more_than_early_ones(self) -> None:
        short = "adaptive(margin, k_center, 0.3)"
        faded = {"margin": [1.0, 1.0, 0.0, 0.0], "k_center": [0.0, 0.0, 1.0, 1.0]}
        arms = [
            strategy(short).select(replace(pool(30), gains=faded), 2, seed=seed).arm
            for seed in range(60)
        ]
        assert arms.count("k_center") > 45

    def test_finds_the_best_of_a_planted_bandit(self) -> None:
        rng = np.random.default_rng(0)
        mean = {"margin": 0.1, "k_center": 0.0, "badge": 0.25}
        gains: dict[str, list[float]] = {}
        arms = []
        for seed in range(60):
            arm = self.chosen(gains, seed)
            gains.setdefault(arm, []).append(float(mean[arm] + 0.1 * rng.standard_normal()))
            arms.append(arm)
        assert arms[:3] == ["margin", "k_center", "badge"]
        assert arms[30:].count("badge") > 20

    def test_refuses_gains_that_are_no_numbers(self) -> None:
        with pytest.raises(UserError, match="finite"):
            self.chosen({"margin": [float("nan")]})


class TestAdaptiveOfWrappers(WrapperContract):
    name = "adaptive(random, anchor(margin), 0.5)"

    def test_fetches_what_it_needs_and_chooses_the_same(self) -> None:
        source = CountingSource(pool(30))
        self.one.select(Candidates(pool(30).rows, source=source), 4, seed=0)
        assert not source.asked


def test_the_arm_is_known_through_wrappers_around_it() -> None:
    for name in (
        "subsample(adaptive(margin, random))",
        "class_balance(adaptive(margin, random))",
        "warm_start(random, adaptive(margin, random), 1)",
    ):
        assert strategy(name).select(pool(30), 4, seed=0).arm == "margin"


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
        shown = set(predicted) - set(range(10))
        assert len(predicted) == len(shown) + 10, name
        assert 5 <= len(shown) <= most, name
        assert set(found.rows.tolist()) <= shown


def test_picks_come_from_the_group_with_fewest_first() -> None:
    rng = np.random.default_rng(0)
    sequence = evened(np.array([3, 0, 1]), np.array([9, 2, 9]), 7, rng)
    counts = np.bincount(sequence, minlength=3)
    assert counts.tolist() == [1, 2, 4] or counts.tolist() == [2, 2, 3]
    assert sequence[0] == 1


@pytest.mark.parametrize("called", WRAPPERS)
def test_every_wrapper_has_a_contract_and_says_what_it_takes(called: str) -> None:
    tested = {each.name.partition("(")[0] for each in _contracts(WrapperContract)}
    assert called in tested
    assert arguments(WRAPPERS[called])[0].required
    assert WRAPPERS[called].__doc__


def test_wrappers_are_no_plain_strategies() -> None:
    assert not set(WRAPPERS) & set(STRATEGIES)


def _contracts(base: type[WrapperContract]) -> list[type[WrapperContract]]:
    found = []
    for each in base.__subclasses__():
        found += [each] if hasattr(each, "name") else []
        found += _contracts(each)
    return found


class Seen:
    """Remembers what an inner strategy was shown."""

    name = "random"
    needs = STRATEGIES["random"].needs

    def __init__(self) -> None:
        self.rows = np.empty(0, dtype=np.int64)

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        self.rows = candidates.rows
        return STRATEGIES["random"].select(candidates, k, seed=seed)


def with_seen(name: str, seen: Seen) -> Strategy:
    """The wrapper of that text around one that remembers."""
    outer = strategy(name)
    return replace(outer, inner=seen)  # type: ignore[type-var]


def full_vectors(candidates: Candidates) -> Candidates:
    """Those with their vectors and nothing labelled."""
    return bare(candidates, frozenset({"vectors"}))
