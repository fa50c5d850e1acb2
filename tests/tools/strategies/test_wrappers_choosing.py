"""The wrappers that choose between strategies: by the labels there are, by what they gained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.strategies import Candidates, strategy
from strategy_contract import CountingSource, bare, lacking, pool
from wrapper_contract import WrapperContract


def full_vectors(candidates: Candidates) -> Candidates:
    """Those with their vectors and nothing labelled."""
    return bare(candidates, frozenset({"vectors"}))


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
